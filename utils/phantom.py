"""The anatomy of a synthetic spine, from the skull base to the coccyx, as maps of tissues with its discs.

A spine is drawn in the sagittal plane, upright and in mm. Depth across the plane is told by four maps,
from the middle outward: through the cord, through the canal beside it, through the bodies beside the canal,
and beside the bodies. Sizes follow Gilad and Nissan 1986 and Busscher et al. 2010 (bodies and discs),
Frostell et al. 2016 (cord and canal), Abitbol et al. and Vialle et al. 2005 (angles of the standing spine,
lessened for the supine position).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from utils.discs import FIRST, LAST, TYPICAL_GAP_MM

TISSUES = (
    "air", "fat", "muscle", "marrow", "nucleus", "fibre", "csf", "cord", "vessel", "organ", "lung", "worn disc",
    "brain", "urine", "bowel", "skin", "roots",
)  # fmt: skip
AIR, FAT, MUSCLE, MARROW, NUCLEUS, FIBRE, CSF, CORD, VESSEL, ORGAN, LUNG, WORN, BRAIN, URINE, BOWEL, SKIN, ROOTS = (
    range(17)
)
PIXEL_MM = 0.5
HEIGHT_MM, WIDTH_MM = 860, 330
CORD_MAP, CANAL_MAP, BODY_MAP, BESIDE_MAP = range(4)

# By level of the disc: depth front to back and height, in mm, at some levels with straight lines between.
_DEPTH = ([2, 3, 7, 9, 14, 19, 21, 25, 26], [13, 15.5, 17, 18, 25, 30, 34, 34, 32])
_DISC_HEIGHT = ([2, 3, 7, 9, 13, 17, 20, 22, 24, 25], [2, 5.0, 5.5, 4.3, 4.5, 5.5, 7.5, 9.5, 11, 10])
# Angle in degrees of the way from a disc to the next one, backward positive, by level; sacrum from 25 on.
_CERVICAL = ([1, 2, 4, 7, 9], [0, -6, -4, 16, 4])
_THORACIC = ([6, 8, 10, 13, 17, 20], [0, 10, 20, 6, -9, -4])
_LUMBAR = ([17, 19, 21, 22, 23, 24, 25], [0, -9, -16, -16, -13, -4, 0])
_SACRAL = ([24, 25, 26, 27, 28, 29, 30, 31, 32], [0, 34, 44, 40, 24, 4, -14, -30, -40])
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


def _at(table, level):
    return np.interp(level, *table)


def _chain(rng, size):
    """Return tips (33, 2) in mm and tangents (33, 2) of discs 1 to 25 and of the joints of the sacrum below."""
    bend = {
        "c": rng.uniform(-0.2, 1.5),
        "t": rng.uniform(0.5, 1.5),
        "l": rng.uniform(0.5, 1.4),
        "s": rng.uniform(0.75, 1.2),
    }
    tilt = rng.normal(0, 3)
    gaps = [TYPICAL_GAP_MM[level] * (1 + rng.normal(0, 0.035)) for level in range(FIRST, LAST)] + list(_SACRAL_GAP)
    gaps = size * np.array(gaps)
    levels = np.arange(FIRST, FIRST + len(gaps))
    angles = sum(bend[key] * _at(table, levels) for key, table in
                 (("c", _CERVICAL), ("t", _THORACIC), ("l", _LUMBAR), ("s", _SACRAL)))  # fmt: skip
    angles = np.deg2rad(angles + tilt + rng.normal(0, 1.2, len(angles)))
    steps = gaps[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    tips = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    tips = np.concatenate([np.full((1, 2), np.nan), tips])  # index is the level
    tangent = np.full_like(tips, np.nan)
    tangent[1:-1] = steps
    tangent[2:-1] += steps[:-1]
    tangent[-1] = steps[-1]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    tips[1:] += [95 - tips[1, 0], 0.62 * WIDTH_MM - np.nanmean(tips[1:, 1])]
    return tips, tangent


def _front(direction):
    """Return the unit vector to the front, at right angles to a direction that runs down."""
    return np.array([direction[1], -direction[0]])


class _Canvas:
    """Maps that shapes in mm are drawn on."""

    def __init__(self):
        self.shape = (round(HEIGHT_MM / PIXEL_MM), round(WIDTH_MM / PIXEL_MM))
        self.images = [Image.new("L", self.shape[::-1]) for _ in range(4)]
        self.pens = [ImageDraw.Draw(image) for image in self.images]

    def fill(self, corners, tissue, maps=(0, 1, 2, 3)):
        """Fill a polygon (N, 2) in mm."""
        outline = [(column, row) for row, column in (np.asarray(corners) / PIXEL_MM).tolist()]
        for index in maps:
            self.pens[index].polygon(outline, fill=int(tissue))

    def blob(self, centre, radii, tissue, maps=(0, 1, 2, 3), angle=0.0):
        """Fill an ellipse in mm; ``angle`` in radians."""
        round_ = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        row, column = radii[0] * np.cos(round_), radii[1] * np.sin(round_)
        turned = [row * np.cos(angle) - column * np.sin(angle), row * np.sin(angle) + column * np.cos(angle)]
        self.fill(np.asarray(centre) + np.stack(turned, -1), tissue, maps)

    def ribbon(self, front, back, tissue, maps=(0, 1, 2, 3)):
        """Fill what lies between two lines (N, 2) in mm."""
        self.fill(np.concatenate([front, back[::-1]]), tissue, maps)


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
    canvas = _Canvas()
    skin = _body_outline(rng, canvas, tips, size)
    _organs(rng, canvas, tips, size, skin)
    _canal(rng, canvas, tips, tangent, size)
    _processes(rng, canvas, tips, tangent, size)
    _head(rng, canvas, tips, tangent, size)
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


def _body_outline(rng, canvas, tips, size):
    """Draw skin, fat and muscle; returns the front line of the skin (N, 2) and the back one."""
    levels = [0.9, 3, 7, 9, 13, 18, 21, 24, 26, 29]
    rows = np.interp(levels, np.arange(1, len(tips)), tips[1:, 0])
    rows[0] -= 40
    columns = np.interp(levels, np.arange(1, len(tips)), tips[1:, 1])
    fat = np.exp(rng.normal(0, 0.35))
    belly = rng.uniform(0.7, 1.25)
    front = columns - size * np.array([88, 70, 62, 85, 120, 122 * belly, 112 * belly, 112 * belly, 120, 125])
    back = columns + size * np.array([80, 62, 66, 72, 66, 62, 70, 76, 70, 60]) + 5 * (fat - 1)
    smooth = np.arange(0, canvas.shape[0] * PIXEL_MM, 4.0)
    front, back = (np.stack([smooth, np.interp(smooth, rows, line)], -1) for line in (front, back))
    depth = np.array([0, 1.0])
    canvas.ribbon(front, back, SKIN)
    canvas.ribbon(front + 2 * depth, back - 2 * depth, FAT)
    thick = np.interp(smooth, rows, size * fat * np.array([4, 5, 6, 8, 9, 9, 14, 20, 22, 24]))[:, None] * depth
    canvas.ribbon(front + 2 * depth + 0.8 * thick, back - 2 * depth - thick, MUSCLE)
    return front, back, thick


def _organs(rng, canvas, tips, size, skin):
    """Draw airway, lungs, heart, great vessels, abdominal organs, bowel and bladder in front of the spine."""
    front, _, thick = skin
    ahead = tips[1:] + [0, -1] * (0.9 * size * _at(_DEPTH, np.arange(1, len(tips))) + 6)[:, None]
    # Chest: mediastinum in the middle, lungs beside it and, thinly, in front of the bodies.
    chest = ahead[8:18]
    edge = np.interp(chest[:, 0], front[:, 0], front[:, 1]) + rng.uniform(22, 32)
    border = np.stack([chest[:, 0], edge], -1)
    canvas.ribbon(border, chest, LUNG, (BODY_MAP, BESIDE_MAP))
    canvas.ribbon(border, chest + [0, -8], ORGAN, (CORD_MAP, CANAL_MAP))
    for _ in range(rng.integers(3, 8)):
        place = chest[rng.integers(1, len(chest) - 1)] - [rng.normal(0, 6), rng.uniform(10, 45)]
        canvas.blob(place, rng.uniform(4, 14, 2), rng.choice([VESSEL, LUNG, FAT, ORGAN]), (0, 1), rng.uniform(0, 3))
    heart = chest[6] - [0, rng.uniform(48, 62)]
    canvas.blob(heart, size * np.array([38, 30]), ORGAN, (0, 1))
    canvas.blob(heart, size * np.array([26, 20]), VESSEL, (0, 1))
    # Airway: pharynx and trachea down to the level of T4, then the aorta along the bodies to L4.
    trachea = ahead[2:11] - [0, 12]
    canvas.ribbon(trachea - [0, rng.uniform(9, 14)], trachea, AIR, (0, 1))
    aorta = ahead[12:23] - [0, 2]
    if rng.random() < 0.75:
        canvas.ribbon(aorta - [0, rng.uniform(13, 20)], aorta, VESSEL, (0, 1) if rng.random() < 0.6 else (2, 3))
    # Abdomen: fat with liver above and many loops of bowel below.
    belly = ahead[18:28] - [0, 18]
    wall = np.interp(belly[:, 0], front[:, 0], front[:, 1]) + rng.uniform(18, 34)
    canvas.ribbon(np.stack([belly[:, 0], wall], -1), belly, FAT)
    liver = belly[1] - [rng.uniform(0, 20), rng.uniform(25, 45)]
    canvas.blob(liver, [rng.uniform(35, 60), rng.uniform(24, 40)], ORGAN)
    for _ in range(rng.integers(12, 28)):
        row = rng.uniform(belly[2, 0], belly[-1, 0] + 20)
        low, high = np.interp(row, belly[:, 0], wall), np.interp(row, belly[:, 0], belly[:, 1])
        place = (row, rng.uniform(min(low + 8, high - 5), high - 4))
        canvas.blob(place, rng.uniform(6, 17, 2), rng.choice([BOWEL, ORGAN, AIR, URINE, FAT], p=[0.45, 0.2, 0.15, 0.08, 0.12]),
                    angle=rng.uniform(0, 3))  # fmt: skip
    pelvis = tips[27] - [-25, rng.uniform(62, 85)]
    canvas.blob(pelvis, rng.uniform(14, 34, 2), URINE)
    canvas.blob(tips[28] - [0, 32], [rng.uniform(20, 35), rng.uniform(8, 14)], BOWEL, angle=-0.4)
    # Nothing of this sticks out of the body.
    depth = np.array([0, 1.0])
    canvas.ribbon(front * [1, 0], front, AIR)
    canvas.ribbon(front, front + 2 * depth, SKIN)
    canvas.ribbon(front + 2 * depth, front + 2 * depth + 0.8 * thick, FAT)


def _canal(rng, canvas, tips, tangent, size):
    """Draw the canal: ligament, CSF, the cord as far as about L1-L2, and roots below it."""
    count = len(tips) - 5  # the canal ends in the sacrum
    levels = np.arange(1, count)
    back = -np.array([_front(t) for t in tangent[1:count]])
    # Fine enough to be smooth.
    fine = np.linspace(1, count - 1, 400)
    line = np.stack([np.interp(fine, levels, tips[1:count, k]) for k in (0, 1)], -1)
    back = np.stack([np.interp(fine, levels, back[:, k]) for k in (0, 1)], -1)
    depth = (
        size
        * np.interp(fine, [1, 3, 7, 12, 20, 24, 26, 28], [20, 15, 14.5, 14, 16, 16, 11, 4])
        * rng.uniform(0.9, 1.15)
    )
    ligament = rng.uniform(0.8, 1.6)
    sac_front, sac_back = line + back * (ligament + 1.0), line + back * (depth - 1.0)[:, None]
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
    canvas.ribbon((line + back * (middle - thick / 2)[:, None])[has], (line + back * (middle + thick / 2)[:, None])[has],
                  CORD, (0,))  # fmt: skip


def _processes(rng, canvas, tips, tangent, size):
    """Draw the spinous processes in the middle, and ligaments and fat between them."""
    for level in range(2, 29):
        down = tangent[level]
        back = -_front(down)
        gap = TYPICAL_GAP_MM.get(level, 20.0) * size
        depth = size * np.interp(level, [1, 3, 7, 12, 20, 24, 28], [20, 15, 14.5, 14, 16, 16, 8]) + 2
        length = size * np.interp(
            level, [2, 3, 5, 7, 8, 13, 18, 20, 23, 25, 28], [20, 16, 16, 30, 34, 36, 28, 30, 30, 14, 6]
        )
        tall = size * np.interp(level, [2, 3, 7, 13, 18, 20, 24, 25, 28], [11, 6, 9, 8, 15, 20, 18, 9, 5])
        slant = np.deg2rad(
            np.interp(level, [2, 5, 7, 9, 13, 16, 18, 20, 25], [12, 20, 25, 38, 55, 45, 18, 8, 10]) + rng.normal(0, 4)
        )
        along = np.cos(slant) * back + np.sin(slant) * down
        start = tips[level] + down * gap * 0.62 + back * depth
        across = np.array([along[1], -along[0]]) * tall / 2
        corners = [start - 0.8 * across, start + along * length - across, start + along * (length + 2), start + along * length + across,
                   start + 0.8 * across]  # fmt: skip
        canvas.fill(corners, FIBRE, (0, 1))
        inner = np.mean(corners, 0) + (np.array(corners) - np.mean(corners, 0)) * 0.86
        canvas.fill(inner, MARROW, (0,))
        # Fat behind the dura, between the laminae.
        canvas.blob(tips[level] + down * gap * 0.15 + back * (depth + 3), [gap * 0.2, 3.0], FAT, (0, 1))


def _head(rng, canvas, tips, tangent, size):
    """Draw brain stem, cerebellum, skull, clivus, pharynx and face above and before C1."""
    top, back = tips[1], -_front(tangent[1])
    up = -tangent[1]
    place = lambda high, behind: top + size * (high * up + behind * back)  # noqa: E731
    canvas.blob(place(45, 12), size * np.array([62, 88]), FIBRE)
    canvas.blob(place(47, 12), size * np.array([57, 83]), CSF)
    canvas.blob(place(50, 14), size * np.array([54, 80]), BRAIN)
    canvas.blob(place(14, -38), size * np.array([34, 42]), FAT)
    for _ in range(6):
        canvas.blob(place(rng.uniform(0, 30), rng.uniform(-70, -30)), rng.uniform(5, 14, 2), rng.choice([MUSCLE, AIR, FAT, FIBRE]),
                    angle=rng.uniform(0, 3))  # fmt: skip
    canvas.blob(place(-24, -52), size * np.array([22, 26]), MUSCLE)  # the tongue
    canvas.blob(place(-44, -68), size * np.array([9, 12]), MARROW)  # the chin
    canvas.fill([place(18, -22), place(24, -16), place(-22, -13), place(-26, -22)], AIR, (0, 1))
    canvas.blob(place(20, 38), size * np.array([20, 24]), BRAIN)  # cerebellum
    canvas.fill([place(-2, 2), place(48, -14), place(48, 16), place(-2, 22)], CSF, (0, 1))
    canvas.fill(
        [place(-4, 5.5), place(14, 3), place(44, -2), place(46, 14), place(14, 15), place(-4, 15.5)], CORD, (0,)
    )
    canvas.blob(place(27, -1), size * np.array([13, 9]), CORD, (0,))  # pons
    canvas.fill([place(22, 15), place(34, 13), place(28, 20)], CSF, (0, 1))  # fourth ventricle
    canvas.fill([place(2, -5), place(40, -22), place(44, -14), place(4, -1)], FIBRE, (0, 1))  # clivus
    canvas.fill([place(4, -5), place(38, -20), place(41, -16), place(6, -3)], MARROW, (0, 1))
    canvas.fill(
        [place(-3, 22), place(4, 44), place(9, 44), place(1, 21)], FIBRE, (0, 1)
    )  # rim of the great hole behind


def _bodies_and_discs(rng, canvas, tips, tangent, size):
    """Draw vertebral bodies and discs; returns the posterior tips (26, 2) in mm, by level."""
    worn_share = rng.choice([0.05, 0.25, 0.6], p=[0.5, 0.3, 0.2])
    worn = rng.random(len(tips)) < worn_share * np.interp(
        np.arange(len(tips)), [1, 4, 9, 18, 24], [0.2, 1, 0.4, 0.6, 1.4]
    )
    height = (
        size
        * _at(_DISC_HEIGHT, np.arange(len(tips)))
        * np.where(worn, rng.uniform(0.35, 0.8, len(tips)), rng.uniform(0.85, 1.15, len(tips)))
    )
    height[26:] = size * np.array([3.0, 1.6, 1.4, 1.2, 1.5, 1.2, 1.2, 1.2])[: len(tips) - 26]
    depth = size * _at(_DEPTH, np.arange(len(tips))) * rng.uniform(0.93, 1.07)
    depth[26:] = size * np.array([24, 18, 14, 11, 9, 7, 6, 5])[: len(tips) - 26]
    for level in range(2, len(tips) - 1):
        above, below = level, level + 1
        down_a, down_b = tangent[above], tangent[below]
        start, end = tips[above] + down_a * height[above] / 2, tips[below] - down_b * height[below] / 2
        front_a, front_b = start + _front(down_a) * depth[above], end + _front(down_b) * depth[below]
        if rng.random() < 0.03 and 14 < level < 25:  # a wedge fracture
            front_a = front_a + (front_b - front_a) * rng.uniform(0.2, 0.4)
        waist = 0.5 * (front_a + front_b) - _front(down_a + down_b) * 0.045 * depth[above]
        dent = 0.5 * (start + end) + _front(down_a + down_b) * 0.03 * depth[above]
        corners = np.array([start, front_a, waist, front_b, end, dent])
        if level == 2:  # C2 with the dens, and the front arch of C1
            up = -tangent[2]
            dens = [start + _front(down_a) * 1.5, start + 15 * size * up + _front(down_a) * 2.5,
                    start + 16 * size * up + _front(down_a) * 6, start + 14 * size * up + _front(down_a) * 9.5,
                    start + _front(down_a) * 11]  # fmt: skip
            canvas.fill(dens, FIBRE)
            canvas.fill(np.mean(dens, 0) + (np.array(dens) - np.mean(dens, 0)) * 0.82, MARROW)
            canvas.blob(start + 9 * size * up + _front(down_a) * 14.5 * size, size * np.array([5.5, 3.0]), FIBRE)
            canvas.blob(start + 9 * size * up + _front(down_a) * 14.5 * size, size * np.array([4.0, 1.8]), MARROW)
            canvas.blob(start + 9 * size * up - _front(down_a) * 24 * size, size * np.array([4.5, 3.5]), FIBRE, (0, 1))
            canvas.blob(start + 9 * size * up - _front(down_a) * 24 * size, size * np.array([3.0, 2.2]), MARROW, (0, 1))
        canvas.fill(corners, FIBRE, (0, 1, 2))
        inner = np.mean(corners, 0) + (corners - np.mean(corners, 0)) * (1 - 1.6 / max(depth[above], 8))
        canvas.fill(inner, MARROW, (0, 1, 2))
        if level > 9:  # the vein that enters from behind
            canvas.blob(dent + _front(down_a) * 4, [0.9, 4.0], FIBRE if rng.random() < 0.5 else CSF, (0,), angle=0.1)
    for level in range(3, 31):
        down, front = tangent[level], _front(tangent[level])
        half, deep = height[level] / 2, depth[level]
        bulge = rng.uniform(1.0, 3.0) if worn[level] and level < 26 else 0.0
        back_edge = tips[level] - front * bulge
        # Thicker in the middle than at the rims, and in front of a lordosis.
        outline = [back_edge - down * half * 0.75, tips[level] + front * deep * 0.5 - down * half * 1.1,
                   tips[level] + front * deep - down * half * 0.95, tips[level] + front * deep + down * half * 0.95,
                   tips[level] + front * deep * 0.5 + down * half * 1.1, back_edge + down * half * 0.75]  # fmt: skip
        canvas.fill(outline, FIBRE, (0, 1, 2))
        middle = tips[level] + front * deep * 0.48
        core = middle + (np.array(outline) - middle) * [0.8]
        canvas.fill(core, WORN if worn[level] else NUCLEUS, (0, 1, 2))
    points = tips[: LAST + 1].copy()
    return points
