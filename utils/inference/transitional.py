"""Transitional vertebrae: spines in which another numbering of the levels fits nearly as well.

A sacralised L5 or a lumbarised S1 is common (Apazidis et al. 2011), and a lumbar view alone does not show which of two
numberings is right. There are two signs of it: the lowest discs have nearly as much evidence for the level above or
below their own, as where the remnant disc S1-S2 is nearly a whole one; and where both C2-C3 and L5-S1 are in view, the
number of vertebrae from C1 to the sacrum is not 24. Pure NumPy.
"""

import numpy as np

from utils.discs import FIRST, LAST, SACRAL
from utils.inference.prior import spine_size

AS_GOOD = 0.75  # evidence for another level, as a share of that for a disc's own: from here on either fits
TOP = 3  # C2-C3
PRESACRAL = 24  # vertebrae from C1 to L5
LUMBAR = 21  # L1-L2: from here on levels differ where they are counted from the other end


def other_numbering(evidence, levels):
    """Return the shift of levels by which another numbering fits the lower end of a chain nearly as well.

    Parameters
    ----------
    evidence : dict of int to (N,) array in 0..1
        Of every level, at the places of the chain's discs.
    levels : (N,) int array, ascending
        Of the chain, with S1-S2 where it was found.

    Returns
    -------
    int
        1 where the disc labelled L5-S1 may be S1-S2, -1 where the disc below it may be L5-S1; 0 where neither is so.
    """
    place = {int(level): index for index, level in enumerate(levels)}
    if SACRAL not in evidence or LAST not in place:
        return 0
    for shift, discs in ((1, (LAST - 1, LAST)), (-1, (LAST, SACRAL))):
        if all(
            level in place and evidence[level + shift][place[level]] >= AS_GOOD * evidence[level][place[level]]
            for level in discs
        ):
            return shift
    return 0


def vertebrae(points, levels, prior, extent):
    """Count the vertebrae above the sacrum, where C2-C3 and L5-S1 are in view.

    Each gap between neighbouring discs of the chain holds as many vertebrae as its length says, whatever its labels: a
    chain that leaves out a level where there is no room for it has one vertebra less. So has one that ends at L4-L5,
    with room in the view for two more discs: with four lumbar vertebrae, levels that are right from C2 down end there.

    Parameters
    ----------
    points : (N, 2) array in mm
    levels : (N,) int array, ascending
    prior : utils.inference.prior.Prior
    extent : (height, width)
        Of the slice, in mm.

    Returns
    -------
    int or None
        24 as a rule; None where an end is not in view.
    """
    levels = np.asarray(levels, int)
    inside = (levels >= TOP) & (levels <= LAST)
    points, levels = np.asarray(points, float)[inside], levels[inside]
    if len(levels) < 2 or levels[0] != TOP:
        return None
    size, count = spine_size(points, levels), PRESACRAL
    if levels[-1] != LAST:
        beyond = points[-1] + size * prior.mean[LAST - 1 : SACRAL].sum(0)
        if levels[-1] != LAST - 1 or (beyond > np.asarray(extent)).any():
            return None
        count -= 1
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1) / size
    for gap, upper, lower in zip(gaps, levels, levels[1:], strict=False):
        steps = np.linalg.norm(prior.mean[upper:lower], axis=1)
        count += int(np.round(gap / steps.mean()) - (lower - upper))
    return count


def other_levels(levels, shift, count):
    """Return the levels that the discs have in another numbering.

    Parameters
    ----------
    levels : (N,) int array, ascending
        Of the chain.
    shift : int
        Of `other_numbering`.
    count : int or None
        Of `vertebrae`. Where it is not 24, the lumbar discs have another level counted from the other end of the spine:
        down from C2 where the chain ends at L5-S1, else up from the sacrum.

    Returns
    -------
    dict of int to int
        Level to the other one, without levels that there are not; empty where one numbering alone fits.
    """
    first = FIRST
    if not shift and count not in (None, PRESACRAL):
        first, shift = LUMBAR, count - PRESACRAL if LAST in levels else PRESACRAL - count
    return {int(k): int(k) + shift for k in levels if shift and k >= first and FIRST <= k + shift <= LAST}
