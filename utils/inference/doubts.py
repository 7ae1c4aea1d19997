"""Doubts about the labels of a scan, where no truth is known."""

import numpy as np

from utils.inference.transitional import PRESACRAL

LOW = 0.5  # a confidence below it is flagged
LOW_MEDIAN = 0.8  # and a scan whose median confidence is below this, as of most that are rotated or flipped
CLOSE = 2.0  # and a chain whose margin to the shifted one is below this
LOW_LEVELS = 0.8  # and one whose level confidence is below this
DOUBTS = {
    "no disc": "no disc was found",
    "low confidence": f"a confidence is below {100 * LOW:.0f} %, or half of them are below {100 * LOW_MEDIAN:.0f} %",
    "level uncertain": "labels shifted by one level fit nearly as well, or altered views of the scan get other labels",
    "transitional vertebra?": "another numbering fits the lowest discs as well, or a vertebra is missing or extra",
}


def doubts_of(prediction):
    """Return the keys of `DOUBTS` that hold for a `utils.inference.labeller.Prediction`, as a list."""
    if len(prediction.levels) == 0:
        return ["no disc"]
    flags = []
    if prediction.confidence.min() < LOW or np.median(prediction.confidence) < LOW_MEDIAN:
        flags.append("low confidence")
    if prediction.margin < CLOSE or prediction.level_confidence < LOW_LEVELS:
        flags.append("level uncertain")
    if prediction.other_levels or prediction.vertebrae not in (None, PRESACRAL):
        flags.append("transitional vertebra?")
    return flags
