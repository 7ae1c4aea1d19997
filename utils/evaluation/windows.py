"""Partial fields of view: scans cut to a few neighbouring discs of the cervical, the thoracic or the lumbar spine."""

from dataclasses import replace

import numpy as np

from utils.discs import LAST
from utils.evaluation.cases import Case, compare
from utils.scans.sample import OUTSIDE, PRESENT, UNKNOWN, likely_points
from utils.system.files import UserError

PLACES = ("cervical", "thoracic", "lumbar")
THORACIC = range(9, 21)  # T1-T2 to T12-L1
BEYOND_MM = 40.0  # of skull or sacrum that a cervical or lumbar scan shows


def window_levels(levels, count, place):
    """Choose ``count`` neighbouring levels of a place out of those labelled.

    Parameters
    ----------
    levels : (N,) int array, ascending
    count : int
    place : str
        ``cervical`` begins with C1-C2, ``lumbar`` ends with L5-S1, ``thoracic`` is as near to T6-T7 as the labels
        allow.

    Returns
    -------
    list of int or None
        None if the labels do not cover such a window, or are those of a single disc: where its neighbours lie, between
        which a cut runs, is not known then.
    """
    if len(levels) < 2:
        return None
    firsts = {
        "cervical": [2],
        "lumbar": [LAST - count + 1],
        "thoracic": [k for k in THORACIC if k + count - 1 in THORACIC],
    }[place]
    fits = [first for first in firsts if np.isin(range(first, first + count), levels).all()]
    if not fits:
        return None
    first = min(fits, key=lambda first: abs(first + (count - 1) / 2 - 14))
    return list(range(first, first + count))


def check_windows(samples, counts):
    """Refuse windows to which no scan can be cut.

    Parameters
    ----------
    samples : sequence of utils.scans.sample.Sample
        Their pixels are not needed.
    counts : list of int
        Discs in a window.

    Raises
    ------
    UserError
    """
    for count in counts:
        if not any(window_levels(sample.levels, count, place) for sample in samples for place in PLACES):
            raise UserError(
                f"--windows {count}: no scan has a window of {count} labelled discs that begins at C1-C2, ends at "
                "L5-S1, or lies within T1-T2 to T12-L1: give another number"
            )


def cut(sample, levels):
    """Cut a sample to some of its levels.

    The cut runs midway to the next disc, which is outside from then on; above C1-C2 and below L5-S1 it
    leaves 40 mm.

    Parameters
    ----------
    sample : utils.scans.sample.Sample
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


def label_windows(labeller, samples, counts, levels):
    """Label scans cut to a few discs.

    Parameters
    ----------
    labeller : utils.inference.labeller.Labeller
    samples : sequence of utils.scans.sample.Sample
    counts : list of int
        Discs in a window.
    levels : list of int
        Discs that are scored.

    Returns
    -------
    dict
        (place, count) to the rows of `utils.evaluation.cases.compare`, where there is such a window.
    """
    found = {}
    for place in PLACES:
        for count in counts:
            cuts = windows_of(samples, count, place)
            cases = [Case.of(sample, labeller.label(sample.slabs, sample.offsets)) for sample in cuts]
            if cases:
                found[place, count] = [row for case in cases for row in compare(case, levels)]
    return found


def windows_of(samples, count, place):
    """Yield all samples that can be cut to such a window, cut."""
    for sample in samples:
        levels = window_levels(sample.levels, count, place)
        if levels is not None:
            yield cut(sample, levels)
