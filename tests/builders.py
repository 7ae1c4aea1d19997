"""What several tests build: a sample of a straight spine."""

import numpy as np

from utils.discs import TYPICAL_GAP_MM
from utils.scans.plane import Plane
from utils.scans.sample import Sample, level_states


def lumbar(shape=(240, 120), top=60.0):
    """Return a sample with L1-L2 to L5-S1 of a straight spine, from row ``top`` on."""
    levels = np.arange(21, 26)
    rows = top + np.concatenate([[0], np.cumsum([TYPICAL_GAP_MM[k] for k in range(21, 25)])])
    points = np.stack([rows, np.full(5, 60.0)], 1)
    plane = Plane(np.zeros(3), np.array([0, 0, -1.0]), np.array([0, -1.0, 0]), np.array([1.0, 0, 0]), shape)
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    states = level_states(points, levels, shape, 1.0)
    return Sample(
        "sub-1_T2w", "sub-1", "T2w", "here", image, points, levels, states, np.zeros(5), plane, image[None], np.zeros(1)
    )
