"""The second pass over a scan: masked to the spine, without what lies before and behind it.

Bowel, fat and skin say less of the levels than they seem to. A network that was trained with surroundings which slide
along the spine (`utils.synthesis.images`) makes two passes, and their heatmaps are averaged.
"""

import numpy as np

FRONT_MM, BACK_MM = 48.0, 26.0  # from the discs' tips on: what lies before the bodies, and behind the canal
BEYOND_MM = 10.0  # above the first disc and below the last one all is shown: skull and sacrum identify levels


def mask_to_spine(slabs, points, spacing):
    """Black out what lies before and behind a spine.

    Parameters
    ----------
    slabs : (S, H, W) array
    points : (N, 2) array
        Row and column in pixels of discs found, from top to bottom.
    spacing : float
        Of a pixel in mm.

    Returns
    -------
    (S, H, W) float32 array
    """
    rows, columns = np.arange(slabs.shape[1]), np.arange(slabs.shape[2])
    ahead = np.interp(rows, points[:, 0], points[:, 1])[:, None] - columns
    beyond = BEYOND_MM / spacing
    outside = (rows < points[0, 0] - beyond) | (rows > points[-1, 0] + beyond)
    shown = ((ahead < FRONT_MM / spacing) & (ahead > -BACK_MM / spacing)) | outside[:, None]
    return (slabs * shown).astype(np.float32)
