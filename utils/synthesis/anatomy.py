"""The anatomy of a synthetic spine, from the skull base to the coccyx, as maps of tissues with its discs.

A spine is drawn in the sagittal plane, upright and in mm. Depth across the plane is told by four maps,
from the middle outward: through the cord, through the canal beside it, through the bodies beside the canal,
and beside the bodies. Sizes follow Gilad and Nissan 1986 and Busscher et al. 2010 (bodies and discs),
Frostell et al. 2016 (cord and canal), Vialle et al. 2005 (angles of the standing spine, lessened for
the supine position).
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from utils.synthesis.canvas import CORD, CSF, FAT, FIBRE, PIXEL_MM, ROOTS, Canvas
from utils.synthesis.curves import draw_chain
from utils.synthesis.posterior_elements import draw_arches
from utils.synthesis.surroundings import draw_head, draw_organs, draw_outline, front_of
from utils.synthesis.vertebrae import draw_bones


@dataclass
class Anatomy:
    """A drawn spine.

    Attributes
    ----------
    maps : (4, H, W) uint8 array
        Tissues (index in `TISSUES`) through the cord, the canal, the bodies and beside them; rows run down,
        columns to the back, pixels of `PIXEL_MM`.
    points : (27, 2) array
        Posterior tip of each disc by level, and of the rest between S1 and S2 (26): (row, col) in mm from the
        centre of pixel (0, 0).
    shift : (H,) array
        Where the spine lies left-right at each row, in mm.
    widths : (H, 3) array
        Half the width of cord, canal and bodies in mm, at each row: where the maps change.
    """

    maps: np.ndarray
    points: np.ndarray
    shift: np.ndarray
    widths: np.ndarray


def generate_anatomy(rng):
    """Draw a random spine with its surroundings.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    Anatomy
    """
    size = np.clip(rng.normal(1.0, 0.07), 0.82, 1.18)
    tips, tangent, faces, slip = draw_chain(rng, size)
    canvas = Canvas()
    skin = draw_outline(rng, canvas, tips, size)
    draw_organs(rng, canvas, tips, size, skin)
    _canal(rng, canvas, tips, tangent, size)
    draw_arches(rng, canvas, tips, tangent, size)
    draw_head(rng, canvas, tips, tangent, size)
    points = draw_bones(rng, canvas, tips, tangent, faces, slip, size)
    rows = np.arange(canvas.shape[0]) * PIXEL_MM
    maps = np.stack([np.asarray(image) for image in canvas.images])
    return Anatomy(maps, points, _scoliosis(rng, rows, tips), _half_widths(rows, tips, size))


def _scoliosis(rng, rows, tips):
    """Return a lateral curve (H,) in mm: mostly slight, sometimes strong, sometimes with a counter-curve."""
    strength = rng.choice([rng.uniform(0, 4), rng.uniform(4, 14)], p=[0.8, 0.2]) * rng.choice([-1, 1])
    along = (rows - tips[2, 0]) / (tips[25, 0] - tips[2, 0])
    waves = rng.uniform(0.6, 1.6)
    return strength * np.sin(np.pi * (waves * along + rng.uniform(0, 1))) + rng.normal(0, 5) * (along - 0.5)


def _half_widths(rows, tips, size):
    """Return half the widths (H, 3) in mm of cord, canal and bodies at each row."""
    level = np.interp(rows, tips[1:26, 0], np.arange(1, 26))
    cord = np.interp(level, [1, 5, 8, 15, 19, 25], [6.5, 7, 5.5, 4.5, 5, 5])
    canal = np.interp(level, [1, 8, 14, 20, 25], [12, 12, 8.5, 11, 13])
    body = np.interp(level, [1, 8, 14, 20, 25], [11, 14, 15, 21, 25])
    return size * np.stack([cord, np.minimum(canal, body - 1), body], -1)


def _canal(rng, canvas, tips, tangent, size):
    """Draw the canal: ligament, CSF, the cord as far as about L1-L2, and roots below it."""
    count = len(tips) - 5  # the canal ends in the sacrum
    fine = np.linspace(1, count - 1, 400)
    curve = CubicSpline(np.arange(1, count), tips[1:count])
    line, down = curve(fine), curve(fine, 1)
    back = -np.array([front_of(t) for t in down / np.linalg.norm(down, axis=1, keepdims=True)])
    depth = (
        size
        * np.interp(fine, [1, 3, 7, 12, 20, 24, 26, 28], [20, 15, 14.5, 14, 16, 16, 11, 4])
        * rng.uniform(0.9, 1.15)
    )
    ligament = rng.uniform(0.8, 1.6)
    # At the sacrum the sac leaves the bodies, with fat between.
    ahead = ligament + 1.0 + rng.uniform(0.2, 1.3) * size * np.interp(fine, [23.3, 25, 26, 27.5], [0, 3, 4.5, 2])
    sac_front, sac_back = line + back * ahead[:, None], line + back * (depth - 1.0)[:, None]
    canvas.ribbon(line - back, line + back * (depth + 1)[:, None], FIBRE, (0, 1))
    canvas.ribbon(line + back * 1.0, line + back * depth[:, None], FAT, (0, 1))
    canvas.ribbon(sac_front, sac_back, CSF, (0, 1))
    end = rng.normal(20.75, 0.75)  # the lower third of L1, in adults from T12 to L3 (Saifuddin et al. 1998)
    thick = size * np.interp(fine, [1, 4, 6, 9, 14, 18, 19.5, end], [9.5, 8.5, 8.3, 7, 6.3, 7.5, 7, 1.5])
    middle = ligament + 1.0 + (depth - ligament - 2) * np.interp(fine, [1, 6, 13, 19, 23], [0.5, 0.48, 0.36, 0.55, 0.7])
    has = fine <= end
    roots = (fine > end - 1.0) & (fine < 26)
    canvas.ribbon(
        (line + back * (middle - 2.0)[:, None])[roots], (line + back * (middle + 2.6)[:, None])[roots], ROOTS, (0, 1)
    )
    canvas.ribbon(
        (line + back * (middle - thick / 2)[:, None])[has],
        (line + back * (middle + thick / 2)[:, None])[has],
        CORD,
        (0,),
    )
