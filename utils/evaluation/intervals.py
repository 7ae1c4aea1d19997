"""95 % intervals of scores by the bootstrap over subjects (Efron and Tibshirani 1993), of a run or of two compared.

Discs of one subject, and a subject's two scans, are not independent: whole subjects are resampled, and subjects who are
one person (``group`` in samples.tsv) count as one subject.
"""

import numpy as np

SHARES = {
    # share: what counts as a hit, and over what
    "identified": (("identified",), ("identified", "far", "missed")),
    "fn_rate": (("far", "missed"), ("identified", "far", "missed")),
    "fp_rate": (("far", "extra", "wrong level"), ("identified", "far", "extra", "wrong level")),
}
RESAMPLES = 4000


def subject_sums(discs, subjects):
    """Add up, for each subject, numerators and denominators of the scores.

    Parameters
    ----------
    discs : iterable of (subject, outcome, error in mm)
        One per true or predicted disc, with the outcomes of `utils.evaluation.cases.compare`.
    subjects : list of str

    Returns
    -------
    dict
        Score to a (subjects, 2) array: numerator and denominator.
    """
    place = {subject: index for index, subject in enumerate(subjects)}
    sums = {key: np.zeros((len(subjects), 2)) for key in (*SHARES, "dtt_mean")}
    for subject, outcome, error in discs:
        for key, (hits, whole) in SHARES.items():
            sums[key][place[subject]] += (outcome in hits, outcome in whole)
        if outcome == "identified":
            sums["dtt_mean"][place[subject]] += (error, 1)
    return sums


def _resample(subjects, seed):
    """Return how often each subject is taken in each resample, (RESAMPLES, subjects)."""
    return np.random.default_rng(seed).multinomial(subjects, np.full(subjects, 1 / subjects), size=RESAMPLES)


def _ratio(times, sums):
    total = times @ sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return total[..., 0] / total[..., 1]


def _limits(values):
    values = values[np.isfinite(values)]
    return [float(limit) for limit in np.percentile(values, [2.5, 97.5])] if len(values) else [np.nan, np.nan]


def intervals(discs, seed=0):
    """Return the 95 % interval [low, high] of each score; NaN where it is not defined.

    Parameters
    ----------
    discs : iterable of (subject, outcome, error in mm)
    seed : int

    Returns
    -------
    dict
        ``identified``, ``fn_rate``, ``fp_rate`` and ``dtt_mean`` to [low, high].
    """
    discs = list(discs)
    subjects = sorted({subject for subject, _, _ in discs})
    sums = subject_sums(discs, subjects)
    if not subjects:
        return {key: [np.nan, np.nan] for key in sums}
    times = _resample(len(subjects), seed)
    return {key: _limits(_ratio(times, values)) for key, values in sums.items()}


def differences(first, second, seed=0):
    """Compare two runs, subject by subject; a subject that one run does not mention has no disc there.

    Parameters
    ----------
    first, second : iterables of (subject, outcome, error in mm)
    seed : int

    Returns
    -------
    dict
        Score to (first, second, second - first, [low, high] of the difference).
    """
    first, second = list(first), list(second)
    subjects = sorted({subject for subject, _, _ in (*first, *second)})
    a, b = subject_sums(first, subjects), subject_sums(second, subjects)
    if not subjects:
        return {key: (np.nan, np.nan, np.nan, [np.nan, np.nan]) for key in a}
    times, once = _resample(len(subjects), seed), np.ones(len(subjects))
    result = {}
    for key in a:
        one, two = float(_ratio(once, a[key])), float(_ratio(once, b[key]))
        result[key] = (one, two, two - one, _limits(_ratio(times, b[key]) - _ratio(times, a[key])))
    return result
