"""What surrounds a synthetic spine: skin, fat and muscle, organs, skull, brain stem and face."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from utils.synthesis.canvas import (
    AIR,
    BESIDE_MAP,
    BODY_MAP,
    BOWEL,
    BRAIN,
    CANAL_MAP,
    CORD,
    CORD_MAP,
    CSF,
    FAT,
    FIBRE,
    LUNG,
    MARROW,
    MUSCLE,
    ORGAN,
    PIXEL_MM,
    SKIN,
    URINE,
    VESSEL,
)

# By level of the disc: depth of the bodies from front to back in mm, at some levels with straight lines between.
DEPTH = ([2, 3, 7, 9, 14, 19, 21, 25, 26], [13, 15.5, 17, 18, 25, 30, 34, 34, 32])


def at(table, level):
    """Read a table of (levels, values) at a level, with straight lines between."""
    return np.interp(level, *table)


def front_of(direction):
    """Return the unit vector to the front, at right angles to a direction that runs down."""
    return np.array([direction[1], -direction[0]])


def draw_outline(rng, canvas, tips, size):
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
    front, back = (np.stack([smooth, _through(rows, line, smooth)], -1) for line in (front, back))
    depth = np.array([0, 1.0])
    canvas.ribbon(front, back, SKIN)
    canvas.ribbon(front + 2 * depth, back - 2 * depth, FAT)
    thick = np.interp(smooth, rows, size * fat * np.array([4, 5, 6, 8, 9, 9, 14, 20, 22, 24]))[:, None] * depth
    canvas.ribbon(front + 2 * depth + 0.8 * thick, back - 2 * depth - thick, MUSCLE)
    return front, back, thick


def _through(rows, line, smooth):
    """Return a smooth line through a few points, straight beyond them."""
    return PchipInterpolator(rows, line)(np.clip(smooth, rows[0], rows[-1]))


def draw_organs(rng, canvas, tips, size, skin):
    """Draw airway, lungs, heart, great vessels, abdominal organs, bowel and bladder in front of the spine."""
    front, _, thick = skin
    ahead = tips[1:] + [0, -1] * (0.9 * size * at(DEPTH, np.arange(1, len(tips))) + 6)[:, None]
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
        canvas.blob(
            place,
            rng.uniform(6, 17, 2),
            rng.choice([BOWEL, ORGAN, AIR, URINE, FAT], p=[0.45, 0.2, 0.15, 0.08, 0.12]),
            angle=rng.uniform(0, 3),
        )
    pelvis = tips[27] - [-25, rng.uniform(62, 85)]
    canvas.blob(pelvis, rng.uniform(14, 34, 2), URINE)
    canvas.blob(tips[28] - [0, 32], [rng.uniform(20, 35), rng.uniform(8, 14)], BOWEL, angle=-0.4)
    # Nothing of this sticks out of the body.
    depth = np.array([0, 1.0])
    canvas.ribbon(front * [1, 0], front, AIR)
    canvas.ribbon(front, front + 2 * depth, SKIN)
    canvas.ribbon(front + 2 * depth, front + 2 * depth + 0.8 * thick, FAT)


def draw_head(rng, canvas, tips, tangent, size):
    """Draw brain stem, cerebellum, skull, clivus, pharynx and face above and before C1."""
    top, back = tips[1], -front_of(tangent[1])
    up = -tangent[1]
    place = lambda high, behind: top + size * (high * up + behind * back)  # noqa: E731
    # The skull stands above the canal: nothing of it lies across brain stem and cord.
    for radii, tissue in (
        ((62, 88), FIBRE), ((60.5, 86.5), MARROW), ((57, 83), FIBRE), ((55.5, 81.5), CSF), ((53.5, 79.5), BRAIN),
    ):  # fmt: skip
        canvas.blob(place(62, 12), size * np.array(radii), tissue)
    canvas.blob(place(14, -38), size * np.array([34, 42]), FAT)
    for _ in range(6):
        canvas.blob(
            place(rng.uniform(0, 30), rng.uniform(-70, -30)),
            rng.uniform(5, 14, 2),
            rng.choice([MUSCLE, AIR, FAT, FIBRE]),
            angle=rng.uniform(0, 3),
        )
    canvas.blob(place(-24, -52), size * np.array([22, 26]), MUSCLE)  # the tongue
    canvas.blob(place(-44, -68), size * np.array([9, 12]), MARROW)  # the chin
    canvas.fill([place(18, -22), place(24, -16), place(-22, -13), place(-26, -22)], AIR, (0, 1))
    canvas.blob(place(29, 38), size * np.array([18, 23]), BRAIN)  # cerebellum
    # Cisterns before and behind the stem; the great one is hardly there in some people.
    slant = rng.normal(0, 3)  # of the clivus, in mm at its upper end
    before = [place(-3, 2), place(8, -1), place(42, slant - 17), place(47, slant - 10)]
    canvas.fill([*before, place(47, 10), place(22, 17), place(-3, 22)], CSF, (0, 1))
    canvas.fill([place(-14, 15), place(20, 14), place(rng.uniform(4, 18), rng.uniform(22, 42))], CSF, (0, 1))
    stem = [place(-4, 5.5), place(14, 3.5), place(42, -3), place(62, 0)]
    canvas.fill([*stem, place(62, 12), place(46, 13), place(14, 15), place(-4, 15.5)], CORD, (0,))
    canvas.blob(place(27, 0), size * np.array([rng.uniform(12, 15), rng.uniform(8, 11)]), CORD, (0,))  # pons
    canvas.fill([place(22, 15), place(34, 13), place(28, 20)], CSF, (0, 1))  # fourth ventricle
    ends = place(40, slant - 25), place(44, slant - 17)
    canvas.fill([place(2, -6), *ends, place(3, -1)], FIBRE, (0, 1))  # clivus
    inner = place(39, slant - 23), place(42, slant - 18.5)
    canvas.fill([place(4, -6), *inner, place(5, -2.5)], MARROW, (0, 1))
    canvas.fill(
        [place(-3, 22), place(2, 32), place(8, 32), place(1, 21)], FIBRE, (0, 1)
    )  # rim of the great hole behind
