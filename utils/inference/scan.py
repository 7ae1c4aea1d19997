"""One scan from its file to labelled discs in world mm: what predict.py does for each, for use from Python."""

from dataclasses import dataclass

import numpy as np

from utils.discs import name
from utils.inference.doubts import doubts_of
from utils.scans.limits import MAX_VOXELS
from utils.scans.nifti import position_flags, read_scan
from utils.scans.sagittal import is_sagittal, slabs_of


@dataclass
class LabelledScan:
    """The discs of a scan, from top to bottom.

    Attributes
    ----------
    levels : (N,) int array, ascending
        3 is C2-C3, 25 is L5-S1.
    names : list of str
        Of the levels, such as ``"C2-C3"``.
    world : (N, 3) float array
        Posterior tips in mm: x to the patient's right, y to the front, z to the head.
    voxels : (N, 3) float array
        The same in voxels of the file, within the volume.
    confidence : (N,) float array in 0..1
        Chance that a disc is right.
    level_confidence : float in 0..1
        Chance that the levels of the whole chain are right; NaN where it is not known.
    other_numbering : dict
        Name of a level to its name in another numbering, where that fits nearly as well or the number of vertebrae is
        not 24; else empty.
    vertebrae : int or None
        Number of vertebrae above the sacrum, 24 as a rule; None where C2-C3 or L5-S1 is not in view.
    margin : float
        Score of the labels less that of the best ones shifted by one level; NaN without a disc.
    flags : list of str
        Why the labels should be reviewed first; empty where nothing is doubtful.
    """

    levels: np.ndarray
    names: list
    world: np.ndarray
    voxels: np.ndarray
    confidence: np.ndarray
    level_confidence: float
    other_numbering: dict
    vertebrae: int | None
    margin: float
    flags: list


def label_scan(path, labeller, max_voxels=MAX_VOXELS):
    """Label the discs of a scan.

    Parameters
    ----------
    path : path-like
        A NIfTI file.
    labeller : utils.inference.labeller.Labeller
        As `load_labeller` returns it.
    max_voxels : int
        A larger file is refused before its data are read.

    Returns
    -------
    LabelledScan

    Raises
    ------
    ScanError
        If the file cannot be read, with the reason.
    """
    scan = read_scan(path, max_voxels)
    slabs, offsets, plane = slabs_of(scan, labeller.resolution)
    return in_world(scan, plane, labeller.label(slabs, offsets))


def in_world(scan, plane, prediction):
    """Carry the discs found in the slabs of a scan into its world and its voxels.

    Parameters
    ----------
    scan : utils.scans.nifti.Scan
    plane : utils.scans.plane.Plane
        Of the slabs, at an offset of 0.
    prediction : utils.inference.labeller.Prediction

    Returns
    -------
    LabelledScan
    """
    world = plane.to_world(prediction.points, prediction.across)
    voxels = scan.to_voxel_inside(world)
    flags = [*position_flags(scan), *([] if is_sagittal(scan) else ["not sagittal"]), *doubts_of(prediction)]
    other = {name(old): name(new) for old, new in prediction.other_levels.items() if old in prediction.levels}
    return LabelledScan(
        prediction.levels, [name(level) for level in prediction.levels], world, voxels, prediction.confidence,
        prediction.level_confidence, other, prediction.vertebrae, prediction.margin, flags,
    )  # fmt: skip
