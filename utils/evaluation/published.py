"""The scores of the code released with Azad et al. (2021), for comparison with published figures.

After ``src/Metrics.py`` and ``src/test.py`` of github.com/rezazad68/Deep-Intervertebral-Disc-Labeling (commit 765fe40).
That code ignores levels: a prediction with all levels in reverse order gets a perfect score.
"""

import numpy as np

from utils.evaluation.statistics import distances, mean, sd, share
from utils.scans.sample import UNKNOWN

MISSED_PX, FALSE_PX = 7, 10  # offsets along superior-inferior beyond which a disc is missed, a prediction false


def published_scores(cases, levels, spacing, counted="labelled"):
    """Score as the released code does.

    Each true disc is matched to the nearest prediction in the image, whatever its level; the distance counts
    in mm. A true disc whose match is more than 7 pixels away along superior-inferior is a false negative. A
    prediction whose nearest true disc is more than 10 pixels away along superior-inferior is a false positive;
    several predictions at one disc are not. Both rates are shares of the true discs. Standard deviations
    divide by N.

    That code also reads the number of discs from the truth before its search, so that it never predicts a disc
    that is not labelled. With ``counted="labelled"`` predictions of levels without a true disc are left out,
    which makes the same use of the truth.

    Deviations: that code stops with an error in scans without a prediction or without a label, where
    all discs count as missed here, or all predictions as false; and it takes predictions that touch each
    other in the image for one.

    Parameters
    ----------
    cases : list of utils.evaluation.cases.Case
    levels : sequence of int
    spacing : float
        Of a pixel in mm.
    counted : str
        Which predictions count: ``labelled``, of levels that are labelled; ``known``, also of levels that are known
        to be outside the image; ``all``, also of levels that may be visible but were not labelled.

    Returns
    -------
    dict
        ``n_scans``, ``n_true``, ``n_pred``, ``n_missed``, ``n_false``; ``dtt_*`` in mm; ``si_mean`` and ``si_sd``,
        the offsets along superior-inferior without sign, in mm; ``fn_rate`` and ``fp_rate``.
    """
    errors, offsets, missed, false, n_true, n_pred = [], [], 0, 0, 0, 0
    for case in cases:
        true = case.true_points[np.isin(case.true_levels, levels)]
        keep = {
            "labelled": np.isin(case.levels, case.true_levels),
            "known": case.states[case.levels] != UNKNOWN,
            "all": np.ones(len(case.levels), bool),
        }[counted]
        found = case.points[keep & np.isin(case.levels, levels)]
        n_true, n_pred = n_true + len(true), n_pred + len(found)
        if not len(true) or not len(found):
            missed, false = missed + len(true), false + len(found)
            continue
        apart = np.linalg.norm(true[:, None] - found[None], axis=-1)  # (true, found)
        along = np.abs(true[:, None, 0] - found[None, :, 0])
        of_true = along[np.arange(len(true)), apart.argmin(1)]
        of_found = along[apart.argmin(0), np.arange(len(found))]
        errors.extend(apart.min(1))
        offsets.extend(of_true)
        missed += int((of_true > MISSED_PX * spacing).sum())
        false += int((of_found > FALSE_PX * spacing).sum())
    return {
        "n_scans": len(cases), "n_true": n_true, "n_pred": n_pred, **distances("dtt", np.array(errors), ddof=0),
        "si_mean": mean(offsets), "si_sd": sd(offsets, ddof=0),
        "fn_rate": share(missed, n_true), "fp_rate": share(false, n_true), "n_missed": missed, "n_false": false,
    }  # fmt: skip
