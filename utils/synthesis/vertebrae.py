"""Vertebral bodies and discs of a synthetic spine, with C1 and C2.

Sizes follow Gilad and Nissan 1986 and Busscher et al. 2010.
"""

import numpy as np

from utils.synthesis.canvas import AIR, CORD_MAP, CSF, FIBRE, MARROW, NUCLEUS, TUMOUR, WORN, rounded
from utils.synthesis.curves import front_of

TIP_MM = 2.0  # from the outer edge of the ligament behind a disc to the disc's posterior tip
LEAST_BACK = 0.4  # of a disc's height is left at its back, however wide it gapes in front
SPINE_MAPS = (0, 1, 2)


def draw_vertebrae(rng, canvas, spine):
    """Draw vertebral bodies and discs.

    Parameters
    ----------
    rng : numpy.random.Generator
    canvas : utils.synthesis.canvas.Canvas
    spine : utils.synthesis.curves.Spine
    """
    # By how much half a disc grows to the front for each mm; negative where it grows to the back.
    tangent, lower = spine.tangent, spine.lower
    gape = tangent[:, 0] * lower[:, 1] - tangent[:, 1] * lower[:, 0]
    back = np.maximum(spine.height / 2 - spine.depth / 2 * gape, LEAST_BACK * spine.height / 2)
    for index in range(2, len(spine.tips) - 1):
        _body(rng, canvas, spine, index, back)
    for index in range(3, len(spine.tips) - 3):
        if not spine.state.fused[index]:
            _disc(rng, canvas, spine, index, back[index], back[index] + spine.depth[index] * gape[index])
        _spurs(rng, canvas, spine, index)
    for index in np.flatnonzero(spine.state.fused):
        _bridge(rng, canvas, spine, index)


def tips_of(spine):
    """Return the posterior tips (N, 2) in mm of the discs, in front of the dark line of their ligament.

    Those who label scans put a disc's point on the disc itself.
    """
    return spine.tips + TIP_MM * np.array([front_of(down) for down in spine.tangent])


def _body(rng, canvas, spine, above, back):
    """Draw the body below a disc, with its end plates."""
    below, state, tips, depth = above + 1, spine.state, spine.tips, spine.depth
    down_a, down_b = spine.lower[above], spine.upper[below]
    start = tips[above] + down_a * back[above] - front_of(down_a) * spine.slip[above] / 2
    end = tips[below] - down_b * back[below] + front_of(down_b) * spine.slip[below] / 2
    # As deep as the disc, or a little deeper where it has spurs all along its rim.
    front_a, front_b = start + front_of(down_a) * depth[above], end + front_of(down_b) * depth[below]
    lost = state.wedge[above]
    front_a = front_a + (front_b - front_a) * lost
    across = front_of(down_a + down_b) / np.linalg.norm(down_a + down_b)
    waist = 0.5 * (front_a + front_b) - across * 0.09 * depth[above] * (state.tumour[above] < 1)
    dent = 0.5 * (start + end) + across * 0.06 * depth[above]
    if state.tumour[above]:  # a body that a tumour has filled bulges into the canal
        dent = dent - across * rng.uniform(2, 6)
    # A fracture sinks into the middle of the upper end plate; that of a slipped L5's sacrum is a dome.
    sunk = 0.25 * (lost + state.crushed[above]) * np.linalg.norm(end - start)
    sunk -= state.dome if above == spine.lowest else 0.0
    middle = 0.5 * (start + front_a) + 0.5 * (down_a + down_b) * sunk
    corners = [start, middle, front_a, waist, front_b, end, dent]
    if above == 2:
        _dens(canvas, start, down_a, spine.tangent[2], spine.size)
    corners = rounded(corners)
    canvas.fill(corners, FIBRE, SPINE_MAPS)
    centre = np.mean(corners, 0)
    inner = centre + (corners - centre) * (1 - rng.uniform(1.0, 2.2) / max(depth[above], 8))
    canvas.fill(inner, TUMOUR if state.tumour[above] else MARROW, SPINE_MAPS)
    if above > 9 and not state.tumour[above]:  # the vein that enters from behind
        vein = dent + front_of(down_a) * 4
        canvas.blob(vein, [0.9, 4.0], FIBRE if rng.random() < 0.5 else CSF, (CORD_MAP,), angle=0.1)


def _disc(rng, canvas, spine, index, back, front):
    """Draw a disc that is ``back`` and ``front`` mm high on either side of its middle plane."""
    state, tip, down, deep = spine.state, spine.tips[index], spine.tangent[index], spine.depth[index]
    ahead, half, edge = front_of(down), 0.5 * (back + front), tip - front_of(down) * state.bulge[index]
    # Thicker in the middle than at the rims, and in front of a lordosis.
    outline = rounded(
        [
            edge - down * back * 0.75,
            tip + ahead * deep * 0.5 - down * half * 1.1,
            tip + ahead * deep - down * front * 0.95,
            tip + ahead * deep + down * front * 0.95,
            tip + ahead * deep * 0.5 + down * half * 1.1,
            edge + down * back * 0.75,
        ]
    )
    canvas.fill(outline, FIBRE, SPINE_MAPS)
    middle = tip + ahead * deep * 0.48
    # Of the sacrum's discs a spot in the middle or behind is left.
    mobile, remnant = index <= spine.lowest, index == spine.lowest + 1
    least = np.clip(spine.remnant, 0.2, 0.95) if remnant else 0.2
    left = rng.uniform(0.6, 0.88) if mobile else rng.uniform(least, 0.95)
    middle = middle - ahead * deep * (0 if mobile else rng.uniform(-0.1, 0.3) * max(0.8 - left, 0))
    canvas.fill(middle + (outline - middle) * left, WORN if state.worn[index] else NUCLEUS, SPINE_MAPS)
    if mobile and rng.random() < 0.3:  # the cleft across a nucleus
        cleft = middle + np.array([[-0.3], [0.3]]) * deep * ahead
        canvas.ribbon(cleft - 0.05 * half * down, cleft + max(0.1 * half, 0.5) * down, WORN, SPINE_MAPS)
    if state.vacuum[index]:  # gas, as dark as bone
        canvas.fill(middle + (outline - middle) * [rng.uniform(0.4, 0.7)], AIR, SPINE_MAPS)


def _bridge(rng, canvas, spine, index):
    """Fill a fused disc with bone, as narrow as a waist; a thin line of it is left as a rule."""
    tip, down, deep = spine.tips[index], spine.tangent[index], spine.depth[index]
    ahead, reach = front_of(down), 0.5 * spine.height[index] + 2.5
    sides = np.array([[-1, 0.08], [-1, 0.94], [0, 0.86], [1, 0.94], [1, 0.08], [0, 0.12]])
    canvas.fill(tip + sides[:, :1] * reach * down + sides[:, 1:] * deep * ahead, MARROW, SPINE_MAPS)
    if rng.random() < 0.6:
        first, last = rng.uniform(0.05, 0.5), rng.uniform(0.6, 0.95)
        line = tip + ahead * deep * np.array([[first], [last]])
        thick = down * rng.uniform(0.3, 1.0)
        canvas.ribbon(line - thick, line + thick, rng.choice([FIBRE, WORN]), SPINE_MAPS)


def _spurs(rng, canvas, spine, index):
    """Draw bony spurs at the front of both end plates of a worn disc, and small ones at the back."""
    long, down, deep = spine.state.spur[index], spine.tangent[index], spine.depth[index]
    if long < 1.5:
        return
    ahead, reach = front_of(down), 0.5 * spine.height[index]
    for side in (-1, 1):
        edge = spine.tips[index] + ahead * deep * 0.9 + side * down * reach
        beak = rng.uniform(0.6, 1) * (long + 0.1 * deep) * ahead - side * down * reach * rng.uniform(0, 0.8)
        corners = np.array([edge, edge + beak, edge + ahead * 0.1 * deep + side * down * (3 + long)])
        canvas.fill(corners, FIBRE, SPINE_MAPS)
        centre = corners.mean(0)
        canvas.fill(centre + (corners - centre) * 0.75, MARROW, SPINE_MAPS)
        behind = spine.tips[index] + side * down * (reach + 1)
        canvas.blob(behind, [1.5, rng.uniform(0.3, 0.5) * long], FIBRE, (0, 1), np.arctan2(down[1], down[0]))


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
