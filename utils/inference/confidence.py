"""Confidence of a disc: the chance that it is right, from the evidence of the network and of the search.

A logistic regression (Platt 1999) on the validation split maps evidence, share of chains and margin to
the chance that a disc lies within 10 mm of the true disc of its level. Pure NumPy.
"""

from dataclasses import dataclass, field

import numpy as np

START = np.array([0.0, 1.0, 0.0, 0.0])  # without a calibration: the share of chains as it is
BINS = 10  # of the reliability
RIDGE = 1.0  # pulls towards START, so that few discs, or none that is wrong, give no full confidence


@dataclass(frozen=True)
class Calibration:
    """Weights of the logistic regression, and the confidence under which a disc is left out.

    Attributes
    ----------
    weights : (4,) array
        For the columns of `features`.
    threshold : float
    """

    weights: np.ndarray = field(default_factory=START.copy)
    threshold: float = 0.0

    def confidence(self, evidence, share, margin):
        """Return the confidence (N,) in 0..1 of discs; parameters as in `features`."""
        return chance(features(evidence, share, margin) @ self.weights)

    def to_dict(self):
        """Return plain values, for a checkpoint."""
        return {"weights": self.weights.tolist(), "threshold": float(self.threshold)}

    @classmethod
    def from_dict(cls, values):
        """Rebuild the calibration that `to_dict` gave."""
        return cls(np.asarray(values["weights"], float), float(values["threshold"]))


def chance(odds):
    """Return the chance in 0..1 for log-odds of any size."""
    return np.exp(-np.logaddexp(0, -odds))


def features(evidence, share, margin):
    """Return what the confidence depends on.

    Parameters
    ----------
    evidence : (N,) array
        Heatmap value in 0..1.
    share : (N,) array
        Share of all chains that take the disc's candidate, in 0..1.
    margin : (N,) array
        Score of the disc's chain less that of the chain shifted by a level.

    Returns
    -------
    (N, 4) array
        1, the log-odds of the share, the log of the evidence, a tenth of the margin; each within bounds.
    """
    share = np.clip(share, 1e-3, 1 - 1e-3)
    return np.stack(
        [
            np.ones(len(share)),
            np.log(share / (1 - share)),
            np.log(np.clip(evidence, 0.01, 1)),
            np.clip(margin, -10, 30) / 10,
        ],
        -1,
    )


def fit(evidence, share, margin, right, n_true):
    """Calibrate on discs that are known to be right or wrong.

    Parameters
    ----------
    evidence, share, margin : (N,) arrays, as in `features`
    right : (N,) bool array
    n_true : int
        True discs that could have been found, for the threshold.

    Returns
    -------
    Calibration
    """
    x = features(evidence, share, margin)
    weights = fit_logistic(x, right, START, RIDGE)
    return Calibration(weights, best_threshold(chance(x @ weights), np.asarray(right, float), n_true))


def fit_logistic(x, right, start, ridge):
    """Fit a logistic regression by Newton's method.

    Parameters
    ----------
    x : (N, K) array
    right : (N,) bool array
    start : (K,) array
        Weights that the fit begins with and is pulled towards.
    ridge : float
        Strength of that pull.

    Returns
    -------
    (K,) array
        The weights at the optimum, of which there is one: the objective is strictly convex.
    """
    right, weights = np.asarray(right, float), np.array(start, float)

    def cost(weights):
        odds = x @ weights
        return (np.logaddexp(0, odds) - right * odds).sum() + 0.5 * ridge * ((weights - start) ** 2).sum()

    for _ in range(100):
        p = chance(x @ weights)
        slope = x.T @ (p - right) + ridge * (weights - start)
        if np.abs(slope).max() < 1e-6:
            break
        bend = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(start))
        step = np.linalg.solve(bend, slope)
        # Where the curve flattens a whole step leads beyond the other side.
        while cost(weights - step) > cost(weights) - 1e-4 * slope @ step and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights - step
    return weights


def best_threshold(confidence, right, n_true):
    """Return the lowest threshold whose discs, at or above it, have as high an F2 score as any.

    F2 counts a disc that is left out four times as much as a wrong one (van Rijsbergen 1979): a disc of low confidence
    that is shown has its flag and can be reviewed; one that is not shown has to be found anew.

    Parameters
    ----------
    confidence : (N,) array in 0..1
    right : (N,) array of 0 and 1
    n_true : int
        True discs that could have been found.

    Returns
    -------
    float
        Half way to the highest confidence that is left out; 0 where none is.
    """
    order = np.argsort(-np.asarray(confidence), kind="stable")
    ordered, hits = np.asarray(confidence)[order], np.cumsum(np.asarray(right)[order])
    score = 5 * hits / (np.arange(1, len(order) + 1) + 4 * n_true)
    ends = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], [True] * (len(ordered) > 0)))  # of equal confidences
    good = ends[score[ends] >= score[ends].max(initial=0.0)]
    if len(order) == 0 or good[-1] == len(score) - 1:
        return 0.0
    last = good[-1]
    return float(0.5 * (ordered[last] + ordered[last + 1]))


def reliability(confidence, right):
    """Compare confidence and share right in `BINS` bins of equal width.

    Parameters
    ----------
    confidence : (N,) array in 0..1
    right : (N,) bool array

    Returns
    -------
    rows : list of (mean confidence, share right, count)
        Of the bins that are not empty, ascending.
    error : float
        Expected calibration error: the mean over discs of the distance of the two (Naeini et al. 2015).
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = []
    for index in np.unique(bin_of):
        own = bin_of == index
        rows.append((float(confidence[own].mean()), float(right[own].mean()), int(own.sum())))
    total = sum(count for _, _, count in rows)
    error = sum(count * abs(chance - share) for chance, share, count in rows) / total if total else float("nan")
    return rows, error
