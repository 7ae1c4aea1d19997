"""Whether a correction can be applied: it is the newest, and its discs lie in the scan."""

import numpy as np

from utils.report.corrections import time_of
from utils.system.files import UserError

SAME_MM = 0.1  # by which a place may differ, from rounding
EDGE_MM = 1.0  # by which a disc at the edge of the image may lie outside of the scan


def check_newest(review, before):
    """Refuse a correction that would undo a later review.

    Raises
    ------
    UserError
    """
    if before and time_of(before.get("Time")) > time_of(review["Time"]):
        by = f" by {before['By']}" if before.get("By") else ""
        raise UserError(f"it was reviewed later, at {before['Time']}{by}, and stays so: edit it again in report.html")


def check_inside(world, scan, before):
    """Refuse discs (N, 3) in mm that a reviewer placed outside of a scan.

    In a tilted scan, predict.py may place a disc some mm outside. Those that stayed at their place of ``before`` are no
    mistake of the reviewer: the label volume has them on its edge.

    Raises
    ------
    UserError
    """
    voxel_mm = np.linalg.norm(scan.affine[:3, :3], axis=0)
    beyond = np.abs(scan.to_voxel(world) - (np.array(scan.data.shape) - 1) / 2) * voxel_mm
    outside = (beyond > np.array(scan.data.shape) * voxel_mm / 2 + EDGE_MM).any(1)
    away = np.linalg.norm(world[:, None] - np.reshape(before, (-1, 3)), axis=2).min(1, initial=np.inf)
    if (outside & (away > SAME_MM)).any():
        raise UserError("a disc lies outside of the scan: move or delete it")
