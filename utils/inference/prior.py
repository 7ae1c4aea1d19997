"""The prior of the chain of discs: vectors from each disc to the next, learned from labelled spines.

The published method keeps a mean skeleton of the training set (Azad et al. 2021); here each pair of neighbours has a
mean and a covariance. Pure NumPy; points are (row, col) in mm, rows pointing down and columns backward.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from utils.discs import FIRST, LAST, SACRAL, TYPICAL_GAP_MM

START_WORTH = 4.0  # pairs of neighbours that the prior before learning counts as
MOST_MISSING = 3  # levels that a chain may leave out between two of its discs
LOOSENESS = 2.0  # of the prior's covariance: new subjects differ more than those it was learned from
FLOOR = np.eye(2) * 4.0  # of the prior's covariance: annotation errors of about 2 mm at either end
SACRAL_SLOPE = np.array([0.7, 0.7])  # the back of S1 lies half way between upright and level (Vialle et al. 2005)


@dataclass(frozen=True)
class Prior:
    """Vectors from each disc to the next, for a spine of size 1.

    Attributes
    ----------
    mean : (27, 2) array
        ``mean[k]`` leads from disc k to disc k + 1, (row, col) in mm.
    covariance : (27, 2, 2) array
        In square mm.
    """

    mean: np.ndarray
    covariance: np.ndarray

    @cached_property
    def links(self):
        """Mean (27, G, 2), inverse covariance (27, G, 2, 2) and least way down (27, G), by level and jump - 1."""
        jumps = MOST_MISSING + 1
        mean, spread = np.zeros((SACRAL + 1, jumps, 2)), np.tile(np.eye(2), (SACRAL + 1, jumps, 1, 1))
        for level in range(FIRST, SACRAL):
            for jump in range(1, min(jumps, SACRAL - level) + 1):
                mean[level, jump - 1] = self.mean[level : level + jump].sum(0)
                # Neighbouring vectors bend together, so their spreads add rather than their variances.
                spread[level, jump - 1] = LOOSENESS * jump * self.covariance[level : level + jump].sum(0)
        return mean, np.linalg.inv(spread), np.linalg.norm(mean, axis=-1) / 3

    def to_dict(self):
        """Return plain lists, for a checkpoint."""
        return {"mean": self.mean.tolist(), "covariance": self.covariance.tolist()}

    @classmethod
    def from_dict(cls, values):
        """Rebuild the prior that `to_dict` gave."""
        return cls(np.asarray(values["mean"], float), np.asarray(values["covariance"], float))


def spine_size(points, levels):
    """Return the spine's size: its length over the typical length between the same levels; 1 for one disc."""
    levels = np.asarray(levels, int)
    if len(levels) < 2:
        return 1.0
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    return float(length / sum(TYPICAL_GAP_MM[level] for level in range(levels[0], levels[-1])))


def typical_prior():
    """Return the prior of straight spines with typical distances, bent loosely, on a sacrum that lies half way back."""
    mean = np.zeros((SACRAL + 1, 2))
    covariance = np.zeros((SACRAL + 1, 2, 2))
    for level in range(FIRST, SACRAL):
        gap = TYPICAL_GAP_MM[level]
        mean[level] = gap * SACRAL_SLOPE if level == LAST else (gap, 0.0)
        covariance[level] = np.diag([(0.14 * gap) ** 2, (0.35 * gap) ** 2]) + FLOOR
    return Prior(mean, covariance)


def learn_prior(spines, start):
    """Learn the prior from labelled spines.

    Each pair of neighbours seen pulls the mean and the covariance of its level away from those of ``start``,
    which counts as much as `START_WORTH` pairs; so levels that were never seen keep it.

    Parameters
    ----------
    spines : list of (points (N, 2) in mm, levels (N,) ascending)
    start : Prior
        As of `prior_of`.

    Returns
    -------
    Prior
    """
    mean, covariance = start.mean.copy(), start.covariance.copy()
    vectors = {level: [] for level in range(FIRST, SACRAL)}
    for points, levels in spines:
        size = spine_size(points, levels)
        for i in range(len(levels) - 1):
            if levels[i + 1] == levels[i] + 1:
                vectors[int(levels[i])].append((np.asarray(points[i + 1]) - points[i]) / size)
    for level, seen in vectors.items():
        seen = np.reshape(seen, (-1, 2))
        mean[level] = (START_WORTH * start.mean[level] + seen.sum(0)) / (START_WORTH + len(seen))
        away = seen - mean[level]
        spread = START_WORTH * (start.covariance[level] - FLOOR) + away.T @ away
        covariance[level] = spread / (START_WORTH + len(seen)) + FLOOR
    return Prior(mean, covariance)


def prior_of(checkpoint):
    """Return the prior that a checkpoint holds, or the typical one where there is none."""
    return Prior.from_dict(checkpoint["prior"]) if checkpoint and checkpoint["prior"] else typical_prior()
