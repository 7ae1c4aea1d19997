"""The speed of what needs no network: rendering heatmaps, and the search for the chain."""

import numpy as np

from speed import published
from speed.timing import Row, medians
from utils.inference.heatmaps import render, to_heatmap
from utils.inference.prior import typical_prior
from utils.inference.skeleton import search

SIZE, CELLS = 256, 64
EXTENT = (500, 300)  # of the slice, in mm


def heatmap_row(repeats):
    """Measure the rendering of 25 heatmaps."""
    points, channels = np.random.default_rng(0).uniform(0, SIZE, (25, 2)), np.arange(25)
    works = [
        lambda: render(points, channels, 25, (SIZE, SIZE), 4.0, 1.0),
        lambda: published.render_heatmaps(to_heatmap(points), CELLS),
    ]
    return Row("render 25 heatmaps of 64 x 64", *_beside("each over all cells", works, 10 * repeats), "under 1 ms")


def search_rows(repeats):
    """Measure the search: beside all combinations where those end in time, and with more and more candidates."""
    prior, mean = typical_prior(), np.cumsum(typical_prior().mean[2:13], 0)
    for count in (1, 2):
        few = field(count, 11)
        works = [
            lambda few=few: search(few, range(2, 13), prior, EXTENT),
            lambda few=few: published.all_combinations(few, mean),
        ]
        yield Row(f"search, 11 levels x {count}", *_beside("all combinations", works, repeats))
    for count in (1, 2, 4, 8, 16):
        whole = field(count, 25)
        (time,) = medians([lambda whole=whole: search(whole, range(1, 26), prior, EXTENT)], 4 * repeats)
        yield Row(f"search, 25 levels x {count}", time, target="at most 5 ms" if count == 8 else "")


def field(count, levels):
    """Return random candidates, ``count`` for each of so many levels."""
    rng = np.random.default_rng(0)
    return [(rng.uniform(0, 300, (count, 2)), *rng.uniform(0.05, 1, (2, count))) for _ in range(levels)]


def _beside(name, works, repeats):
    mine, plain = medians(works, repeats)
    return mine, name, plain
