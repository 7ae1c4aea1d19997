"""The folder of a training: ``last.pt`` to resume from, the one before it, ``best.pt`` to use, and the log."""

import contextlib
import os
import sys
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from utils.inference.checkpoint import data_of, load_checkpoint, save_checkpoint
from utils.system import ranks
from utils.system.files import UserError, cannot_be_written, save_json_lines

LAST, BEFORE, BEST = "last.pt", "before.pt", "best.pt"
FREE_ON_RESUME = ("data", "out", "workers", "device", "resume")  # flags; data are compared by their content
SAME_ON_RESUME = ("synthetic", "synthetic_share", "recipe", "epochs", "batch_size", "lr", "seed", "amp")


def holds_run(out):
    """Return whether a folder holds a training, finished or not."""
    return any((out / name).exists() for name in (LAST, BEFORE, BEST))


@dataclass
class Training:
    """All that resuming needs.

    Attributes
    ----------
    state : dict
        What a checkpoint holds besides weights.
    network : torch.nn.Module
    average : torch.optim.swa_utils.AveragedModel or None
        None where weights are not averaged.
    optimizer : torch.optim.Optimizer
    scheduler : torch.optim.lr_scheduler.LRScheduler
    """

    state: dict
    network: nn.Module
    average: AveragedModel | None
    optimizer: Optimizer
    scheduler: LRScheduler

    def checkpoint(self):
        """Return all of it as a dict; where weights are averaged, a prediction uses the average."""
        weights, rest = weights_of(self.network), {}
        if self.average:
            rest = {"newest": weights, "averaged": int(self.average.n_averaged)}
            weights = weights_of(self.average.module)
        return {
            **self.state, "state_dict": weights, **rest, "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }  # fmt: skip


def weights_of(network):
    """Return a network's weights, on the CPU."""
    return {key: value.detach().cpu() for key, value in network.state_dict().items()}


def save_best(out, state, network):
    """Save what a prediction needs, without the log."""
    save_checkpoint(out / BEST, {**state, "state_dict": weights_of(network), "log": [], "frames": [], "losses": []})


def save_last(out, training):
    """Save a `Training`; what was saved before is kept as ``before.pt``.

    Raises
    ------
    UserError
        If the folder was removed or cannot be written to.
    """
    if not (out / "args.json").exists():
        raise UserError(f"{out} was removed or emptied while it was in use: start again with another --out")
    if training.state["log"]:
        save_json_lines(out / "log.jsonl", training.state["log"])
    if (out / LAST).exists():
        with cannot_be_written(out / BEFORE):
            os.replace(out / LAST, out / BEFORE)
    save_checkpoint(out / LAST, training.checkpoint())


def load_last(out):
    """Return the checkpoint to resume from: the last one, or the one before it if the last is damaged.

    Raises
    ------
    UserError
        If there is no run, or none of its checkpoints is whole.
    """
    found = [out / name for name in (LAST, BEFORE) if (out / name).exists()]
    if not found and (out / BEST).exists():
        raise UserError(
            f"{out} holds the weights of a run, but not what resuming it needs ({LAST}): train further with --init "
            f"{out} --out ANOTHER_FOLDER"
        )
    if not found:
        raise UserError(f"{out} holds no run to resume: leave --resume out to start one")
    for file in found:
        try:
            return {**load_checkpoint(file), "file": file.name}
        except UserError as error:
            if file == found[-1]:
                raise
            print(f"warning: {error}; resuming from {found[-1].name}", file=sys.stderr)


def flag_of(key, value):
    """Return a setting as one types it."""
    if key == "amp":
        return "bfloat16 (no --no-amp)" if value else "--no-amp"
    flag = f"--{key.replace('_', '-')}"
    return f"no {flag}" if value is None else f"{flag} {value}"


def check_resumable(out, checkpoint, settings, samples):
    """Refuse to go on with a run by other flags or on other data.

    Parameters
    ----------
    out : Path
    checkpoint : dict
        As `load_last` returned it.
    settings : dict
        The flags, as of train.py's ``settle``.
    samples : str or None
        Digest of the prepared data.

    Raises
    ------
    UserError
        With what to give instead.
    """
    # Before the flags: whether a run has a --synthetic-share depends on its having --data.
    if checkpoint.get("samples", samples) != samples:
        given = " ".join(["--data", *data_of(checkpoint)]) if checkpoint["samples"] else "no --data"
        raise UserError(f"{out} holds a run on other samples, with {given}: give the same, prepared alike")
    before = {key: checkpoint["args"].get(key) for key in SAME_ON_RESUME}
    changed = [key for key in SAME_ON_RESUME if before[key] != settings[key]]
    if changed == ["epochs"]:
        # By the published recipe it falls at two epochs, whatever their number is.
        falls = ", over which its learning rate falls" if before["recipe"] == "default" else ""
        further = f", or train further from its best weights with --init {out} --out ANOTHER_FOLDER"
        raise UserError(
            f"{out} holds a run with --epochs {before['epochs']}{falls}: give the same to finish it"
            f"{further if (out / BEST).exists() else ''}"
        )
    if changed:
        flags = ", ".join(flag_of(key, before[key]) for key in changed)
        raise UserError(f"{out} holds a run with {flags}: give the same to resume it")
    count = checkpoint.get("processes", ranks.count())  # those of earlier versions do not say
    if settings["synthetic"] and count != ranks.count():
        raise UserError(
            f"{out} holds a run whose number of processes is {count}, and each makes images of its own: give as many"
        )


def go_on(out, checkpoint, training):
    """Restore a run exactly as `load_last` found it in ``out``.

    Parameters
    ----------
    out : Path
    checkpoint : dict
        As `load_last` returned it.
    training : Training
        The one that begins; takes over, in place, what the checkpoint holds.
    """
    if checkpoint.pop("file") == BEFORE and ranks.rank() == 0:
        with contextlib.suppress(FileNotFoundError):  # or it would replace the one that is whole
            os.replace(out / LAST, out / "damaged.pt")
    weights, state = checkpoint.pop("state_dict"), training.state
    if training.average:
        training.average.module.load_state_dict(weights)
        training.average.n_averaged.fill_(checkpoint.pop("averaged"))
        weights = checkpoint.pop("newest")
    training.network.load_state_dict(weights)
    training.optimizer.load_state_dict(checkpoint.pop("optimizer"))
    training.scheduler.load_state_dict(checkpoint.pop("scheduler"))
    # Its data may have moved, and its flags are those that it was started with, as far as they must not change.
    settings = {**checkpoint["args"], **{key: state["args"][key] for key in FREE_ON_RESUME}}
    state.update({**checkpoint, "data": state["data"], "processes": state["processes"], "args": settings})
