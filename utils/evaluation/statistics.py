"""Shares, means and spreads; NaN where they are not defined."""

import numpy as np


def share(part, whole):
    """Return part / whole."""
    return part / whole if whole else float("nan")


def mean(values):
    """Return the mean of a list or array."""
    return float(np.mean(values)) if len(values) else float("nan")


def sd(values, ddof=1):
    """Return the standard deviation, with ``len(values) - ddof`` in the denominator."""
    return float(np.std(values, ddof=ddof)) if len(values) > ddof else float("nan")


def distances(prefix, values, ddof=1):
    """Return number, mean, SD, median and 95th percentile of distances in mm, as ``<prefix>_n`` and so on."""
    defined = len(values) > 0
    return {
        f"{prefix}_n": len(values), f"{prefix}_mean": mean(values), f"{prefix}_sd": sd(values, ddof),
        f"{prefix}_median": float(np.median(values)) if defined else float("nan"),
        f"{prefix}_p95": float(np.percentile(values, 95)) if defined else float("nan"),
    }  # fmt: skip
