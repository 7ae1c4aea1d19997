"""Level confidence: the chance that a chain is not shifted, and that no vertebra in it is missing or extra.

Wrong labels are nearly always a shift of the whole chain, and a network that takes S1 for L5 often does so with high
confidence. So each of the views of `utils.inference.test_time_augmentation` is labelled by itself, too. A logistic
regression (Platt 1999) on scans with labels maps how far they agree with the chain, and the margin to the shifted
chains, to the chance that most discs carry their own level. Pure NumPy.
"""

from dataclasses import dataclass, field

import numpy as np

from utils.inference.confidence import chance, fit_logistic

NEAR_MM = 8.0  # a disc of a view is the same disc: less than half the smallest distance of neighbours
START = np.array([0.0, 1.0, 0.0])  # without a calibration: odds of 1 to 1 at a margin of 0, 20 to 1 at one of 30
RIDGE = 1.0


@dataclass(frozen=True)
class LevelCalibration:
    """Weights of the logistic regression.

    Attributes
    ----------
    weights : (3,) array
        For the columns of `features`.
    """

    weights: np.ndarray = field(default_factory=START.copy)

    def confidence(self, margin, agreement):
        """Return the chance in 0..1 that a chain's levels are right; parameters as in `features`."""
        return float(chance(features([margin], [agreement]) @ self.weights)[0])

    def to_dict(self):
        """Return plain values, for a checkpoint."""
        return {"weights": self.weights.tolist()}

    @classmethod
    def from_dict(cls, values):
        """Rebuild the calibration that `to_dict` gave."""
        return cls(np.asarray(values["weights"], float))


def agreement(points, levels, others, spacing):
    """Return the share in 0..1 of a chain's discs that the views label alike.

    Parameters
    ----------
    points : (N, 2) array
        Row and column in pixels.
    levels : (N,) int array
    others : list of (points (M, 2), levels (M,))
        Of the views, carried back to the slab.
    spacing : float
        Of a pixel in mm.
    """
    alike = []
    for other_points, other_levels in others:
        found = dict(zip(other_levels, np.asarray(other_points), strict=True))
        alike += [
            level in found and np.linalg.norm(found[level] - point) * spacing < NEAR_MM
            for level, point in zip(levels, points, strict=True)
        ]
    return float(np.mean(alike)) if alike else 0.0


def features(margin, alike):
    """Return what the confidence depends on.

    Parameters
    ----------
    margin : (N,) array
        Score of each chain less that of the best chain shifted by a level.
    alike : (N,) array
        `agreement` of each chain.

    Returns
    -------
    (N, 3) array
        1, a tenth of the margin within bounds, the agreement less a half.
    """
    margin = np.clip(np.asarray(margin, float), -10, 30) / 10
    return np.stack([np.ones(len(margin)), margin, np.asarray(alike, float) - 0.5], -1)


def fit_levels(margin, alike, right):
    """Calibrate on chains whose levels are known to be right or wrong.

    Parameters
    ----------
    margin, alike : (N,) arrays, as in `features`
    right : (N,) bool array

    Returns
    -------
    LevelCalibration
    """
    return LevelCalibration(fit_logistic(features(margin, alike), right, START, RIDGE))
