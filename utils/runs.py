"""The folder of a training: ``last.pt`` to go on from, the one before it, ``best.pt`` to use, and the log."""

import json
import os
import sys

from utils.checkpoint import load_checkpoint, save_checkpoint
from utils.files import UserError, cannot_be_written, save_text

LAST, BEFORE, BEST = "last.pt", "before.pt", "best.pt"
SAME_ON_RESUME = ("recipe", "epochs", "batch_size", "lr", "seed")


def holds_run(out):
    """Tell whether a folder holds a training, be it only begun."""
    return any((out / name).exists() for name in (LAST, BEFORE, BEST))


def full_state(state, network, optimizer, scheduler):
    """Return all that it takes to go on from here."""
    weights = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    return {
        **state, "state_dict": weights, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
    }  # fmt: skip


def save_best(out, state, network):
    """Save what a prediction needs, without the log."""
    weights = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    save_checkpoint(out / BEST, {**state, "state_dict": weights, "log": [], "frames": [], "losses": []})


def save_last(out, state, network, optimizer, scheduler):
    """Save all that it takes to go on; what was saved before is kept as ``before.pt``.

    Raises
    ------
    UserError
        If the folder is gone or cannot be written to.
    """
    if not (out / "args.json").exists():
        raise UserError(f"{out} was removed or emptied while it was in use: start again with another --out")
    save_text(out / "log.jsonl", "".join(json.dumps(line) + "\n" for line in state["log"]))
    if (out / LAST).exists():
        with cannot_be_written(out / BEFORE):
            os.replace(out / LAST, out / BEFORE)
    save_checkpoint(out / LAST, full_state(state, network, optimizer, scheduler))


def load_last(out):
    """Return the checkpoint to go on from: the last one, or the one before where the last is damaged.

    Raises
    ------
    UserError
        If there is none that is whole.
    """
    found = [out / name for name in (LAST, BEFORE) if (out / name).exists()]
    if not found:
        raise UserError(f"{out} holds no run to resume: leave --resume out to start one")
    for file in found:
        try:
            return load_checkpoint(file)
        except UserError as error:
            if file == found[-1]:
                raise
            print(f"warning: {error}; going on from {found[-1].name}", file=sys.stderr)


def resume(out, state, network, optimizer, scheduler):
    """Bring back the run in ``out``, exactly as it stopped; within its first epoch there is nothing to bring back.

    Raises
    ------
    UserError
        If there is none, or it was made with other flags.
    """
    if (out / BEST).exists() and not (out / LAST).exists() and not (out / BEFORE).exists():
        print(f"{out} was stopped before its first epoch was saved: it starts again", file=sys.stderr)
        return
    checkpoint = load_last(out)
    for key in ("model", "levels", "resolution"):
        if checkpoint[key] != state[key]:
            raise UserError(
                f"{out} holds a run with another {key} ({checkpoint[key]}, not {state[key]}): give the same flags"
            )
    settings = {key: checkpoint["args"].get(key) for key in SAME_ON_RESUME}
    changed = [key for key in SAME_ON_RESUME if settings[key] != state["args"][key]]
    if changed:
        flags = ", ".join(f"--{key.replace('_', '-')} {settings[key]}" for key in changed)
        raise UserError(f"{out} holds a run with {flags}: give the same to go on with it")
    network.load_state_dict(checkpoint.pop("state_dict"))
    optimizer.load_state_dict(checkpoint.pop("optimizer"))
    scheduler.load_state_dict(checkpoint.pop("scheduler"))
    state.update(checkpoint)
