"""The anatomy of a synthetic spine, from the skull to the coccyx, as maps of tissues with its discs.

A spine is drawn in the sagittal plane, upright and in mm. Depth across the plane is represented by four maps,
from the middle outward: through the cord, through the canal beside it, through the bodies beside the canal,
and beside the bodies. Sizes follow Gilad and Nissan 1986 and Busscher et al. 2010 (bodies and discs),
Frostell et al. 2016 (cord and canal), Vialle et al. 2005 (angles of the standing spine, lessened for
the supine position).
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from utils.discs import LAST, SACRAL
from utils.synthesis.canvas import CORD, CSF, FAT, FIBRE, PIXEL_MM, ROOTS, Canvas
from utils.synthesis.curves import draw_spine, front_of
from utils.synthesis.head import draw_head
from utils.synthesis.pathology import draw_pathology
from utils.synthesis.posterior_elements import draw_arches
from utils.synthesis.surroundings import draw_organs, draw_outline
from utils.synthesis.vertebrae import draw_vertebrae, tips_of

THORACIC = 19  # the levels down to this one are counted from C2, those below it from the sacrum


@dataclass
class Anatomy:
    """A synthetic spine.

    Attributes
    ----------
    maps : (4, H, W) uint8 array
        Tissues (index in `TISSUES`) through the cord, the canal, the bodies and beside them; rows run down,
        columns to the back, pixels of `PIXEL_MM`.
    points : (27, 2) array
        Posterior tip of each disc by level, and of the remnant disc between S1 and S2 (26): (row, col) in mm from the
        centre of pixel (0, 0).
    shift : (H,) array
        Where the spine lies left-right at each row, in mm.
    widths : (H, 3) array
        Half the width of cord, canal and bodies in mm, at each row: where the maps change.
    discs : (21 + number of lumbar vertebrae, 2) array
        Posterior tips of all mobile discs, counted down from C2-C3 = 3: that of index 25 is ``points[25]`` with five
        lumbar vertebrae, one above the sacrum's with six.
    """

    maps: np.ndarray
    points: np.ndarray
    shift: np.ndarray
    widths: np.ndarray
    discs: np.ndarray


def generate_anatomy(rng, lumbar=5, remnant=None):
    """Generate a random spine with its surroundings.

    Parameters
    ----------
    rng : numpy.random.Generator
    lumbar : int
        Number of lumbar vertebrae. With 4 or 6 the count from C2 and that from the sacrum disagree by one: levels up
        to 19 are counted down from C2, levels 20 to 26 up from the sacrum, whose disc is L5-S1 = 25 always. With 6, the
        disc T12-L1 has no level (``discs[20]`` is its place); with 4, T11-T12 is both 19 and 20.
    remnant : float, optional
        Height of the remnant disc S1-S2 relative to a whole disc, which also sets how similar S1 is to a lumbar
        vertebra: random by default; from 0.6 to 1 it is a partial lumbarisation of S1. With ``lumbar=4`` it is a
        partial sacralisation of L5.

    Returns
    -------
    Anatomy
    """
    spine = draw_spine(rng, lumbar, remnant)
    canvas = Canvas()
    skin = draw_outline(rng, canvas, spine)
    draw_organs(rng, canvas, spine, skin)
    _canal(rng, canvas, spine)
    draw_arches(rng, canvas, spine)
    draw_head(rng, canvas, spine)
    draw_vertebrae(rng, canvas, spine)
    draw_pathology(rng, canvas, spine)
    rows = np.arange(canvas.shape[0]) * PIXEL_MM
    maps = np.stack([np.asarray(image) for image in canvas.images])
    tips = tips_of(spine)
    from_sacrum = np.arange(THORACIC + 1, SACRAL + 1) + spine.lowest - LAST
    points = tips[np.concatenate([np.arange(THORACIC + 1), from_sacrum])]
    return Anatomy(maps, points, _scoliosis(rng, rows, spine), _half_widths(rows, spine), tips[: spine.lowest + 1])


def _scoliosis(rng, rows, spine):
    """Return a lateral curve (H,) in mm: mostly slight, sometimes strong, sometimes with a counter-curve."""
    strength = rng.choice([rng.uniform(0, 4), rng.uniform(4, 14), rng.uniform(14, 30)], p=[0.75, 0.18, 0.07])
    along = (rows - spine.tips[2, 0]) / (spine.tips[spine.lowest, 0] - spine.tips[2, 0])
    waves = rng.uniform(0.6, 1.6) * rng.choice([1, 1.6])
    curve = rng.choice([-1, 1]) * strength * np.sin(np.pi * (waves * along + rng.uniform(0, 1)))
    return curve + rng.normal(0, 5) * (along - 0.5)


def _half_widths(rows, spine):
    """Return half the widths (H, 3) in mm of cord, canal and bodies at each row."""
    mobile = slice(1, spine.lowest + 1)
    level = np.interp(rows, spine.tips[mobile, 0], spine.place[mobile])
    cord = np.interp(level, [1, 5, 8, 15, 19, 25], [6.5, 7, 5.5, 4.5, 5, 5])
    canal = np.interp(level, [1, 8, 14, 20, 25], [12, 12, 8.5, 11, 13])
    body = np.interp(level, [1, 8, 14, 20, 25], [11, 14, 15, 21, 25])
    return spine.size * np.stack([cord, np.minimum(canal, body - 1), body], -1)


def _canal(rng, canvas, spine):
    """Draw the canal: ligament, CSF, the cord as far as about L1-L2, and roots below it."""
    size, count = spine.size, len(spine.tips) - 5  # the canal ends in the sacrum
    index = np.linspace(1, count - 1, 400)
    curve = CubicSpline(np.arange(1, count), spine.tips[1:count])
    line, down = curve(index), curve(index, 1)
    fine = np.interp(index, np.arange(count), spine.place[:count])
    back = -np.array([front_of(t) for t in down / np.linalg.norm(down, axis=1, keepdims=True)])
    # Narrow in the cervical spine of some subjects, by birth or by wear.
    narrow = np.interp(fine, [1.5, 4, 8, 10], [1, rng.choice([1, rng.uniform(0.65, 1)]), 1, 1])
    depth = (
        size
        * np.interp(fine, [1, 3, 7, 12, 20, 24, 26, 28], [20, 15, 14.5, 14, 16, 16, 11, 4])
        * rng.uniform(0.9, 1.15)
        * narrow
    )
    ligament = rng.uniform(0.8, 1.6)
    # At the sacrum the sac leaves the bodies, with fat between.
    ahead = ligament + 1.0 + rng.uniform(0.2, 1.6) * size * np.interp(fine, [23.3, 25, 26, 27.5], [0, 3, 4.5, 2])
    sac_front, sac_back = line + back * ahead[:, None], line + back * (depth - 1.0)[:, None]
    canvas.ribbon(line - back, line + back * (depth + 1)[:, None], FIBRE, (0, 1))
    canvas.ribbon(line + back * 1.0, line + back * depth[:, None], FAT, (0, 1))
    canvas.ribbon(sac_front, sac_back, CSF, (0, 1))
    end = rng.normal(20.75, 0.75)  # the lower third of L1, in adults from T12 to L3 (Saifuddin et al. 1998)
    thick = size * np.interp(fine, [1, 4, 6, 9, 14, 18, 19.5, end], [9.5, 8.5, 8.3, 7, 6.3, 7.5, 7, 1.5])
    thick = np.minimum(thick, depth - ligament - 2.2)  # a narrow canal leaves the cord no fluid
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
