"""What several comparisons share: data that is prepared once, runs that are trained once, and their test scans.

What lies in the output folder already is not made again.
"""

import sys

import prepare_spinegeneric
import train
from utils.evaluation.cases import Case
from utils.inference.labeller import load_labeller
from utils.scans.prepared import load_split
from utils.training.runs import holds_run


def prepared(tree, out, split_file, levels=None):
    """Prepare a tree by a split file, unless that is done; returns ``out``."""
    if not (out / "summary.json").exists():
        flags = ["--data", str(tree), "--out", str(out), "--split-file", str(split_file)]
        prepare_spinegeneric.main(flags + (["--levels", ",".join(map(str, levels))] if levels else []))
    return out


def trained(data, out, flags):
    """Train a run, resume one that was interrupted, or leave one that is done.

    Parameters
    ----------
    data : list of Path
        Prepared data.
    out : Path
        Folder of the run.
    flags : list of str
        For train.py.

    Returns
    -------
    utils.inference.labeller.Labeller
    """
    if holds_run(out):
        flags = [*without_init(flags), "--resume"]
    if not (out / "convergence.gif").exists():
        status = train.main(["--data", *map(str, data), "--out", str(out), *flags])
        if status:  # it was stopped: the next call resumes it
            sys.exit(status)
    return load_labeller(out)


def without_init(flags):
    """Return flags of train.py without ``--init`` and its value: a run that is resumed has its weights already."""
    if "--init" not in flags:
        return flags
    at = flags.index("--init")
    has_value = flags[at + 1 : at + 2] and not flags[at + 1].startswith("--")
    return flags[:at] + flags[at + 1 + bool(has_value) :]


def labelled(labeller, data):
    """Label the test split of prepared data; returns its cases."""
    return [Case.of(sample, labeller.label(sample.slabs, sample.offsets)) for sample in load_split(data, "test")]
