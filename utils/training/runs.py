"""The folder of a training: ``last.pt`` to resume from, the one before it, ``best.pt`` to use, and the log."""

import contextlib
import os
import sys

from utils.inference.checkpoint import data_of, load_checkpoint, save_checkpoint
from utils.system import ranks
from utils.system.files import UserError, cannot_be_written, save_json_lines

LAST, BEFORE, BEST = "last.pt", "before.pt", "best.pt"
FREE_ON_RESUME = ("data", "out", "workers", "device", "resume")  # flags; data are compared by their content
SAME_ON_RESUME = ("synthetic", "synthetic_share", "recipe", "epochs", "batch_size", "lr", "seed", "amp")


def holds_run(out):
    """Return whether a folder holds a training, finished or not."""
    return any((out / name).exists() for name in (LAST, BEFORE, BEST))


def full_state(state, network, average, optimizer, scheduler):
    """Return all that resuming needs; where weights are averaged, a prediction uses the average."""
    weights, rest = weights_of(network), {}
    if average:
        rest = {"newest": weights, "averaged": int(average.n_averaged)}
        weights = weights_of(average.module)
    return {
        **state, "state_dict": weights, **rest, "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }  # fmt: skip


def weights_of(network):
    """Return a network's weights, on the CPU."""
    return {key: value.detach().cpu() for key, value in network.state_dict().items()}


def save_best(out, state, network):
    """Save what a prediction needs, without the log."""
    save_checkpoint(out / BEST, {**state, "state_dict": weights_of(network), "log": [], "frames": [], "losses": []})


def save_last(out, state, *rest):
    """Save all that resuming needs; what was saved before is kept as ``before.pt``.

    Raises
    ------
    UserError
        If the folder was removed or cannot be written to.
    """
    if not (out / "args.json").exists():
        raise UserError(f"{out} was removed or emptied while it was in use: start again with another --out")
    if state["log"]:
        save_json_lines(out / "log.jsonl", state["log"])
    if (out / LAST).exists():
        with cannot_be_written(out / BEFORE):
            os.replace(out / LAST, out / BEFORE)
    save_checkpoint(out / LAST, full_state(state, *rest))


def load_last(out):
    """Return the checkpoint to resume from: the last one, or the one before it if the last is damaged.

    Raises
    ------
    UserError
        If there is no run, or none of its checkpoints is whole.
    """
    found = [out / name for name in (LAST, BEFORE) if (out / name).exists()]
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


def go_on(out, checkpoint, state, network, average, optimizer, scheduler):
    """Restore a run exactly as `load_last` found it in ``out``.

    Parameters
    ----------
    out : Path
    checkpoint : dict
        As `load_last` returned it.
    state : dict
        Of the run that begins; takes over what the checkpoint holds.
    network, average, optimizer, scheduler
        Restored in place; ``average`` is None where weights are not averaged.
    """
    if checkpoint.pop("file") == BEFORE and ranks.rank() == 0:
        with contextlib.suppress(FileNotFoundError):  # or it would replace the one that is whole
            os.replace(out / LAST, out / "damaged.pt")
    weights = checkpoint.pop("state_dict")
    if average:
        average.module.load_state_dict(weights)
        average.n_averaged.fill_(checkpoint.pop("averaged"))
        weights = checkpoint.pop("newest")
    network.load_state_dict(weights)
    optimizer.load_state_dict(checkpoint.pop("optimizer"))
    scheduler.load_state_dict(checkpoint.pop("scheduler"))
    # Its data may have moved, and its flags are those that it was started with, as far as they must not change.
    settings = {**checkpoint["args"], **{key: state["args"][key] for key in FREE_ON_RESUME}}
    state.update({**checkpoint, "data": state["data"], "processes": state["processes"], "args": settings})
