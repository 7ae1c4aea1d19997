"""Vertebral bodies and discs of a synthetic spine, with C1 and C2.

Sizes follow Gilad and Nissan 1986 and Busscher et al. 2010.
"""

import numpy as np

from utils.discs import SACRAL
from utils.synthesis.canvas import CSF, FIBRE, MARROW, NUCLEUS, WORN, rounded
from utils.synthesis.pathology import draw_findings
from utils.synthesis.surroundings import DEPTH, at, front_of

# By level of the disc: height in mm, at some levels with straight lines between.
_DISC_HEIGHT = ([2, 3, 7, 9, 13, 17, 20, 22, 24, 25], [2, 5.0, 5.5, 4.3, 4.5, 5.5, 7.5, 9.5, 11, 10])
LARGE_REST_SHARE = 0.2  # of the people whose S1-S2 looks like a small disc (O'Driscoll et al. 1996, types 3 and 4)
TIP_MM = 2.0  # from the outer edge of the ligament behind a disc to the disc's posterior tip
LEAST_BACK = 0.4  # of a disc's height is left at its back, however wide it gapes in front


def draw_bones(rng, canvas, tips, tangent, faces, slip, size):
    """Draw vertebral bodies and discs; returns the posterior tips (27, 2) in mm, by level."""
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
    # A large rest of S1-S2 is easily taken for L5-S1.
    large = rng.random() < LARGE_REST_SHARE
    height[26] *= rng.uniform(1.5, 2.5) if large else rng.uniform(0.35, 1.5)
    depth = size * at(DEPTH, np.arange(len(tips))) * rng.uniform(0.93, 1.07)
    depth[26:] = size * np.array([28 if large else 24, 18, 14, 11, 9, 7, 6, 5])[: len(tips) - 26]
    upper, lower = faces  # of the discs
    gape = _gape(tangent, lower)
    back = np.maximum(height / 2 - depth / 2 * gape, LEAST_BACK * height / 2)
    for level in range(2, len(tips) - 1):
        above, below = level, level + 1
        down_a, down_b = lower[above], upper[below]
        start, end = tips[above] + down_a * back[above], tips[below] - down_b * back[below]
        start, end = start - front_of(down_a) * slip[above] / 2, end + front_of(down_b) * slip[below] / 2
        front_a, front_b = start + front_of(down_a) * depth[above], end + front_of(down_b) * depth[below]
        if rng.random() < 0.03 and 14 < level < 25:  # a wedge fracture
            front_a = front_a + (front_b - front_a) * rng.uniform(0.2, 0.4)
        waist = 0.5 * (front_a + front_b) - front_of(down_a + down_b) * 0.045 * depth[above]
        dent = 0.5 * (start + end) + front_of(down_a + down_b) * 0.03 * depth[above]
        corners = np.array([start, front_a, waist, front_b, end, dent])
        if level == 2:
            _dens(canvas, start, down_a, tangent[2], size)
        corners = rounded(corners)
        canvas.fill(corners, FIBRE, (0, 1, 2))
        inner = np.mean(corners, 0) + (corners - np.mean(corners, 0)) * (1 - 1.6 / max(depth[above], 8))
        canvas.fill(inner, MARROW, (0, 1, 2))
        if level > 9:  # the vein that enters from behind
            canvas.blob(dent + front_of(down_a) * 4, [0.9, 4.0], FIBRE if rng.random() < 0.5 else CSF, (0,), angle=0.1)
    for level in range(3, 31):
        down, front = tangent[level], front_of(tangent[level])
        deep = depth[level]
        front_half = back[level] + deep * gape[level]
        half = 0.5 * (back[level] + front_half)
        bulge = rng.uniform(1.0, 3.0) if worn[level] and level < 26 else 0.0
        back_edge = tips[level] - front * bulge
        # Thicker in the middle than at the rims, and in front of a lordosis.
        outline = [
            back_edge - down * back[level] * 0.75,
            tips[level] + front * deep * 0.5 - down * half * 1.1,
            tips[level] + front * deep - down * front_half * 0.95,
            tips[level] + front * deep + down * front_half * 0.95,
            tips[level] + front * deep * 0.5 + down * half * 1.1,
            back_edge + down * back[level] * 0.75,
        ]
        outline = rounded(outline)
        canvas.fill(outline, FIBRE, (0, 1, 2))
        middle = tips[level] + front * deep * 0.48
        # Of the sacrum's discs a spot in the middle or behind is left.
        left = 0.8 if level < 26 else rng.uniform(0.6 if large and level == 26 else 0.2, 0.85)
        middle = middle - front * deep * rng.uniform(-0.1, 0.3) * (0.8 - left)
        core = middle + (np.array(outline) - middle) * np.array([left])
        canvas.fill(core, WORN if worn[level] else NUCLEUS, (0, 1, 2))
    # People who label scans put a disc's point on the disc itself, in front of the dark line of its ligament.
    draw_findings(rng, canvas, tips, tangent, height, depth)
    return tips[: SACRAL + 1] + TIP_MM * np.array([front_of(down) for down in tangent[: SACRAL + 1]])


def _dens(canvas, start, down, tangent, size):
    """Draw the dens of C2, on a body that begins at ``start``, and both arches of C1."""
    up = -tangent
    dens = [
        start + front_of(down) * 1.5,
        start + 15 * size * up + front_of(down) * 2.5,
        start + 16 * size * up + front_of(down) * 6,
        start + 14 * size * up + front_of(down) * 9.5,
        start + front_of(down) * 11,
    ]
    canvas.fill(dens, FIBRE)
    canvas.fill(np.mean(dens, 0) + (np.array(dens) - np.mean(dens, 0)) * 0.82, MARROW)
    for ahead, outer, inner, maps in (
        (14.5, (5.5, 3.0), (4.0, 1.8), (0, 1, 2, 3)),
        (-24, (4.5, 3.5), (3.0, 2.2), (0, 1)),
    ):  # the front and back arch of C1
        centre = start + 9 * size * up + front_of(down) * ahead * size
        canvas.blob(centre, size * np.array(outer), FIBRE, maps)
        canvas.blob(centre, size * np.array(inner), MARROW, maps)


def _gape(tangent, lower):
    """Return by how much half a disc (N,) grows to the front for each mm; negative where it grows to the back."""
    return tangent[:, 0] * lower[:, 1] - tangent[:, 1] * lower[:, 0]
