"""Scores of predicted against true discs, by two protocols; pure functions over NumPy arrays in mm.

``labelled`` is the honest one: a disc counts only for a prediction of its own level. ``published`` is what
the code released with Azad et al. (2021) computes, which never looks at levels, for comparison.
"""

from dataclasses import dataclass

import numpy as np

from utils.inference.confidence import reliability
from utils.scans.sample import UNKNOWN

NEAR_MM = 10.0
VERSE_MM = 20.0


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
            sample.across, prediction.across,
        )  # fmt: skip


@dataclass
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

    A true disc is ``identified`` if the prediction of its own level lies within 10 mm; it is ``far`` if
    that lies further off, which counts as one false negative and one false positive; ``missed`` if there
    is none. A prediction of a level that is known to be outside is ``extra``. One of a level that was not
    labelled though it may be visible is ``wrong level`` if it lies within 10 mm of another level's true
    disc, and ``unknown`` otherwise: neither right nor wrong.

    Parameters
    ----------
    case : Case
    levels : sequence of int
        True discs of other levels are left out, and so are predictions of other levels.

    Returns
    -------
    list of Disc
    """
    true = {int(k): p for k, p in zip(case.true_levels, case.true_points, strict=True)}
    beside = {int(k): x for k, x in zip(case.true_levels, case.true_across, strict=True)}
    found = {
        int(k): (p, c, x) for k, p, c, x in zip(case.levels, case.points, case.confidence, case.across, strict=True)
    }
    rows = []
    for level in levels:
        place, (guess, sure, across) = true.get(level), found.get(level, (None, np.nan, np.nan))
        if place is None and guess is None:
            continue
        error = error_si = error_lr = np.nan
        if place is not None and guess is not None:
            error, error_si = float(np.linalg.norm(guess - place)), float(guess[0] - place[0])
            error_lr = float(abs(across - beside[level]))
            outcome = "identified" if error <= NEAR_MM else "far"
        elif place is not None:
            outcome = "missed"
        elif case.states[level] == UNKNOWN:
            near = [other for other, p in true.items() if np.linalg.norm(guess - p) <= NEAR_MM]
            outcome = "wrong level" if near else "unknown"
        else:
            outcome = "extra"
        rows.append(Disc(case, level, place, guess, float(sure), error, error_si, error_lr, outcome))
    return rows


def labelled_scores(rows):
    """Sum up the rows of `compare`.

    Parameters
    ----------
    rows : list of Disc

    Returns
    -------
    dict
        Counts ``n_scans``, ``n_true``, ``n_pred`` (those that count), ``n_identified``, ``n_missed``,
        ``n_far``, ``n_extra``, ``n_wrong_level``, ``n_unknown``; shares ``identified`` and ``fn_rate``
        over true discs and ``fp_rate`` over predictions that count; distances to target in mm over the
        identified discs (``dtt_mean``, ``dtt_sd``, ``dtt_median``, ``dtt_p95``) and over all predictions
        of a true disc's level (``all_*``); ``si_mean`` and ``si_sd`` along superior-inferior;
        ``mean_3d`` and ``sd_3d`` in space; ``calibration_error`` of the confidences over predictions that count;
        ``scans_all_right``, the share of scans with every disc identified and no false positive; scans without
        anything that counts are none. What is not defined is NaN.
    """
    count = {
        outcome: sum(row.outcome == outcome for row in rows)
        for outcome in ("identified", "far", "missed", "extra", "wrong level", "unknown")
    }
    n_true = count["identified"] + count["far"] + count["missed"]
    false = count["far"] + count["extra"] + count["wrong level"]
    n_pred = count["identified"] + false
    scans = {}
    for row in rows:
        if row.outcome != "unknown":
            scans[row.case.name] = scans.get(row.case.name, True) and row.outcome == "identified"
    near = np.array([row.error for row in rows if row.outcome == "identified"])
    same = np.array([row.error for row in rows if row.outcome in ("identified", "far")])
    along = np.array([row.error_si for row in rows if row.outcome == "identified"])
    in_space = np.array([np.hypot(row.error, row.error_lr) for row in rows if row.outcome == "identified"])
    judged = [
        (row.confidence, row.outcome == "identified")
        for row in rows
        if row.found is not None and row.outcome != "unknown"
    ]
    _, calibration_error = reliability(*np.reshape(judged, (-1, 2)).T)
    return {
        "n_scans": len(scans), "n_true": n_true, "n_pred": n_pred, "n_identified": count["identified"],
        "n_missed": count["missed"], "n_far": count["far"], "n_extra": count["extra"],
        "n_wrong_level": count["wrong level"], "n_unknown": count["unknown"],
        "identified": _share(count["identified"], n_true),
        "fn_rate": _share(count["missed"] + count["far"], n_true), "fp_rate": _share(false, n_pred),
        **_distances("dtt", near), **_distances("all", same),
        "si_mean": _mean(along), "si_sd": _sd(along), "mean_3d": _mean(in_space), "sd_3d": _sd(in_space),
        "calibration_error": calibration_error,
        "n_all_right": sum(scans.values()), "scans_all_right": _share(sum(scans.values()), len(scans)),
    }  # fmt: skip


def id_verse(cases, levels):
    """Return VerSe's identification rate (Sekuboyina et al. 2021).

    The share of true discs whose prediction of the same level is closer than 20 mm and has that very disc
    as its nearest true one.

    Parameters
    ----------
    cases : list of Case
    levels : sequence of int

    Returns
    -------
    hits, total : int
    """
    hits = total = 0
    for case in cases:
        for level, place in zip(case.true_levels, case.true_points, strict=True):
            if level not in levels:
                continue
            total += 1
            guess = case.points[case.levels == level]
            if len(guess):
                away = np.linalg.norm(case.true_points - guess[0], axis=1)
                nearest = case.true_levels[np.argmin(away)] == level
                hits += bool(nearest and np.linalg.norm(guess[0] - place) < VERSE_MM)
    return hits, total


def published_scores(cases, levels, spacing, leak=True):
    """Score as the released code does, quirks included.

    Each true disc is matched to the nearest prediction whatever its level; its distance counts in mm. A
    prediction whose match is more than 10 pixels off along superior-inferior is a false positive, a true
    disc whose match is more than 7 pixels off a false negative. That code also reads the number of discs
    from the truth before its search: with ``leak`` predictions of levels without a true disc are dropped,
    which makes the same use of the truth.

    Parameters
    ----------
    cases : list of Case
    levels : sequence of int
    spacing : float
        Of a pixel in mm.
    leak : bool

    Returns
    -------
    dict
        ``n_scans``, ``n_true``, ``n_pred``, ``dtt_*`` in mm, and the shares ``fn_rate``, ``fp_rate``
        over true discs, as that code has them.
    """
    distances, missed, false, n_true, n_pred = [], 0, 0, 0, 0
    for case in cases:
        true = case.true_points[np.isin(case.true_levels, levels)]
        keep = np.isin(case.levels, case.true_levels) if leak else case.states[case.levels] != UNKNOWN
        found = case.points[keep & np.isin(case.levels, levels)]
        n_true, n_pred = n_true + len(true), n_pred + len(found)
        if len(true) and len(found):
            away = np.linalg.norm(true[:, None] - found[None], axis=-1)
            along = np.abs(true[:, None, 0] - found[None, :, 0])
            nearest = away.argmin(1)
            distances.extend(away.min(1))
            missed += int((along[np.arange(len(true)), nearest] > 7 * spacing).sum())
            false += int((along.min(0) > 10 * spacing).sum())
        else:
            missed, false = missed + len(true), false + len(found)
    return {
        "n_scans": len(cases), "n_true": n_true, "n_pred": n_pred, **_distances("dtt", np.array(distances)),
        "fn_rate": _share(missed, n_true), "fp_rate": _share(false, n_true), "n_missed": missed, "n_false": false,
    }  # fmt: skip


def identified_and_distance(truth, predictions):
    """Return the share identified and the mean distance of the identified discs in mm, over scans.

    Parameters
    ----------
    truth, predictions : lists of (points (N, 2) in mm, levels (N,)), one a scan
    """
    errors, total = [], 0
    for (true_points, true_levels), (points, levels) in zip(truth, predictions, strict=True):
        total += len(true_levels)
        for level, place in zip(true_levels, true_points, strict=True):
            errors.extend(np.linalg.norm(points[np.asarray(levels) == level] - place, axis=1))
    near = [error for error in errors if error <= NEAR_MM]
    return _share(len(near), total), _mean(near)


def shifted_scans(cases, levels):
    """Return the names of scans in which more true discs carry another level's name than their own."""
    shifted = []
    for case in cases:
        table = confusion([case], levels)[:, :-1]
        if table.sum() > 2 * np.trace(table):
            shifted.append(case.name)
    return shifted


def confusion(cases, levels):
    """Count which level was found at each true disc.

    Returns
    -------
    (len(levels), len(levels) + 1) int array
        Rows are true levels; columns the level of the nearest prediction within 10 mm, the last one none.
    """
    table = np.zeros((len(levels), len(levels) + 1), int)
    for case in cases:
        for level, place in zip(case.true_levels, case.true_points, strict=True):
            if level not in levels:
                continue
            column = len(levels)
            if len(case.points):
                away = np.linalg.norm(case.points - place, axis=1)
                nearest = int(case.levels[away.argmin()])
                if away.min() <= NEAR_MM and nearest in levels:
                    column = levels.index(nearest)
            table[levels.index(level), column] += 1
    return table


def _share(part, whole):
    return part / whole if whole else float("nan")


def _mean(values):
    return float(np.mean(values)) if len(values) else float("nan")


def _sd(values):
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _distances(prefix, values):
    defined = len(values) > 0
    return {
        f"{prefix}_n": len(values), f"{prefix}_mean": _mean(values), f"{prefix}_sd": _sd(values),
        f"{prefix}_median": float(np.median(values)) if defined else float("nan"),
        f"{prefix}_p95": float(np.percentile(values, 95)) if defined else float("nan"),
    }  # fmt: skip
