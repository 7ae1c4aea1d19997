"""Synthetic volumes labelled without a file in between."""

from utils.scans.nifti import Scan
from utils.scans.sagittal import slabs_of


def label_synthetic(labeller, volume):
    """Label the discs of a synthetic volume.

    Parameters
    ----------
    labeller : utils.inference.labeller.Labeller
    volume : utils.synthesis.volumes.Volume

    Returns
    -------
    found : utils.inference.labeller.Prediction
    world : dict of int to (3,) array
        Level to the place of its disc, in mm of the volume's world.
    """
    slabs, offsets, plane = slabs_of(Scan(volume.data, volume.affine), labeller.resolution)
    found = labeller.label(slabs, offsets)
    return found, dict(zip(found.levels, plane.to_world(found.points, found.across), strict=True))
