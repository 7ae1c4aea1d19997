"""95 % intervals of scores by the bootstrap over subjects (Efron and Tibshirani 1993), of a run or of two compared.

Discs of one subject, and a subject's two scans, are not independent: whole subjects are resampled, and subjects who are
the same participant (``group`` in samples.tsv) count as one subject. Where no subject has an error, resampling shows no
spread; the limit is then that of Hanley and Lippman-Hand (1983), "If nothing goes wrong, is everything all right?". Of
two runs that agree in every subject, the difference has no interval.
"""

import numpy as np

SHARES = {
    # share: what counts as a hit, and over what
    "identified": (("identified",), ("identified", "far", "missed")),
    "fn_rate": (("far", "missed"), ("identified", "far", "missed")),
    "fp_rate": (("far", "extra", "wrong level"), ("identified", "far", "extra", "wrong level")),
}
RESAMPLES = 4000
AT_ONCE = 2**20  # counts of subjects in resamples


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


def _resampled(sums, subjects):
    """Return {score: (RESAMPLES, 2) sums over the subjects of each resample}."""
    rng, shares, parts = np.random.default_rng(0), np.full(subjects, 1 / subjects), []
    most = max(1, AT_ONCE // subjects)  # the memory of a large cohort's resamples would be that of many scans
    for first in range(0, RESAMPLES, most):
        times = rng.multinomial(subjects, shares, size=min(most, RESAMPLES - first))  # how often each is taken
        parts.append({key: times @ values for key, values in sums.items()})
    return {key: np.concatenate([part[key] for part in parts]) for key in sums}


def _ratio(total):
    with np.errstate(invalid="ignore", divide="ignore"):
        return total[..., 0] / total[..., 1]


def _limits(values, sums):
    """Return the interval of a score's resampled values; NaN where fewer than two subjects contribute to it."""
    values = values[np.isfinite(values)]
    if not len(values) or np.count_nonzero(sums[:, 1]) < 2:
        return [np.nan, np.nan]
    return [float(limit) for limit in np.percentile(values, [2.5, 97.5])]


def _all_alike(sums):
    """Return the interval of a share that is 0 or 1 in all of n subjects; None for any other.

    With a chance of more than 1 - 0.05 ** (1 / n) per subject, fewer than 5 in 100 such samples would hold none that
    differs; at worst, all discs of a subject differ.
    """
    hits, whole = sums[sums[:, 1] > 0].T
    bound = 0.05 ** (1 / max(len(whole), 1))
    if len(whole) < 2 or not ((hits == whole).all() or (hits == 0).all()):
        return None
    return [bound, 1.0] if hits.any() else [0.0, 1 - bound]


def intervals(discs):
    """Return the 95 % interval [low, high] of each score; NaN where it is not defined, as with one subject.

    Parameters
    ----------
    discs : iterable of (subject, outcome, error in mm)

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
    limits = {key: _limits(_ratio(total), sums[key]) for key, total in _resampled(sums, len(subjects)).items()}
    return {**limits, **{key: alike for key in SHARES if (alike := _all_alike(sums[key]))}}


def differences(first, second):
    """Compare two runs, subject by subject; a subject that one run does not mention has no disc there.

    Parameters
    ----------
    first, second : iterables of (subject, outcome, error in mm)

    Returns
    -------
    dict
        Score to (first, second, second - first, [low, high] of the difference); the limits are NaN where they are not
        defined, as where the runs agree in every subject.
    """
    first, second = list(first), list(second)
    subjects = sorted({subject for subject, _, _ in (*first, *second)})
    a, b = subject_sums(first, subjects), subject_sums(second, subjects)
    if not subjects:
        return {key: (np.nan, np.nan, np.nan, [np.nan, np.nan]) for key in a}
    many_a, many_b = (_resampled(sums, len(subjects)) for sums in (a, b))
    result, once = {}, np.ones(len(subjects))
    for key in a:
        one, two = float(_ratio(once @ a[key])), float(_ratio(once @ b[key]))
        limits = _limits(_ratio(many_b[key]) - _ratio(many_a[key]), a[key] + b[key])
        result[key] = one, two, two - one, [np.nan, np.nan] if (a[key] == b[key]).all() else limits
    return result
