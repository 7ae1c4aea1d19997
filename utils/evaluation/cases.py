"""Truth and prediction of a scan side by side, and what became of each disc; points in mm."""

from dataclasses import dataclass

import numpy as np

from utils.scans.sample import UNKNOWN

NEAR_MM = 10.0  # a prediction of a disc's own level within this distance identifies it


@dataclass
class Case:
    """One scan: its truth and its prediction.

    Attributes
    ----------
    name, subject, contrast, source : str
    true_levels, levels : (N,), (M,) int arrays
    true_points, points : (N, 2), (M, 2) arrays
        (row, col) in mm, rows pointing down.
    confidence : (M,) array in 0..1
    states : (26,) array
        PRESENT, OUTSIDE or UNKNOWN, by level.
    true_across, across : (N,), (M,) arrays
        Left-right position in mm.
    group : str
        Equal for subjects who are the same participant; the subject itself where nothing else is known.
    level_confidence : float in 0..1
        Chance that the levels of the whole chain are right; NaN where it is not known.
    """

    name: str
    subject: str
    contrast: str
    source: str
    true_levels: np.ndarray
    true_points: np.ndarray
    levels: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    states: np.ndarray
    true_across: np.ndarray
    across: np.ndarray
    group: str = ""
    level_confidence: float = float("nan")

    def __post_init__(self):
        self.group = self.group or self.subject

    @classmethod
    def of(cls, sample, prediction):
        """Put truth and prediction of a scan side by side.

        Parameters
        ----------
        sample : utils.scans.sample.Sample
        prediction : utils.inference.labeller.Prediction
        """
        return cls(
            sample.name, sample.subject, sample.contrast, sample.source, sample.levels, sample.points * sample.spacing,
            prediction.levels, prediction.points * sample.spacing, prediction.confidence, sample.states,
            sample.across, prediction.across, sample.group, prediction.level_confidence,
        )  # fmt: skip


@dataclass(slots=True)  # there are many
class Disc:
    """One row of the table of discs: a true disc, a prediction, or both at once if their levels agree.

    ``error`` is the distance in mm (NaN unless both), ``error_si`` its part along superior-inferior
    (prediction below the truth is positive), ``error_lr`` the distance left-right, ``outcome`` one of identified, far,
    missed, extra, wrong level and unknown.
    """

    case: Case
    level: int
    true: np.ndarray | None
    found: np.ndarray | None
    confidence: float
    error: float
    error_si: float
    error_lr: float
    outcome: str


def compare(case, levels):
    """List what became of each true and each predicted disc of a scan.

    A true disc is ``identified`` if the prediction of its own level lies within 10 mm. It is ``far`` if that
    prediction lies further away, which counts as one false negative and one false positive, and ``missed`` if
    there is none. A prediction of a level that is known to be outside the image is ``extra``. A prediction of a
    level that was not labelled though it may be visible is ``wrong level`` if it lies within 10 mm of another
    level's true disc, and ``unknown`` otherwise: neither right nor wrong.

    Parameters
    ----------
    case : Case
    levels : sequence of int
        True discs of other levels are left out, and so are predictions of other levels.

    Returns
    -------
    list of Disc
    """
    true_points = {int(k): p for k, p in zip(case.true_levels, case.true_points, strict=True)}
    true_across = {int(k): x for k, x in zip(case.true_levels, case.true_across, strict=True)}
    predicted = {
        int(k): (p, c, x) for k, p, c, x in zip(case.levels, case.points, case.confidence, case.across, strict=True)
    }
    rows = []
    for level in levels:
        true = true_points.get(level)
        found, confidence, across = predicted.get(level, (None, np.nan, np.nan))
        if true is None and found is None:
            continue
        error = error_si = error_lr = np.nan
        if true is not None and found is not None:
            error, error_si = float(np.linalg.norm(found - true)), float(found[0] - true[0])
            error_lr = float(abs(across - true_across[level]))
            outcome = "identified" if error <= NEAR_MM else "far"
        elif true is not None:
            outcome = "missed"
        elif case.states[level] == UNKNOWN:
            near = any(np.linalg.norm(found - point) <= NEAR_MM for point in true_points.values())
            outcome = "wrong level" if near else "unknown"
        else:
            outcome = "extra"
        rows.append(Disc(case, level, true, found, float(confidence), error, error_si, error_lr, outcome))
    return rows
