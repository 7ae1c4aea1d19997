"""Points to heatmaps, and heatmaps back to candidates with sub-pixel places.

Heatmaps lie at a quarter of the slice's resolution. A pixel p of the slice has the heatmap
coordinate ``(p + 0.5) / 4 - 0.5``: both grids cover the same rectangle, so the centre of the first
heatmap cell is at pixel 1.5.
"""

import numpy as np

STRIDE = 4
WEAKEST = 0.02  # maximum that is a candidate


def to_heatmap(points):
    """Turn slice pixels into heatmap coordinates; any shape."""
    return (np.asarray(points, np.float64) + 0.5) / STRIDE - 0.5


def to_pixel(points):
    """Turn heatmap coordinates into slice pixels; any shape."""
    return (np.asarray(points, np.float64) + 0.5) * STRIDE - 0.5


def render(points, channels, n_channels, shape, sigma_mm, spacing):
    """Draw one Gaussian per disc, with the value 1 on the disc's point itself.

    Parameters
    ----------
    points : (N, 2) array
        Row and column in pixels of the slice.
    channels : (N,) int array
        The heatmap that each point belongs to.
    n_channels : int
    shape : (H, W)
        Of the slice, in pixels.
    sigma_mm : float
        Standard deviation of the Gaussian in mm.
    spacing : float
        Size of a slice's pixel in mm.

    Returns
    -------
    (n_channels, ceil(H / 4), ceil(W / 4)) float32 array
        In 0..1; a channel without a point is zero.
    """
    height, width = (-(-int(size) // STRIDE) for size in shape)
    heatmaps = np.zeros((n_channels, height, width), np.float32)
    sigma = sigma_mm / spacing / STRIDE
    places = to_heatmap(np.reshape(points, (-1, 2)))
    down = np.exp(-0.5 * ((np.arange(height) - places[:, :1]) / sigma) ** 2)
    back = np.exp(-0.5 * ((np.arange(width) - places[:, 1:]) / sigma) ** 2)
    for channel, rows, columns in zip(np.asarray(channels, int), down, back, strict=True):
        np.maximum(heatmaps[channel], np.outer(rows, columns), out=heatmaps[channel])
    return heatmaps


def candidates(heatmaps, most=8):
    """Find the local maxima of every heatmap, to a fraction of a cell.

    The place is the vertex of the parabola through the logarithm of the maximum and its two neighbours
    along each axis: exact for a Gaussian, so no direction is favoured. On the border, where a neighbour
    is missing, it is the cell's own centre.

    Parameters
    ----------
    heatmaps : (C, h, w) array
        Values in 0..1; a value that is not finite counts as 0.
    most : int
        Candidates per channel, strongest first; maxima below `WEAKEST` are none.

    Returns
    -------
    list of C pairs (points, evidence)
        points: (M, 2) float64, row and column in pixels of the slice; evidence: (M,) float64 in 0..1.
    """
    maps = np.nan_to_num(np.asarray(heatmaps, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), constant_values=-1.0)
    centre = padded[:, 1:-1, 1:-1]
    # Strictly above the neighbours that come before it in reading order: of two that are equal the first is taken.
    peak = centre >= WEAKEST
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            if (row, column) == (0, 0):
                continue
            other = padded[:, 1 + row : padded.shape[1] - 1 + row, 1 + column : padded.shape[2] - 1 + column]
            peak &= centre > other if (row, column) < (0, 0) else centre >= other
    found = []
    for channel in range(len(maps)):
        cells = np.argwhere(peak[channel])
        evidence = maps[channel][peak[channel]].astype(np.float64)
        order = np.argsort(-evidence, kind="stable")[:most]
        cells, evidence = cells[order], evidence[order]
        found.append((to_pixel(cells + _vertex(maps[channel], cells)), evidence))
    return found


def _vertex(heatmap, cells):
    """Return the offset (M, 2) of each maximum from its cell, in cells, within half a cell."""
    logarithm = np.log(np.maximum(heatmap.astype(np.float64), 1e-6))
    offset = np.zeros((len(cells), 2))
    for axis in (0, 1):
        inside = (cells[:, axis] > 0) & (cells[:, axis] < heatmap.shape[axis] - 1)
        step = np.eye(2, dtype=int)[axis]
        here = cells[inside]
        before, at, after = (logarithm[tuple((here + k * step).T)] for k in (-1, 0, 1))
        bend = before - 2 * at + after
        shift = np.where(bend < -1e-9, 0.5 * (before - after) / np.where(bend < -1e-9, bend, 1.0), 0.0)
        offset[inside, axis] = np.clip(shift, -0.5, 0.5)
    return offset
