"""What spines have that is not as in the book: haemangiomas, Schmorl's nodes, narrowed canals, implants, and more."""

import numpy as np

from utils.synthesis.canvas import AIR, FAT, FIBRE, MARROW, MUSCLE, NUCLEUS, VESSEL, WORN
from utils.synthesis.surroundings import front_of


def draw_findings(rng, canvas, tips, tangent, height, depth):
    """Draw findings on bodies and discs that are there already; most spines have one or two.

    Parameters
    ----------
    rng : numpy.random.Generator
    canvas : utils.synthesis.canvas.Canvas
    tips, tangent : (N, 2) arrays
        Posterior tip of each disc in mm, and the way down there, by level.
    height, depth : (N,) arrays
        Of the discs in mm.
    """
    for level in range(4, 26):
        down, front = tangent[level], front_of(tangent[level])
        body = 0.5 * (tips[level] + tips[level + 1]) + front * depth[level] * 0.5
        if rng.random() < 0.04:  # a haemangioma, or marrow of another kind
            place = body + rng.uniform(-0.25, 0.25, 2) * depth[level]
            canvas.blob(place, rng.uniform(2, 0.3 * depth[level], 2), rng.choice([FAT, VESSEL, FIBRE]), (0, 1, 2))
        if rng.random() < 0.04:  # a disc's nucleus through an end plate
            side = rng.choice([-1, 1]) * (0.5 * height[level] + 1.5)
            place = tips[level] + front * depth[level] * rng.uniform(0.3, 0.7) + down * side
            canvas.blob(place, [rng.uniform(2, 4.5), rng.uniform(2, 5)], rng.choice([NUCLEUS, FIBRE]), (0, 1, 2))
        if rng.random() < 0.03:  # marrow beside a worn disc turned to fat, swelling or bone (Modic et al. 1988)
            tissue = rng.choice([FAT, VESSEL, FIBRE])
            for side in (-1, 1):
                place = tips[level] + front * depth[level] * 0.6 + side * down * (0.5 * height[level] + 4)
                canvas.blob(place, [3, 0.3 * depth[level]], tissue, (0, 1, 2), np.arctan2(down[1], down[0]))
    if rng.random() < 0.2:  # a canal narrowed by discs in front and thick yellow ligaments behind, at some levels
        for level in rng.choice(np.arange(20, 26), rng.integers(1, 5), replace=False):
            front, angle = front_of(tangent[level]), np.arctan2(tangent[level][1], tangent[level][0])
            bulge, thick = ([0.5 * height[level] + more, rng.uniform(2, 7)] for more in rng.uniform([0, 1], [3, 5]))
            canvas.blob(tips[level], bulge, rng.choice([FIBRE, WORN]), (0, 1), angle)
            behind = tips[level] - front * rng.uniform(14, 17)
            canvas.blob(behind, thick, FIBRE if rng.random() < 0.8 else FAT, (0, 1), angle)
    if rng.random() < 0.04:  # screws and rods: signal is lost around them
        first = rng.integers(5, 24)
        for level in range(first, min(first + rng.integers(2, 4), 26)):
            front = front_of(tangent[level])
            place = 0.5 * (tips[level] + tips[level + 1]) - front * rng.uniform(10, 25)
            canvas.blob(place, rng.uniform(5, 13, 2), AIR, (1, 2, 3) if rng.random() < 0.6 else (0, 1, 2, 3))
    if rng.random() < 0.05:  # an arch taken away, and scar in its place
        level = rng.integers(20, 26)
        place = tips[level] - front_of(tangent[level]) * 35
        canvas.blob(place, [rng.uniform(12, 25), rng.uniform(10, 18)], rng.choice([FIBRE, MUSCLE, MARROW]), (0, 1))
