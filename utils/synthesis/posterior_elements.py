"""What lies behind the canal of a synthetic spine: spinous processes, pedicles, joints, and muscle with its fat."""

import numpy as np

from utils.synthesis.canvas import BODY_MAP, CSF, FAT, FIBRE, MARROW, MUSCLE, ROOTS, rounded
from utils.synthesis.curves import front_of

LAMINECTOMY_SHARE = 0.06  # of the subjects

# By level of the disc above the vertebra, at some levels with straight lines between.
_CANAL_DEPTH = ([1, 3, 7, 12, 20, 24, 28], [20, 15, 14.5, 14, 16, 16, 8])
_LENGTH = ([2, 3, 5, 7, 8, 13, 18, 20, 23, 24, 25, 28], [20, 16, 16, 30, 34, 36, 28, 30, 29, 23, 12, 6])
_HEIGHT = ([2, 3, 7, 13, 18, 20, 22, 23, 24, 25, 28], [11, 6, 9, 8, 15, 20, 22, 18, 12, 7, 4])
_SLANT = ([2, 5, 7, 9, 13, 16, 18, 20, 25], [12, 20, 25, 38, 55, 45, 18, 8, 10])  # degrees below the horizontal


def draw_arches(rng, canvas, spine):
    """Draw all that lies behind the canal; parameters as in `utils.synthesis.pathology`."""
    _streaks(rng, canvas, spine)
    removed = ()
    if rng.random() < LAMINECTOMY_SHARE:
        first = spine.lowest - rng.integers(0, 6) if rng.random() < 0.7 else rng.integers(3, 9)
        removed = range(first - rng.integers(0, 3), first + 1)
    for index in range(2, spine.lowest + 4):
        tip, down, level = spine.tips[index], spine.tangent[index], spine.place[index]
        gap = np.linalg.norm(spine.tips[index + 1] - tip)
        depth = spine.size * np.interp(level, *_CANAL_DEPTH) + 2
        if index in removed:
            _scar(rng, canvas, tip, down, gap, depth)
        else:
            _process(rng, canvas, level, tip, down, gap, depth, spine.size)
        if 2 < index <= spine.lowest:
            _joint(rng, canvas, tip, down, gap, depth, spine.size)


def _scar(rng, canvas, tip, down, gap, depth):
    """Draw what lies in the place of an arch that was taken away: scar, fat or fluid."""
    back = -front_of(down)
    place = tip + down * gap * 0.6 + back * (depth + rng.uniform(4, 14))
    tissue = rng.choice([FIBRE, MUSCLE, FAT, CSF], p=[0.4, 0.25, 0.2, 0.15])
    canvas.blob(place, [gap * rng.uniform(0.5, 0.8), rng.uniform(6, 16)], tissue, (0, 1), np.arctan2(down[1], down[0]))


def _process(rng, canvas, level, tip, down, gap, depth, size):
    """Draw a spinous process in the middle, and the fat in front of the ligament above it."""
    back = -front_of(down)
    length = size * np.interp(level, *_LENGTH) * rng.uniform(0.85, 1.15)
    tall = size * np.interp(level, *_HEIGHT) * rng.uniform(0.85, 1.15)
    slant = np.deg2rad(np.interp(level, *_SLANT) + rng.normal(0, 4))
    along = np.cos(slant) * back + np.sin(slant) * down
    start = tip + down * gap * 0.62 + back * depth
    across = np.array([along[1], -along[0]]) * tall / 2
    # Between this process and the one above.
    between = start - across * 1.7 + along * length * rng.uniform(0.3, 0.8)
    tissue = rng.choice([FAT, FIBRE, MUSCLE], p=[0.5, 0.2, 0.3])
    canvas.blob(between, [0.25 * gap, length * rng.uniform(0.15, 0.5)], tissue, (0,), np.arctan2(down[1], down[0]))
    corners = [
        start - 0.8 * across,
        start + along * length - across,
        start + along * (length + 2),
        start + along * length + across,
        start + 0.8 * across,
    ]
    corners = rounded(corners)
    canvas.fill(corners, FIBRE, (0, 1))
    middle = np.mean(corners, 0)
    canvas.fill(middle + (corners - middle) * 0.86, MARROW, (0,))
    # Fat behind the dura, between the laminae.
    canvas.blob(tip + down * gap * 0.15 + back * (depth + 3), [gap * 0.2, 3.0], FAT, (0, 1))


def _joint(rng, canvas, tip, down, gap, depth, size):
    """Draw pedicle, articular processes and the root in its fat, beside the canal."""
    back = -front_of(down)
    column = tip + back * depth * rng.uniform(0.75, 1.0)
    wide = size * rng.uniform(5, 8)
    corners = rounded([
        column + down * gap * 0.22 - back * wide,
        column + down * gap * 0.07 + back * wide * 0.3,
        column + down * gap * 1.05 + back * wide,
        column + down * gap * 1.05 - back * wide * 0.1,
    ])  # fmt: skip
    canvas.fill(corners, FIBRE, (BODY_MAP,))
    middle = np.mean(corners, 0)
    canvas.fill(middle + (corners - middle) * 0.8, MARROW, (BODY_MAP,))
    pedicle = [tip + down * gap * 0.25, column + down * gap * 0.25, column + down * gap * 0.5, tip + down * gap * 0.55]
    canvas.fill(pedicle, MARROW, (BODY_MAP,))
    hole = tip + down * gap * -0.12 + back * depth * 0.35
    canvas.blob(hole, [gap * 0.24, depth * 0.3], FAT, (BODY_MAP,))
    canvas.blob(hole - down * gap * 0.05, [2.2 * size, 2.2 * size], ROOTS, (BODY_MAP,))


def _streaks(rng, canvas, spine):
    """Draw streaks of fat and tendon in the muscles of the back, as many as the subject has."""
    for _ in range(rng.integers(0, 45)):
        index = rng.uniform(3, spine.lowest + 2)
        above = int(index)
        down = spine.tangent[above]
        tip = spine.tips[above] + (index - above) * (spine.tips[above + 1] - spine.tips[above])
        place = tip - front_of(down) * spine.size * rng.uniform(26, 50)
        angle = np.arctan2(down[1], down[0]) + rng.normal(0, 0.35)
        tissue = rng.choice([FAT, FIBRE, MUSCLE], p=[0.6, 0.2, 0.2])
        canvas.blob(place, [rng.uniform(6, 30), rng.uniform(0.8, 3.5)], tissue, angle=angle)
