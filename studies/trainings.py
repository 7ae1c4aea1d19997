"""What several comparisons share: data that is prepared once, runs that are trained once, and their test scans.

What lies in the output folder already is used again, or refused where it was made with other settings.
"""

import json
import sys

import prepare_spinegeneric
import train
from utils.discs import LEVELS
from utils.evaluation.cases import Case
from utils.inference.checkpoint import load_checkpoint
from utils.inference.labeller import load_labeller
from utils.scans.prepared import load_split
from utils.scans.splits import read_split_file
from utils.system.files import UserError, save_json
from utils.training.data import Data
from utils.training.runs import FREE_ON_RESUME, flag_of, holds_run, load_last


def prepared(tree, out, split_file, levels=LEVELS):
    """Prepare a tree by a split file, unless that is done; returns ``out``.

    Raises
    ------
    UserError
        If ``out`` was prepared with other settings.
    """
    place = prepare_spinegeneric.tree_seen_from(out, tree)
    settings = {"tree": place, "split": read_split_file(split_file), "choice of levels": list(levels)}
    record = out.with_name(f"{out.name}.json")  # written first: an interrupted preparation is gone on with
    if out.exists():
        if not record.exists():
            raise UserError(f"{record}, which says how {out} was prepared, is missing: remove {out}")
        earlier = json.loads(record.read_text(encoding="utf-8"))
        if other := [key for key in settings if settings[key] != earlier.get(key)]:
            raise UserError(f"{out} was prepared with another {', '.join(other)}: remove it, or give another --out")
    if not (out / "summary.json").exists():
        save_json(record, settings)
        flags = ["--data", tree, "--out", out, "--split-file", split_file, "--levels", ",".join(map(str, levels))]
        prepare_spinegeneric.main([str(flag) for flag in flags])
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

    Raises
    ------
    UserError
        If ``out`` holds a run with other flags or on other samples.
    """
    flags = ["--data", *map(str, data), "--out", str(out), *flags]
    if holds_run(out):
        check_same(out, train.build_parser().parse_args(flags))
        flags = [*without_init(flags), "--resume"]
    if not is_finished(out):
        status = train.main(flags)
        if status:  # it was stopped: the next call resumes it
            sys.exit(status)
    return load_labeller(out)


def is_finished(out):
    """Return whether a training came to its end."""
    return (out / "convergence.gif").exists()


def check_same(out, args):
    """Refuse a run with other flags of train.py, or on other samples.

    Resuming checks less: it takes the network and the weights to start from as the run has them.
    """
    # A run that is finished needs no more than its weights.
    settings, run = train.settle(args), load_checkpoint(out) if is_finished(out) else load_last(out)
    keys = [key for key in vars(args) if key not in FREE_ON_RESUME and settings[key] != run["args"].get(key)]
    if keys:
        flags = ", ".join(flag_of(key, run["args"].get(key)) for key in keys)
        raise UserError(f"{out} holds a run with {flags}: give the same, remove it, or give another --out")
    if run.get("samples") not in (None, Data(args.data).digest()):
        raise UserError(f"{out} holds a run on other samples: remove it, or give another --out")


def without_init(flags):
    """Return flags of train.py without ``--init`` and its value: a run that is resumed has its weights already."""
    flags = [flag for flag in flags if not flag.startswith("--init=")]
    if "--init" not in flags:
        return flags
    at = flags.index("--init")
    has_value = flags[at + 1 : at + 2] and not flags[at + 1].startswith("--")
    return flags[:at] + flags[at + 1 + bool(has_value) :]


def labelled(labeller, data):
    """Label the test split of prepared data; returns its cases."""
    return [Case.of(sample, labeller.label(sample.slabs, sample.offsets)) for sample in load_split(data, "test")]
