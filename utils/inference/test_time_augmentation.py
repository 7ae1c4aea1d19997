"""Test-time augmentation: views of a slab that should get the same labels, and the way back for their heatmaps.

A network that cannot decide between two chains often decides otherwise once the image is darker or smaller. So the mean
over views is right more often than one pass, and how far they agree says how certain the labels are.
"""

import numpy as np
from scipy import ndimage

from utils.inference.view import cells_of, resize

SCALE = 0.87  # of the smaller view
GAMMA = 1.6  # of the darker one


def views(slab):
    """Return views of a slab that should get the same labels.

    Parameters
    ----------
    slab : (H, W) array in 0..1

    Returns
    -------
    list of (h, w) float32 arrays
        The slab with inverted contrast, darker, and smaller: of six kinds of views, the three that together set wrong
        chains apart from right ones best.
    """
    slab = np.clip(np.asarray(slab, np.float32), 0, 1)
    inverted = np.where(slab > 0, (1 - slab) ** 0.8, 0).astype(np.float32)
    smaller = tuple(max(1, round(size * SCALE)) for size in slab.shape)
    return [inverted, slab**GAMMA, resize(slab[None], smaller, "bilinear")[0]]


def carry_back(heatmaps, seen, shape):
    """Carry the heatmaps of a view back to the slab that it shows.

    Parameters
    ----------
    heatmaps : (K, ceil(h / 4), ceil(w / 4)) array in 0..1
    seen, shape : (h, w), (H, W)
        Of the view and of the slab, which show the same rectangle.

    Returns
    -------
    (K, ceil(H / 4), ceil(W / 4)) array in 0..1
    """
    if seen == shape:
        return heatmaps
    scale = np.divide(seen, shape)
    # Cubic: between cells, linear interpolation would flatten the maxima.
    place = {"matrix": scale, "offset": 0.5 * scale - 0.5, "output_shape": cells_of(shape), "mode": "nearest"}
    return np.stack([ndimage.affine_transform(heatmap, **place) for heatmap in heatmaps]).clip(0, 1)
