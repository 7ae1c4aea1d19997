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

from utils.arches import draw_arches
from utils.canvas import CORD, CSF, FAT, FIBRE, MARROW, NUCLEUS, PIXEL_MM, ROOTS, WIDTH_MM, WORN, Canvas, rounded
from utils.discs import FIRST, LAST, TYPICAL_GAP_MM
from utils.findings import draw_findings
from utils.surroundings import DEPTH, at, draw_head, draw_organs, draw_outline, front_of

# By level of the disc: height in mm, at some levels with straight lines between.
_DISC_HEIGHT = ([2, 3, 7, 9, 13, 17, 20, 22, 24, 25], [2, 5.0, 5.5, 4.3, 4.5, 5.5, 7.5, 9.5, 11, 10])
# Angle in degrees of the way from a disc to the next one, backward positive, by level; sacrum from 25 on.
_CERVICAL = ([1, 2, 4, 7, 9], [0, -6, -4, 16, 4])
_THORACIC = ([6, 8, 10, 13, 17, 20], [0, 10, 20, 6, -9, -4])
_LUMBAR = ([17, 19, 21, 22, 23, 24, 25], [0, -10, -14, -11, -4, 0, 0])
_SACRAL = ([22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32], [0, 3, 17, 45, 52, 45, 25, 4, -14, -30, -40])
_JUNCTION = ([21, 22, 23, 24, 25, 27], [0, 0.15, 0.5, 1, 0.8, 0])  # how steep L5 and S1 lie differs most
STRAIGHT_SHARE = 0.1  # of the spines that have no curves to speak of, as a straightened template
TIP_MM = 2.0  # from the outer edge of the ligament behind a disc to the disc's posterior tip
_SACRAL_GAP = (29.0, 23.0, 19.0, 17.0, 15.0, 9.0, 8.0, 7.0)  # S1 to S5 and three of the coccyx


@dataclass
class Anatomy:
    """A drawn spine.

    Attributes
    ----------
    maps : (4, H, W) uint8 array
        Tissues (index in `TISSUES`) through the cord, the canal, the bodies and beside them; rows run down,
        columns to the back, pixels of `PIXEL_MM`.
    points : (26, 2) array
        Posterior tip of each disc by level, (row, col) in mm from the centre of pixel (0, 0).
    shift : (H,) array
        Where the spine lies left-right at each row, in mm.
    widths : (H, 3) array
        Half the width of cord, canal and bodies in mm, at each row: where the maps change.
    """

    maps: np.ndarray
    points: np.ndarray
    shift: np.ndarray
    widths: np.ndarray


def _chain(rng, size):
    """Return tips (33, 2) in mm and tangents (33, 2) of discs 1 to 25 and of the joints of the sacrum below."""
    bend = {
        "c": rng.uniform(-0.2, 1.5),
        "t": rng.uniform(0.5, 1.5),
        "l": rng.uniform(0.4, 1.5),
        "s": rng.uniform(0.75, 1.2),
        "j": rng.normal(0, 10),
    }
    if rng.random() < STRAIGHT_SHARE:
        bend |= {key: rng.uniform(0, 0.25) * bend[key] for key in "ctl"}
    tilt = rng.normal(0, 3)
    gaps = [TYPICAL_GAP_MM[level] * (1 + rng.normal(0, 0.035)) for level in range(FIRST, LAST)] + list(_SACRAL_GAP)
    gaps = size * np.array(gaps)
    gaps[24 - FIRST] *= 0.92  # L5 is a wedge, lower behind
    levels = np.arange(FIRST, FIRST + len(gaps))
    angles = sum(
        bend[key] * at(table, levels)
        for key, table in (("c", _CERVICAL), ("t", _THORACIC), ("l", _LUMBAR), ("s", _SACRAL), ("j", _JUNCTION))
    )
    angles = np.deg2rad(angles + tilt + rng.normal(0, 1.2, len(angles)))
    steps = gaps[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    tips = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    tips = np.concatenate([np.full((1, 2), np.nan), tips])  # index is the level
    tangent = np.full_like(tips, np.nan)
    tangent[1:-1] = steps
    tangent[2:-1] += steps[:-1]
    tangent[-1] = steps[-1]
    tangent[LAST] += 0.6 * steps[LAST - 1]  # the disc L5-S1 lies on the sacrum, and L5 is what is tilted against it
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    tips[1:] += [95 - tips[1, 0], 0.62 * WIDTH_MM - np.nanmean(tips[1:, 1])]
    return tips, tangent


def draw_anatomy(rng):
    """Draw a random spine with its surroundings.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    Anatomy
    """
    size = np.clip(rng.normal(1.0, 0.07), 0.82, 1.18)
    tips, tangent = _chain(rng, size)
    canvas = Canvas()
    skin = draw_outline(rng, canvas, tips, size)
    draw_organs(rng, canvas, tips, size, skin)
    _canal(rng, canvas, tips, tangent, size)
    draw_arches(rng, canvas, tips, tangent, size)
    draw_head(rng, canvas, tips, tangent, size)
    points = _bodies_and_discs(rng, canvas, tips, tangent, size)
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
    end = 21 + rng.normal(0.0, 0.6)
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


def _bodies_and_discs(rng, canvas, tips, tangent, size):
    """Draw vertebral bodies and discs; returns the posterior tips (26, 2) in mm, by level."""
    worn_share = rng.choice([0.05, 0.25, 0.6], p=[0.5, 0.3, 0.2])
    worn = rng.random(len(tips)) < worn_share * np.interp(
        np.arange(len(tips)), [1, 4, 9, 18, 24], [0.2, 1, 0.4, 0.6, 1.4]
    )
    height = (
        size
        * at(_DISC_HEIGHT, np.arange(len(tips)))
        * np.where(worn, rng.uniform(0.35, 0.8, len(tips)), rng.uniform(0.85, 1.15, len(tips)))
    )
    height[26:] = size * np.array([3.0, 1.6, 1.4, 1.2, 1.5, 1.2, 1.2, 1.2])[: len(tips) - 26]
    height[26] *= rng.uniform(0.35, 1.7)  # a large rest of S1-S2 is easily taken for L5-S1
    depth = size * at(DEPTH, np.arange(len(tips))) * rng.uniform(0.93, 1.07)
    depth[26:] = size * np.array([24, 18, 14, 11, 9, 7, 6, 5])[: len(tips) - 26]
    for level in range(2, len(tips) - 1):
        above, below = level, level + 1
        down_a, down_b = tangent[above], tangent[below]
        start, end = tips[above] + down_a * height[above] / 2, tips[below] - down_b * height[below] / 2
        front_a, front_b = start + front_of(down_a) * depth[above], end + front_of(down_b) * depth[below]
        if rng.random() < 0.03 and 14 < level < 25:  # a wedge fracture
            front_a = front_a + (front_b - front_a) * rng.uniform(0.2, 0.4)
        waist = 0.5 * (front_a + front_b) - front_of(down_a + down_b) * 0.045 * depth[above]
        dent = 0.5 * (start + end) + front_of(down_a + down_b) * 0.03 * depth[above]
        corners = np.array([start, front_a, waist, front_b, end, dent])
        if level == 2:  # C2 with the dens
            up = -tangent[2]
            dens = [
                start + front_of(down_a) * 1.5,
                start + 15 * size * up + front_of(down_a) * 2.5,
                start + 16 * size * up + front_of(down_a) * 6,
                start + 14 * size * up + front_of(down_a) * 9.5,
                start + front_of(down_a) * 11,
            ]
            canvas.fill(dens, FIBRE)
            canvas.fill(np.mean(dens, 0) + (np.array(dens) - np.mean(dens, 0)) * 0.82, MARROW)
            for ahead, outer, inner, maps in (
                (14.5, (5.5, 3.0), (4.0, 1.8), (0, 1, 2, 3)),
                (-24, (4.5, 3.5), (3.0, 2.2), (0, 1)),
            ):  # the front and back arch of C1
                centre = start + 9 * size * up + front_of(down_a) * ahead * size
                canvas.blob(centre, size * np.array(outer), FIBRE, maps)
                canvas.blob(centre, size * np.array(inner), MARROW, maps)
        corners = rounded(corners)
        canvas.fill(corners, FIBRE, (0, 1, 2))
        inner = np.mean(corners, 0) + (corners - np.mean(corners, 0)) * (1 - 1.6 / max(depth[above], 8))
        canvas.fill(inner, MARROW, (0, 1, 2))
        if level > 9:  # the vein that enters from behind
            canvas.blob(dent + front_of(down_a) * 4, [0.9, 4.0], FIBRE if rng.random() < 0.5 else CSF, (0,), angle=0.1)
    for level in range(3, 31):
        down, front = tangent[level], front_of(tangent[level])
        half, deep = height[level] / 2, depth[level]
        bulge = rng.uniform(1.0, 3.0) if worn[level] and level < 26 else 0.0
        back_edge = tips[level] - front * bulge
        # Thicker in the middle than at the rims, and in front of a lordosis.
        outline = [
            back_edge - down * half * 0.75,
            tips[level] + front * deep * 0.5 - down * half * 1.1,
            tips[level] + front * deep - down * half * 0.95,
            tips[level] + front * deep + down * half * 0.95,
            tips[level] + front * deep * 0.5 + down * half * 1.1,
            back_edge + down * half * 0.75,
        ]
        outline = rounded(outline)
        canvas.fill(outline, FIBRE, (0, 1, 2))
        middle = tips[level] + front * deep * 0.48
        # Of the sacrum's discs a spot in the middle or behind is left.
        left = 0.8 if level < 26 else rng.uniform(0.2, 0.85)
        middle = middle - front * deep * rng.uniform(-0.1, 0.3) * (0.8 - left)
        core = middle + (np.array(outline) - middle) * np.array([left])
        canvas.fill(core, WORN if worn[level] else NUCLEUS, (0, 1, 2))
    # People who label scans put a disc's point on the disc itself, in front of the dark line of its ligament.
    draw_findings(rng, canvas, tips, tangent, height, depth)
    return tips[: LAST + 1] + TIP_MM * np.array([front_of(down) for down in tangent[: LAST + 1]])
