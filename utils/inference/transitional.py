"""Transitional vertebrae: spines in which another numbering of the levels fits nearly as well.

A sacralised L5 or a lumbarised S1 is common (Apazidis et al. 2011), and a lumbar view alone does not show which of two
numberings is right. There are two signs of it: the lowest discs have nearly as much evidence for the level above or
below their own, as where the remnant disc S1-S2 is nearly a whole one; and where both C2-C3 and L5-S1 are in view, the
number of vertebrae from C1 to the sacrum is not 24. Pure NumPy.
"""

import numpy as np

from utils.discs import LAST, SACRAL
from utils.inference.prior import spine_size

AS_GOOD = 0.75  # evidence for another level, as a share of that for a disc's own: from here on either fits
TOP = 3  # C2-C3
PRESACRAL = 24  # vertebrae from C1 to L5


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


def vertebrae(points, levels, prior):
    """Count the vertebrae above the sacrum, where C2-C3 and L5-S1 are in view.

    Each gap between neighbouring discs of the chain holds as many vertebrae as its length says, whatever its labels: a
    chain that leaves out a level where there is no room for it has one vertebra less.

    Parameters
    ----------
    points : (N, 2) array in mm
    levels : (N,) int array, ascending
    prior : utils.inference.prior.Prior

    Returns
    -------
    int or None
        24 as a rule; None where an end is not in view.
    """
    levels = np.asarray(levels, int)
    inside = (levels >= TOP) & (levels <= LAST)
    points, levels = np.asarray(points, float)[inside], levels[inside]
    if len(levels) < 2 or levels[0] != TOP or levels[-1] != LAST:
        return None
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1) / spine_size(points, levels)
    count = PRESACRAL
    for gap, upper, lower in zip(gaps, levels, levels[1:], strict=False):
        steps = np.linalg.norm(prior.mean[upper:lower], axis=1)
        count += int(np.round(gap / steps.mean()) - (lower - upper))
    return count
