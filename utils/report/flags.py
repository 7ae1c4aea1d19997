"""Flags: why a scan should be reviewed first."""

import numpy as np

from utils.evaluation.cases import NEAR_MM

LOW = 0.5  # a confidence below it is flagged
LOW_MEDIAN = 0.8  # and a scan whose median confidence is below this, as of most that are rotated or flipped
CLOSE = 2.0  # and a chain whose margin to the shifted one is below this
MEANINGS = {
    "failed": "could not be read or labelled",
    "shifted chain": "most discs lie where another level is: compare the levels, not the places",
    "far off": f"a disc lies more than {NEAR_MM:.0f} mm from the true one of its level",
    "missed": "a true disc has no prediction",
    "extra": "a disc was found that is known to lie outside the field of view",
    "no disc": "no disc was found",
    "not sagittal": "its slices are not sagittal: the sagittal view is blurred",
    "low confidence": f"a confidence is below {100 * LOW:.0f} %, or half of them are below {100 * LOW_MEDIAN:.0f} %",
    "level unsure": "the labels shifted by one level fit nearly as well",
}
DOUBTS = ("no disc", "low confidence", "level unsure")  # of the labels: settled once a person has reviewed them


def flags_of(prediction, rows=(), remarks=()):
    """Return why a scan should be reviewed first.

    Parameters
    ----------
    prediction : utils.inference.labeller.Prediction
    rows : list of utils.evaluation.cases.Disc
        What became of each disc, where the truth is known.
    remarks : sequence of str
        Flags that are known already; a shifted chain is not flagged a second time for being far off.

    Returns
    -------
    list of str
        Keys of `MEANINGS`.
    """
    flags, outcomes = list(remarks), [row.outcome for row in rows]
    if "shifted chain" not in flags and {"far", "wrong level"} & set(outcomes):
        flags.append("far off")
    if "missed" in outcomes:
        flags.append("missed")
    if "extra" in outcomes:
        flags.append("extra")
    if len(prediction.levels) == 0:
        flags.append("no disc")
    elif prediction.confidence.min() < LOW or np.median(prediction.confidence) < LOW_MEDIAN:
        flags.append("low confidence")
    if len(prediction.levels) and prediction.margin < CLOSE:
        flags.append("level unsure")
    return flags
