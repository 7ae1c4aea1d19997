"""What surrounds a synthetic spine: skin, fat and muscle, and the organs in front of it."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from utils.synthesis.canvas import (
    AIR,
    BESIDE_MAP,
    BODY_MAP,
    BOWEL,
    CANAL_MAP,
    CORD_MAP,
    FAT,
    LUNG,
    MUSCLE,
    ORGAN,
    PIXEL_MM,
    SKIN,
    URINE,
    VESSEL,
)


def draw_outline(rng, canvas, spine):
    """Draw skin, fat and muscle; returns the lines (N, 2) of the skin in front and behind, and its fat in front."""
    size, place, tips = spine.size, spine.place[1:], spine.tips[1:]
    levels = np.array([0.9, 3, 7, 9, 13, 18, 21, 24, 26, 29])
    rows, columns = np.interp(levels, place, tips[:, 0]), np.interp(levels, place, tips[:, 1])
    rows[0] -= 40
    # Belly and buttocks go on in the line of the lumbar spine, however steep the sacrum is.
    low = np.interp(23, place, tips[:, 1])
    ahead, behind = columns.copy(), columns.copy()
    ahead[-3:], behind[-3:] = low + 0.35 * (columns[-3:] - low), low + 0.75 * (columns[-3:] - low)
    fat, belly = np.exp(rng.normal(0, 0.4)), rng.uniform(0.7, 1.25)
    fat_front = size * fat * np.array([4, 5, 6, 8, 9, 9, 14, 20, 22, 24])
    # Thick behind the cervical spine and over the sacrum of some, whatever the other parts of the body are like.
    cervical, sacral = (rng.choice([0, 1]) * rng.uniform(0, 30) for _ in range(2))
    more = cervical * np.exp(-0.5 * ((levels - rng.uniform(5, 9)) / 2) ** 2)
    more += sacral * np.exp(-0.5 * ((levels - 25) / 2.5) ** 2)
    fat_back = fat_front * rng.uniform(0.7, 1.3) + size * more
    front = ahead - size * np.array([88, 70, 62, 85, 120, 122 * belly, 112 * belly, 112 * belly, 120, 125])
    back = behind + size * np.array([80, 62, 66, 72, 66, 62, 70, 76, 70, 60]) + 5 * (fat - 1) + 0.7 * size * more
    smooth = np.arange(0, canvas.shape[0] * PIXEL_MM, 4.0)
    front, back = (np.stack([smooth, _through(rows, line, smooth)], -1) for line in (front, back))
    depth = np.array([0, 1.0])
    canvas.ribbon(front, back, SKIN)
    canvas.ribbon(front + 2 * depth, back - 2 * depth, FAT)
    thick, thick_back = (np.interp(smooth, rows, own)[:, None] * depth for own in (fat_front, fat_back))
    canvas.ribbon(front + 2 * depth + 0.8 * thick, back - 2 * depth - thick_back, MUSCLE)
    return front, back, thick


def _through(rows, line, smooth):
    """Return a smooth line through a few points, straight beyond them."""
    return PchipInterpolator(rows, line)(np.clip(smooth, rows[0], rows[-1]))


def draw_organs(rng, canvas, spine, skin):
    """Draw airway, lungs, heart, great vessels, abdominal organs, bowel and bladder in front of the spine."""
    front, _, thick = skin
    tips, size = spine.tips, spine.size
    ahead = tips[1:] + [0, -1] * (0.9 * spine.depth[1:] + 6)[:, None]
    # Thorax: mediastinum in the middle, lungs beside it and, thinly, in front of the bodies.
    thorax = ahead[8:18]
    edge = np.interp(thorax[:, 0], front[:, 0], front[:, 1]) + rng.uniform(22, 32)
    border = np.stack([thorax[:, 0], edge], -1)
    canvas.ribbon(border, thorax, LUNG, (BODY_MAP, BESIDE_MAP))
    canvas.ribbon(border, thorax + [0, -8], ORGAN, (CORD_MAP, CANAL_MAP))
    for _ in range(rng.integers(3, 8)):
        place = thorax[rng.integers(1, len(thorax) - 1)] - [rng.normal(0, 6), rng.uniform(10, 45)]
        canvas.blob(place, rng.uniform(4, 14, 2), rng.choice([VESSEL, LUNG, FAT, ORGAN]), (0, 1), rng.uniform(0, 3))
    heart = thorax[6] - [0, rng.uniform(48, 62)]
    canvas.blob(heart, size * np.array([38, 30]), ORGAN, (0, 1))
    canvas.blob(heart, size * np.array([26, 20]), VESSEL, (0, 1))
    # Airway: pharynx and trachea down to the level of T4, then the aorta along the bodies to L4.
    trachea = ahead[2:11] - [0, rng.uniform(8, 16)]
    wide = rng.uniform(9, 14) * rng.uniform(0.4, 1.0, (9, 1)) * [0, 1]
    canvas.ribbon(trachea - wide, trachea, AIR if rng.random() < 0.8 else MUSCLE, (0, 1))
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
    # Fat between the sacrum and what lies in the pelvis.
    canvas.ribbon(ahead[24:30] - [0, rng.uniform(20, 70)], ahead[24:30] + [0, 6], FAT)
    pelvis = tips[27] - [-25, rng.uniform(62, 85)]
    canvas.blob(pelvis, rng.uniform(14, 34, 2), URINE)
    canvas.blob(tips[28] - [0, 32], [rng.uniform(20, 35), rng.uniform(8, 14)], BOWEL, angle=-0.4)
    # Nothing of this sticks out of the body.
    depth = np.array([0, 1.0])
    canvas.ribbon(front * [1, 0], front, AIR)
    canvas.ribbon(front, front + 2 * depth, SKIN)
    canvas.ribbon(front + 2 * depth, front + 2 * depth + 0.8 * thick, FAT)
