"""Scores of predicted against true discs: a disc counts only for a prediction of its own level.

Pure functions over NumPy arrays in mm.
"""

import numpy as np

from utils.evaluation.cases import NEAR_MM
from utils.evaluation.statistics import distances, mean, sd, share
from utils.inference.confidence import reliability

VERSE_MM = 20.0
CONFIDENT = 0.8  # a scan at or above this level confidence is expected to be right


def labelled_scores(rows):
    """Return the scores of the rows of `utils.evaluation.cases.compare`.

    Parameters
    ----------
    rows : list of utils.evaluation.cases.Disc

    Returns
    -------
    dict
        Counts ``n_scans``, ``n_true``, ``n_pred`` (those that count), ``n_identified``, ``n_missed``,
        ``n_far``, ``n_extra``, ``n_wrong_level``, ``n_unknown``; shares ``identified`` and ``fn_rate``
        over true discs and ``fp_rate`` over predictions that count; distances to target in mm over the
        identified discs (``dtt_mean``, ``dtt_sd``, ``dtt_median``, ``dtt_p95``) and over all predictions
        of a true disc's level (``all_*``); ``si_mean`` and ``si_sd`` along superior-inferior;
        ``mean_3d`` and ``sd_3d`` in space; ``calibration_error`` of the confidences over predictions that count;
        ``scans_all_right``, the share of scans with every disc identified and no false positive, among scans
        with anything that counts. What is not defined is NaN.
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
        "identified": share(count["identified"], n_true),
        "fn_rate": share(count["missed"] + count["far"], n_true), "fp_rate": share(false, n_pred),
        **distances("dtt", near), **distances("all", same),
        "si_mean": mean(along), "si_sd": sd(along), "mean_3d": mean(in_space), "sd_3d": sd(in_space),
        "calibration_error": calibration_error,
        "n_all_right": sum(scans.values()), "scans_all_right": share(sum(scans.values()), len(scans)),
    }  # fmt: skip


def id_verse(cases, levels):
    """Return the identification rate of VerSe (Sekuboyina et al. 2021), as its released code counts it.

    A true disc is a hit if the prediction of its level is at most 20 mm away and nearer to it than to any
    other true disc whose level was predicted, too. Levels that only the truth has are no hits, and do not
    compete. VerSe measures in space; here it is in the image.

    Parameters
    ----------
    cases : list of utils.evaluation.cases.Case
    levels : sequence of int
        True discs that are counted; those of other levels compete nevertheless.

    Returns
    -------
    hits, total : int
    """
    hits = total = 0
    for case in cases:
        total += int(np.isin(case.true_levels, levels).sum())
        both = np.isin(case.true_levels, case.levels)
        true_levels, true_points = case.true_levels[both], case.true_points[both]
        for level in set(true_levels.tolist()) & set(levels):
            (found,) = case.points[case.levels == level]
            apart = np.linalg.norm(true_points - found, axis=1)
            hits += int(true_levels[apart.argmin()] == level and apart.min() <= VERSE_MM)
    return hits, total


def identified_and_distance(truth, predictions):
    """Return the share identified and the mean distance of the identified discs in mm, over scans.

    Parameters
    ----------
    truth, predictions : lists of (points (N, 2) in mm, levels (N,)), one per scan
    """
    errors, total = [], 0
    for (true_points, true_levels), (points, levels) in zip(truth, predictions, strict=True):
        total += len(true_levels)
        for level, place in zip(true_levels, true_points, strict=True):
            errors.extend(np.linalg.norm(points[np.asarray(levels) == level] - place, axis=1))
    near = [error for error in errors if error <= NEAR_MM]
    return share(len(near), total), mean(near)


def shifted_scans(cases, levels):
    """Return the names of scans whose labels are shifted: more true discs have another level's label than their own."""
    shifted = []
    for case in cases:
        table = confusion([case], levels)[:, :-1]
        if table.sum() > 2 * np.trace(table):
            shifted.append(case.name)
    return shifted


def level_scores(rows):
    """Compare the level confidence of scans with what became of their discs.

    Parameters
    ----------
    rows : list of utils.evaluation.cases.Disc

    Returns
    -------
    dict
        ``levels_n``, the scans that have a level confidence and a prediction that counts; ``levels_right``, those of
        them where more than half of these predictions are right; ``level_calibration_error``; and ``confident_wrong``,
        the names of scans that are not right at a level confidence of 0.8 or more.
    """
    outcomes = {}
    for row in rows:
        if row.found is not None and row.outcome != "unknown" and np.isfinite(row.case.level_confidence):
            outcomes.setdefault(row.case.name, (row.case.level_confidence, []))[1].append(row.outcome == "identified")
    judged = {name: (confidence, np.mean(right) > 0.5) for name, (confidence, right) in outcomes.items()}
    _, error = reliability(*np.reshape(list(judged.values()), (-1, 2)).T)
    return {
        "levels_n": len(judged), "levels_right": sum(bool(right) for _, right in judged.values()),
        "level_calibration_error": error,
        "confident_wrong": [name for name, (chance, right) in judged.items() if chance >= CONFIDENT and not right],
    }  # fmt: skip


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
                apart = np.linalg.norm(case.points - place, axis=1)
                nearest = int(case.levels[apart.argmin()])
                if apart.min() <= NEAR_MM and nearest in levels:
                    column = levels.index(nearest)
            table[levels.index(level), column] += 1
    return table
