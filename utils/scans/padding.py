"""Padding: a constant border of any value shows nothing of the patient."""

import numpy as np
from scipy import ndimage

WIDE = 1 / 8  # share of a volume from which a border counts whatever its value
FAR = 0.1  # a value so far beyond those of the patient, as a share of their range, counts however narrow the border


def fill_padding(data, axis):
    """Set the padding of a volume to 0, which is what empty parts of a slice are everywhere else.

    Padding is what has one value and reaches the border: along a whole outer face, or in all eight corners, as after
    a rotation or in a round field of view. Faces along the left-right axis do not count: slices that are empty as a
    whole do no harm. Nor does a narrow border whose value is about one that the patient has too: it does not change the
    scale of the intensities, and stays.

    Parameters
    ----------
    data : (X, Y, Z) array
    axis : int
        The left-right axis.

    Returns
    -------
    (X, Y, Z) array
        ``data`` itself where there is no padding, or 0 is its value.
    """
    values = {float(part.flat[0]) for part in (*_faces(data, axis), _corners(data)) if part.min() == part.max()}
    for value in values - {0.0}:
        parts, _ = ndimage.label(data == value)
        outer = np.unique(np.concatenate([face.ravel() for face in _faces(parts, axis)]))
        border = np.isin(parts, outer[outer > 0])
        low, high = np.float64([data[~border].min(), data[~border].max()])
        if border.mean() >= WIDE or max(low - value, value - high) > FAR * (high - low):
            data = np.where(border, np.float32(0), data)
    return data


def _faces(data, axis):
    """Return the first and the last slice of a volume along the other axes."""
    # Views: np.take copies a whole volume that lies in memory the other way round, as those of NIfTI files do.
    return [np.moveaxis(data, other, 0)[side] for other in range(3) if other != axis for side in (0, -1)]


def _corners(data):
    """Return the 2 x 2 x 2 voxels in each corner of a volume, together."""
    return data[np.ix_(*([0, min(1, size - 1), max(0, size - 2), size - 1] for size in data.shape))]
