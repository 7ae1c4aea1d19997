"""The geometry of the chain of discs, and the exact search for the best chain over candidates.

The published method searches a tree of all combinations of candidates for the path nearest to a mean
skeleton (Azad et al. 2021), which grows exponentially. A chain scored by its discs and by neighbouring
pairs is a hidden Markov model over the levels, so dynamic programming (Viterbi) finds its exact optimum
in time linear in levels and quadratic in candidates a level.

Pure NumPy; points are (row, col) in mm here, rows pointing down and columns backward.
"""

from dataclasses import dataclass

import numpy as np

from utils.discs import FIRST, LAST, TYPICAL_GAP_MM

SIZES = np.array([0.65, 0.72, 0.8, 0.87, 0.94, 1.0, 1.07, 1.15, 1.24, 1.35])
MOST_MISSING = 3  # levels that a chain may leave out between two of its discs
DOUBT = 0.08  # evidence at which a disc is as well left out as taken
MISSING_PRICE = 2.0  # for each level left out between two discs
END_PRICE = 1.0  # for ending where the next disc would still lie inside the slice
SIZE_SD = 0.2  # of the logarithm of a spine's size


@dataclass(frozen=True)
class Prior:
    """Vectors from each disc to the next, for a spine of size 1.

    Attributes
    ----------
    mean : (26, 2) array
        ``mean[k]`` leads from disc k to disc k + 1, (row, col) in mm.
    covariance : (26, 2, 2) array
        In square mm.
    """

    mean: np.ndarray
    covariance: np.ndarray

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


def learn_prior(spines, worth=4.0):
    """Learn the prior from labelled spines.

    Each pair of neighbours seen pulls the mean and the covariance of its level away from a typical,
    straight spine, which counts as much as ``worth`` pairs; so levels that were never seen keep it.

    Parameters
    ----------
    spines : list of (points (N, 2) in mm, levels (N,) ascending)
    worth : float

    Returns
    -------
    Prior
    """
    mean = np.zeros((LAST + 1, 2))
    covariance = np.zeros((LAST + 1, 2, 2))
    vectors = {level: [] for level in range(FIRST, LAST)}
    for points, levels in spines:
        size = spine_size(points, levels)
        for i in range(len(levels) - 1):
            if levels[i + 1] == levels[i] + 1:
                vectors[int(levels[i])].append((np.asarray(points[i + 1]) - points[i]) / size)
    for level, seen in vectors.items():
        gap = TYPICAL_GAP_MM[level]
        start, spread = np.array([gap, 0.0]), np.diag([(0.14 * gap) ** 2, (0.35 * gap) ** 2])
        seen = np.reshape(seen, (-1, 2))
        mean[level] = (worth * start + seen.sum(0)) / (worth + len(seen))
        away = seen - mean[level]
        # A floor for annotation errors, of about 2 mm at either end.
        covariance[level] = (worth * spread + away.T @ away) / (worth + len(seen)) + np.eye(2) * 4.0
    return Prior(mean, covariance)


def _links(prior):
    """Return mean (26, G, 2), inverse covariance (26, G, 2, 2) and least distance (26, G) by level and jump - 1."""
    jumps = MOST_MISSING + 1
    mean, spread = np.zeros((LAST + 1, jumps, 2)), np.tile(np.eye(2), (LAST + 1, jumps, 1, 1))
    for level in range(FIRST, LAST):
        for jump in range(1, min(jumps, LAST - level) + 1):
            mean[level, jump - 1] = prior.mean[level : level + jump].sum(0)
            # Neighbouring vectors bend together, so their spreads add rather than their variances.
            spread[level, jump - 1] = jump * prior.covariance[level : level + jump].sum(0)
    return mean, np.linalg.inv(spread), np.linalg.norm(mean, axis=-1) / 3


def link_scores(prior_links, level, jump, start, end, sizes):
    """Score all vectors from discs of one level to discs of a lower one.

    Parameters
    ----------
    prior_links : tuple
        From the prior, by `_links`.
    level, jump : int
        The upper disc is ``level``, the lower one ``level + jump``.
    start, end : (M, 2), (N, 2) arrays in mm
    sizes : (S,) array

    Returns
    -------
    (S, M, N) array
        Log-density up to a constant less the price of levels left out; minus infinity where the lower
        disc is not at least a third of the expected distance further down: so no two discs of a chain,
        neighbours or not, can be closer than that.
    """
    mean, inverse, least = (table[level, jump - 1] for table in prior_links)
    vector = (end[None, :] - start[:, None])[None] / sizes[:, None, None, None]
    away = vector - mean
    score = -0.5 * np.einsum("smni,ij,smnj->smn", away, inverse, away) - MISSING_PRICE * (jump - 1)
    return np.where(vector[..., 0] >= least, score, -np.inf)


def _end_prices(prior, level, points, step, sizes, extent):
    """Price (S, M) of a chain's end at these points: nothing where the next disc would lie outside the slice."""
    neighbour = level + step
    if not FIRST < neighbour <= LAST:
        return np.zeros((len(sizes), len(points)))
    vector = prior.mean[min(level, neighbour)] * step
    place = points[None] + sizes[:, None, None] * vector
    inside = ((place >= 0) & (place <= np.asarray(extent))).all(-1)
    return END_PRICE * inside


def search(candidates, levels, prior, extent, sizes=SIZES):
    """Find the best chain of discs, exactly.

    The score of a chain is the sum of log(evidence / DOUBT) over its discs, of `link_scores` over
    neighbours in the chain, less END_PRICE at either end that stops inside the slice, and of a Gaussian on
    the logarithm of the spine's size, which is the best one of ``sizes``. The empty chain scores 0.

    Parameters
    ----------
    candidates : list of (points (M, 2) in mm, evidence (M,) in 0..1), one a level
    levels : sequence of int
        Ascending; the level of each entry of ``candidates``.
    prior : Prior
    extent : (height, width)
        Of the slice, in mm.
    sizes : (S,) array

    Returns
    -------
    chain : dict
        Level to the index of the candidate that it takes; levels without a disc are absent.
    score : float
    """
    links = _links(prior)
    sizes = np.asarray(sizes, float)
    size_score = -0.5 * (np.log(sizes) / SIZE_SD) ** 2
    nodes, best, back = {}, {}, {}
    for level, (points, evidence) in zip(levels, candidates, strict=True):
        points, evidence = np.reshape(points, (-1, 2)).astype(float), np.reshape(evidence, -1).astype(float)
        usable = np.isfinite(points).all(1) & np.isfinite(evidence) & (evidence > 0)
        if not usable.any():
            continue
        index = np.flatnonzero(usable)
        points, worth = points[index], np.log(np.minimum(evidence[index], 1.0) / DOUBT)
        nodes[level] = index, points
        score = size_score[:, None] - _end_prices(prior, level, points, -1, sizes, extent)
        origin = np.full((*score.shape, 2), -1)
        for jump in range(1, MOST_MISSING + 2):
            upper = level - jump
            if upper not in best:
                continue
            through = best[upper][..., None] + link_scores(links, upper, jump, nodes[upper][1], points, sizes)
            parent = through.argmax(1)
            reached = np.take_along_axis(through, parent[:, None], 1)[:, 0]
            better = reached > score
            score = np.where(better, reached, score)
            origin[better] = np.stack([np.full_like(parent, upper), parent], -1)[better]
        best[level], back[level] = score + worth, origin
    chain, top, end = {}, 0.0, None
    for level, score in best.items():
        final = score - _end_prices(prior, level, nodes[level][1], 1, sizes, extent)
        place = np.unravel_index(final.argmax(), final.shape)
        if final[place] > top:
            top, end = float(final[place]), (level, *place)
    while end is not None:
        level, size, node = end
        chain[level] = int(nodes[level][0][node])
        upper, parent = back[level][size, node]
        end = None if upper < 0 else (int(upper), size, int(parent))
    return dict(sorted(chain.items())), top
