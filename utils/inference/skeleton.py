"""The exact search for the best chain of discs over candidates.

The published method searches a tree of all combinations of candidates for the path nearest to a mean
skeleton (Azad et al. 2021), which grows exponentially. A chain scored by its discs and by neighbouring
pairs is a hidden Markov model over the levels, so dynamic programming (Viterbi) finds its exact optimum
in time linear in levels and quadratic in candidates per level.

Pure NumPy; points are (row, col) in mm here, rows pointing down and columns backward.
"""

from dataclasses import dataclass

import numpy as np

from utils.discs import FIRST, LAST, SACRAL
from utils.inference.prior import MOST_MISSING

SIZES = np.array([0.65, 0.72, 0.8, 0.87, 0.94, 1.0, 1.07, 1.15, 1.24, 1.35])
DOUBT = 0.08  # evidence at which a place that may be nothing is as well left out as taken
LEAST_DOUBT = 1e-3  # of a place that is a disc with high confidence
PLAIN = 0.25  # evidence of a level that noise does not reach
MISSING_PRICE = 2.0  # for each level left out between two discs
END_PRICE = 1.0  # for ending where the next disc would still lie inside the slice
SIZE_SD = 0.2  # of the logarithm of a spine's size
LEAST_EVIDENCE = 1e-3  # what a heatmap that shows nothing counts as in a shifted chain
NEVER = -1e9  # a score that no chain makes up for; finite, so that sums and differences stay numbers


def link_scores(prior, level, jump, start, end, sizes):
    """Score vectors from discs to discs further down.

    Parameters
    ----------
    prior : Prior
    level, jump : (...) int arrays
        The upper disc is ``level``, the lower one ``level + jump``.
    start, end : (..., 2) arrays in mm
    sizes : (S,) array

    Returns
    -------
    (..., S) array
        Log-density up to a constant less the price of levels left out; `NEVER` where the lower disc is not
        at least a third of the expected distance further down: so no two discs of a chain, neighbours or
        not, can be closer than that.
    """
    mean, inverse, least = (table[level, np.asarray(jump) - 1] for table in prior.links)
    vector = end - start
    # The square (v / s - m)' A (v / s - m), with what does not depend on the size s taken out of the loop over it.
    pull = inverse[..., 0] * vector[..., :1] + inverse[..., 1] * vector[..., 1:]
    own, mixed = (pull * vector).sum(-1)[..., None], (pull * mean).sum(-1)[..., None]
    fixed = ((inverse @ mean[..., None])[..., 0] * mean).sum(-1) + 2 * MISSING_PRICE * (np.asarray(jump) - 1)
    score = -0.5 * ((own / sizes - 2 * mixed) / sizes + fixed[..., None])
    return np.where(vector[..., :1] >= least[..., None] * sizes, score, NEVER)


def _end_prices(prior, level, points, step, sizes, extent):
    """Price (..., S) of a chain's end at discs (...): nothing where the next disc would lie outside the slice."""
    neighbour = level + step
    exists = (neighbour >= FIRST) & (neighbour <= LAST)  # many spines have no remnant disc S1-S2
    vector = prior.mean[np.clip(np.minimum(level, neighbour), 0, SACRAL)] * step
    place = points[..., None, :] + sizes[:, None] * vector[..., None, :]
    return END_PRICE * (((place >= 0) & (place <= np.asarray(extent))).all(-1) & exists[..., None])


def _size_scores(sizes):
    return -0.5 * (np.log(sizes) / SIZE_SD) ** 2


def doubt_of(evidence):
    """Return the chance (N,) that a place is no disc at all, from its evidence (N, levels) for every level.

    It is what all levels together leave of 1, if one of them has clear evidence: noise has a little evidence for all.
    So a high price stands on leaving out a place that is a disc with high confidence, even where the network cannot
    decide between two levels for it: a chain shifted by one level leaves its first or last disc without a level.
    """
    evidence = np.asarray(evidence, float)
    return np.where(evidence.max(-1) >= PLAIN, np.clip(1.0 - evidence.sum(-1), LEAST_DOUBT, DOUBT), DOUBT)


def _worth(evidence, doubt):
    return np.log(np.minimum(evidence, 1.0) / doubt)


def chain_score(points, evidence, doubt, levels, prior, extent, sizes=SIZES):
    """Score one chain by the objective of `search`.

    Parameters
    ----------
    points : (N, 2) array in mm, evidence, doubt : (N,) arrays in 0..1, levels : (N,) ascending int array
    prior, extent, sizes : as in `search`

    Returns
    -------
    float
        0 for the empty chain.
    """
    if len(levels) == 0:
        return 0.0
    levels, jumps = np.asarray(levels), np.diff(levels)
    if (jumps > MOST_MISSING + 1).any():
        return NEVER
    total = _size_scores(sizes) + _worth(np.asarray(evidence), np.asarray(doubt)).sum()
    total = total + link_scores(prior, levels[:-1], jumps, points[:-1], points[1:], sizes).sum(0)
    total = total - _end_prices(prior, levels[0], points[0], -1, sizes, extent)
    return float((total - _end_prices(prior, levels[-1], points[-1], 1, sizes, extent)).max())


@dataclass
class Chain:
    """What `search` found.

    Attributes
    ----------
    picks : dict
        Level to the index of the candidate that it takes; levels without a disc are absent.
    score : float
    share : dict
        Level to the share, 0..1, of all chains, each weighted by the exponential of its score, that take
        the same candidate for that level.
    """

    picks: dict
    score: float
    share: dict


def search(candidates, levels, prior, extent, sizes=SIZES):
    """Find the best chain of discs, exactly.

    The score of a chain is the sum of log(evidence / doubt) over its discs, of `link_scores` over
    neighbours in the chain, less END_PRICE at either end that stops inside the slice, and of a Gaussian on
    the logarithm of the spine's size, which is the best one of ``sizes``. The empty chain scores 0.

    Parameters
    ----------
    candidates : list of (points (M, 2) in mm, evidence (M,) in 0..1, doubt (M,) of `doubt_of`), one per level
    levels : sequence of int
        Ascending; the level of each entry of ``candidates``.
    prior : Prior
    extent : (height, width)
        Of the slice, in mm.
    sizes : (S,) array

    Returns
    -------
    Chain
    """
    sizes, jumps = np.asarray(sizes, float), MOST_MISSING + 1
    # Every level has room for the same number of candidates, and empty levels surround the real ones:
    # then one step of the recursion is one operation on arrays.
    most = max([np.size(evidence) for _, evidence, _ in candidates], default=0)
    places = np.zeros((SACRAL + 1 + 2 * jumps, most, 2))
    worth = np.full((SACRAL + 1 + 2 * jumps, most), NEVER)
    for level, (points, evidence, doubt) in zip(levels, candidates, strict=True):
        points, evidence = np.reshape(points, (-1, 2)).astype(float), np.reshape(evidence, -1).astype(float)
        usable = np.flatnonzero(np.isfinite(points).all(1) & np.isfinite(evidence) & (evidence > 0))
        places[level + jumps, usable] = points[usable]
        worth[level + jumps, usable] = _worth(evidence[usable], np.asarray(doubt)[usable])
    if not (worth > NEVER).any():
        return Chain({}, 0.0, {})

    numbers = np.arange(SACRAL + 1)
    inner = slice(jumps, jumps + SACRAL + 1)
    start = _size_scores(sizes) - _end_prices(prior, numbers[:, None], places[inner], -1, sizes, extent)
    final = -_end_prices(prior, numbers[:, None], places[inner], 1, sizes, extent)
    # links[level, jump - 1, i, j, size]: from candidate i of level - jump to candidate j of level.
    uppers = numbers[:, None] - np.arange(1, jumps + 1)
    links = link_scores(
        prior, np.maximum(uppers, 0)[..., None, None], np.broadcast_to(numbers[:, None] - uppers, uppers.shape)
        [..., None, None], places[uppers + jumps][..., None, :], places[inner][:, None, None], sizes,
    )  # fmt: skip

    worth = worth[..., None]
    best = np.full((*worth.shape[:2], len(sizes)), NEVER)
    summed = best.copy()
    origin = np.zeros((SACRAL + 1, most, len(sizes)), int)
    for level in range(FIRST, SACRAL + 1):
        if (worth[level + jumps] <= NEVER).all():
            continue
        before = slice(level + jumps - 1, level - 1, -1)  # jumps of 1, 2, ...
        through = (best[before][:, :, None] + links[level]).reshape(jumps * most, most, -1)
        origin[level] = through.argmax(0)
        reached = through.max(0)
        begins = start[level] >= reached
        origin[level][begins] = -1
        best[level + jumps] = np.maximum(start[level], reached) + worth[level + jumps]
        through = (summed[before][:, :, None] + links[level]).reshape(jumps * most, most, -1)
        summed[level + jumps] = _log_sum(np.concatenate([start[level][None], through])) + worth[level + jumps]

    ends = best[inner] + final
    top = np.unravel_index(ends.argmax(), ends.shape)
    if ends[top] <= 0:
        return Chain({}, 0.0, {})
    picks, (level, pick, size) = {}, top
    while True:
        picks[int(level)] = int(pick)
        parent = origin[level, pick, size]
        if parent < 0:
            break
        level, pick = level - 1 - parent // most, parent % most
    picks = dict(sorted(picks.items()))
    return Chain(picks, float(ends[top]), _shares(picks, summed, final, links, worth, jumps))


def strongest(candidates, levels):
    """Take the strongest candidate of each level by itself where there is evidence enough, to compare with `search`."""
    picks = {
        level: int(np.argmax(evidence))
        for level, (_, evidence, _) in zip(levels, candidates, strict=True)
        if np.max(evidence, initial=0.0) > DOUBT
    }
    evidence = [candidates[list(levels).index(level)][1][pick] for level, pick in picks.items()]
    return Chain(picks, float(_worth(np.array(evidence), DOUBT).sum()), dict(zip(picks, evidence, strict=True)))


def shift_margin(points, levels, evidence, score, prior, extent):
    """Return how much better a chain is than the same discs labelled one level higher or lower.

    Parameters
    ----------
    points : (N, 2) array in mm, levels : (N,) ascending int array
        The chain.
    evidence : dict
        Level to the evidence (N,) in 0..1 that each of the chain's places has for it.
    score : float
        Of the chain.
    prior, extent : as in `search`

    Returns
    -------
    float
        In units of log-probability; NaN without a disc.
    """
    if len(levels) == 0:
        return float("nan")
    shifted, doubt = [], doubt_of(np.stack(list(evidence.values()), -1))
    for step in (-1, 1):
        # A disc that would get a level that the network does not know is left out.
        known = np.array([level + step in evidence for level in levels])
        own = np.array([evidence[level + step][i] for i, level in enumerate(levels) if known[i]])
        moved = np.asarray(levels)[known] + step
        own = np.maximum(own, LEAST_EVIDENCE)
        shifted.append(chain_score(points[known], own, doubt[known], moved, prior, extent, SIZES))
    return score - max(shifted)


def _shares(picks, summed, final, links, worth, jumps):
    """Return the share of each picked candidate in all chains, from the forward sums."""
    onward = np.full_like(summed, NEVER)
    for level in range(SACRAL, FIRST - 1, -1):
        ways = [final[level][None]]
        for jump in range(1, min(jumps, SACRAL - level) + 1):
            below = level + jump + jumps
            ways.append(np.swapaxes(links[level + jump, jump - 1] + (worth + onward)[below], 0, 1))
        onward[level + jumps] = _log_sum(np.concatenate(ways))
    total = (summed + onward)[jumps : jumps + SACRAL + 1]
    inner = summed[jumps : jumps + SACRAL + 1] + final
    whole = _log_sum(np.append(inner.ravel(), 0.0))
    return {level: float(np.exp(min(_log_sum(total[level, pick]) - whole, 0.0))) for level, pick in picks.items()}


def _log_sum(values):
    """Return the logarithm of the sum of exponentials along the first axis."""
    top = values.max(0)
    return top + np.log(np.exp(values - top).sum(0))
