"""Pathology of a synthetic spine that is there already: what lies in bodies, canal and arches, and implants."""

import numpy as np

from utils.synthesis.canvas import AIR, CORD_MAP, CSF, FAT, FIBRE, MARROW, NUCLEUS, TUMOUR, VESSEL, WORN
from utils.synthesis.curves import front_of

SPINE_MAPS = (0, 1, 2)


def draw_pathology(rng, canvas, spine):
    """Draw pathology on bodies and discs that are there already; most spines have one or two.

    Parameters
    ----------
    rng : numpy.random.Generator
    canvas : utils.synthesis.canvas.Canvas
    spine : utils.synthesis.curves.Spine
    """
    for index in range(4, spine.lowest + 1):
        _lesions(rng, canvas, spine, index)
    if rng.random() < 0.25:
        _stenosis(rng, canvas, spine, rng.choice(np.arange(spine.lowest - 5, spine.lowest + 1), rng.integers(1, 5)))
    if rng.random() < 0.35:
        _stenosis(rng, canvas, spine, rng.choice(np.arange(4, 9), rng.integers(1, 5)))
    if rng.random() < 0.05:
        _implants(rng, canvas, spine)
    if rng.random() < 0.03:  # a mass in the canal
        tip, front = spine.tips[index := rng.integers(3, 27)], front_of(spine.tangent[index])
        canvas.blob(tip - front * 8, [rng.uniform(5, 20), rng.uniform(3, 6)], rng.choice([TUMOUR, NUCLEUS]), (0, 1))


def _lesions(rng, canvas, spine, index):
    """Draw what lies in a body and in its end plates."""
    tip, height, depth = spine.tips[index], spine.height[index], spine.depth[index]
    down, front = spine.tangent[index], front_of(spine.tangent[index])
    if rng.random() < 0.04:  # a haemangioma, a metastasis, or marrow of another kind
        body = 0.5 * (tip + spine.tips[index + 1]) + front * depth * 0.5
        place = body + rng.uniform(-0.25, 0.25, 2) * depth
        canvas.blob(place, rng.uniform(2, 0.3 * depth, 2), rng.choice([FAT, VESSEL, FIBRE, TUMOUR]), SPINE_MAPS)
    if rng.random() < 0.04:  # a disc's nucleus through an end plate (Schmorl's node)
        side = rng.choice([-1, 1]) * (0.5 * height + 1.5)
        place = tip + front * depth * rng.uniform(0.3, 0.7) + down * side
        canvas.blob(place, [rng.uniform(2, 4.5), rng.uniform(2, 5)], rng.choice([NUCLEUS, FIBRE]), SPINE_MAPS)
    # Marrow beside a degenerated disc, replaced by oedema, fat or bone (Modic et al. 1988).
    if spine.state.worn[index] and not spine.state.fused[index] and rng.random() < 0.25:
        tissue, wide = rng.choice([FAT, VESSEL, FIBRE, CSF], p=[0.45, 0.2, 0.25, 0.1]), rng.uniform(0.2, 0.5)
        centre = tip + front * depth * rng.uniform(0.3, 0.7)
        for side in (-1, 1):
            tall = rng.uniform(1, 5)
            place = centre + side * down * (0.5 * height + 1.5 + tall)
            canvas.blob(place, [tall, wide * depth], tissue, SPINE_MAPS, np.arctan2(down[1], down[0]))


def _stenosis(rng, canvas, spine, indices):
    """Narrow the canal by discs in front and thick yellow ligaments behind; the cord is pressed flat and may be ill."""
    for index in indices:
        front, angle = front_of(spine.tangent[index]), np.arctan2(*spine.tangent[index][::-1])
        cervical, height = spine.place[index] < 10, 0.5 * spine.height[index]
        bulge = [height + rng.uniform(0, 3), rng.uniform(2, 5.5 if cervical else 7)]
        thick = [height + rng.uniform(1, 5), rng.uniform(1, 4) if cervical else rng.uniform(2, 7)]
        canvas.blob(spine.tips[index], bulge, rng.choice([FIBRE, WORN]), (0, 1), angle)
        behind = spine.tips[index] - front * (rng.uniform(13, 16) if cervical else rng.uniform(14, 17))
        canvas.blob(behind, thick, FIBRE if rng.random() < 0.8 else FAT, (0, 1), angle)
        if cervical and rng.random() < 0.25:  # swelling of the cord
            canvas.blob(spine.tips[index] - front * 8, [rng.uniform(3, 14), 1.5], NUCLEUS, (CORD_MAP,), angle)


def _implants(rng, canvas, spine):
    """Draw screws, rods and cages: signal is lost around them."""
    first = rng.integers(4, spine.lowest - 1)
    plate = spine.place[first] < 9 and rng.random() < 0.6  # in front of the cervical spine
    for index in range(first, min(first + rng.integers(2, 4), spine.lowest + 1)):
        front, deep = front_of(spine.tangent[index]), spine.depth[index]
        away = -deep * rng.uniform(0.6, 1.1) if plate else rng.uniform(10, 25)
        place = 0.5 * (spine.tips[index] + spine.tips[index + 1]) - front * away
        canvas.blob(place, rng.uniform(4, 13, 2), AIR, (1, 2, 3) if rng.random() < 0.6 else (0, 1, 2, 3))
        if rng.random() < 0.3:
            cage = spine.tips[index] + front * deep * 0.5
            canvas.blob(cage, [0.5 * spine.height[index], 0.3 * deep], rng.choice([AIR, MARROW, FIBRE]), SPINE_MAPS)
