"""What all pictures share, by whatever they are drawn: colours, rows for names that do not touch, scale bars, texts."""

import numpy as np

from utils.discs import region

INK, PAPER = "#E8E8E8", "#101214"
BARS_MM = (50, 20, 10)  # lengths of a scale bar, of which the first that fits is drawn
COLOURS = {"cervical": "#56B4E9", "thoracic": "#E69F00", "lumbar": "#009E73", "sacral": "#CC79A7"}
ON_DARK = {**COLOURS, "lumbar": "#2BC79A"}  # the same, bright enough for small letters


def colour(level, dark=False):
    """Return the colour of a level, on white or on a dark ground: that of its region."""
    return (ON_DARK if dark else COLOURS)[region(int(level))]


def drawable(text):
    """Return a text without what no font can draw: names of files may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


def spread(places, gap, within=(-np.inf, np.inf)):
    """Move names apart: return the nearest places (N,), ascending like the input, at least ``gap`` from each other.

    They stay ``within`` two places, where there is room for all.
    """
    places = np.asarray(places, float)
    if len(places) == 0:
        return places
    # Isotonic regression (pool adjacent violators) of the places less the room that they need.
    blocks = []
    for value in places - gap * np.arange(len(places)):
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (above, n), (below, m) = blocks[-2], blocks[-1]
            blocks[-2:] = [[(above * n + below * m) / (n + m), n + m]]
    needed = gap * np.arange(len(places))
    moved = np.repeat([b[0] for b in blocks], [b[1] for b in blocks]) + needed
    return np.minimum(np.maximum(moved, within[0] + needed), within[1] - needed[::-1])


def standing_out(attention):
    """Return how far attention (h, w) lies above its median, as a share of the most (0..1)."""
    above = np.clip(attention - np.median(attention), 0, None)
    return above / max(above.max(), 1e-6)
