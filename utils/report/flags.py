"""Flags: why a scan should be reviewed first."""

from utils.evaluation.cases import NEAR_MM
from utils.inference.doubts import DOUBTS, doubts_of

MEANINGS = {
    "failed": "could not be read or labelled",
    "shifted chain": "most discs lie where another level is: compare the levels, not the places",
    "far off": f"a disc lies more than {NEAR_MM:.0f} mm from the true one of its level, or on one of another level",
    "missed": "a true disc has no prediction",
    "extra": "a disc was found that is known to lie outside the field of view",
    "not sagittal": "its slices are not sagittal: the sagittal view is blurred",
    "no position": "its header states no position (the codes of sform and qform are 0): its orientation is a guess",
    "two positions": "sform and qform of its header differ: world coordinates are those of the sform",
    **DOUBTS,  # of the labels: settled once a reviewer has seen them
}


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
    return [*flags, *(doubt for doubt in doubts_of(prediction) if doubt not in flags)]
