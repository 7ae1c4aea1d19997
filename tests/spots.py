"""A stand-in for a trained network, and volumes that it labels: three bright spots are L3-L4 to L5-S1."""

import numpy as np
from nibabel.affines import apply_affine
from skimage.feature import peak_local_max
from skimage.filters import gaussian

from utils.inference.labeller import Prediction

LEVELS = np.array([23, 24, 25])


class BrightSpots:
    """Stands in for a trained network: the three brightest spots of a slice are discs, from top to bottom."""

    resolution = 1.0
    checkpoint = {"model": {"name": "bright spots"}, "epoch": 1, "digest": "0"}

    def __init__(self, source):
        self.source = source

    def label(self, slabs, offsets):
        """Return the spots of the middle slab."""
        middle, certain = int(np.argmin(np.abs(offsets))), np.ones(3)
        # Normalising cuts the tops of the spots off: smoothing gives them one again.
        points = peak_local_max(gaussian(slabs[middle], 3), min_distance=5, num_peaks=3).astype(float)
        points = points[np.argsort(points[:, 0])]
        return Prediction(
            LEVELS, points, np.zeros(3), certain, certain, certain, 5.0, np.zeros((3, 4, 4)), None, middle
        )


def spots(voxel, tilt):
    """Return a volume with three bright spots in its middle, its affine, and their world places from top to bottom."""
    shape = np.array([int(30 / voxel[0]), 70, 90])
    places = np.array([[(shape[0] - 1) / 2, 40, 70], [(shape[0] - 1) / 2, 48, 45], [(shape[0] - 1) / 2, 41, 20]])
    away = (np.indices(shape).reshape(3, 1, -1) - places.T[:, :, None]) * np.reshape(voxel, (3, 1, 1))
    data = np.exp(-(away**2).sum(0) / (2 * 2.5**2)).sum(0).reshape(shape)
    affine = np.eye(4)
    c, s = np.cos(tilt), np.sin(tilt)
    affine[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) * voxel
    affine[:3, 3] = [12, -30, 55]
    return (1000 * data).astype(np.float32), affine, apply_affine(affine, places)
