"""Partial fields of view: scans cut to a few neighbouring discs at the neck, the chest or the loin."""

from dataclasses import replace

import numpy as np

from utils.discs import LAST
from utils.sample import OUTSIDE, PRESENT, UNKNOWN, likely_points

PLACES = ("neck", "chest", "loin")
CHEST = range(9, 21)  # T1-T2 to T12-L1
BEYOND_MM = 40.0  # of skull or sacrum that a scan of the neck or the loin shows


def window_levels(levels, count, place):
    """Choose ``count`` neighbouring levels of a place out of those labelled.

    Parameters
    ----------
    levels : (N,) int array, ascending
    count : int
    place : str
        ``neck`` begins with C1-C2, ``loin`` ends with L5-S1, ``chest`` is as near to T6-T7 as the labels allow.

    Returns
    -------
    list of int or None
        None if the labels do not cover such a window.
    """
    firsts = {"neck": [2], "loin": [LAST - count + 1], "chest": [k for k in CHEST if k + count - 1 in CHEST]}[place]
    fits = [first for first in firsts if np.isin(range(first, first + count), levels).all()]
    if not fits:
        return None
    first = min(fits, key=lambda first: abs(first + (count - 1) / 2 - 14))
    return list(range(first, first + count))


def cut(sample, levels):
    """Cut a sample to some of its levels.

    The cut runs midway to the next disc, which is outside from then on; above C1-C2 and below L5-S1 it
    leaves 40 mm.

    Parameters
    ----------
    sample : utils.sample.Sample
    levels : list of int
        Neighbours, all of them labelled.

    Returns
    -------
    Sample
        Its plane is not that of the cut slice: for scores in mm only.
    """
    rows = likely_points(sample.points, sample.levels)[:, 0]
    first, last, beyond = levels[0], levels[-1], BEYOND_MM / sample.spacing
    top = rows[first] - beyond if first == 2 else 0.5 * (rows[first - 1] + rows[first])
    bottom = rows[last] + beyond if last == LAST else 0.5 * (rows[last] + rows[last + 1])
    top, bottom = max(int(np.ceil(top)), 0), min(int(np.floor(bottom)) + 1, sample.image.shape[0])
    kept = np.isin(sample.levels, levels)
    # What else is in view, such as the joint above C1, has lost its label with its place.
    states = np.where((rows >= top) & (rows < bottom), UNKNOWN, OUTSIDE).astype(sample.states.dtype)
    states[levels] = PRESENT
    return replace(
        sample, image=sample.image[top:bottom], slabs=sample.slabs[:, top:bottom], levels=sample.levels[kept],
        points=sample.points[kept] - [top, 0], across=sample.across[kept], states=states,
    )  # fmt: skip


def windows_of(samples, count, place):
    """Return all samples that can be cut to such a window, cut."""
    chosen = [(sample, window_levels(sample.levels, count, place)) for sample in samples]
    return [cut(sample, levels) for sample, levels in chosen if levels is not None]
