"""Checkpoints: one dict of tensors and plain Python values that rebuilds the network without any flag.

Keys: ``format``, ``model`` (name and arguments of `build_model`), ``state_dict``, ``levels`` (level of
each channel), ``resolution`` (mm), ``output`` ("logits" or "heatmaps"), ``prior`` (geometry of the chain),
``view`` (how the network sees a slab, see `utils.inference.view`; in imported checkpoints alone),
``passes`` (passes over each scan, see `utils.inference.second_pass`), ``calibration`` and ``level_calibration`` (of
the confidences, once the training is over), ``epoch``, ``best`` (score of the best epoch so far), ``data`` (folders it
was trained on, see `data_of`), ``samples`` (digest of what it was trained and validated on), ``args`` (the flags),
``version`` (of the code), ``processes`` (how many trained together), ``digest`` (of all the rest) and, in ``last.pt``
alone, ``newest`` (the weights that are trained, where ``state_dict`` holds their average), ``averaged`` (steps),
``optimizer``, ``scheduler`` and what was done of the epoch that was not finished.
"""

import hashlib
import io
import pickle
import struct
import zipfile
from pathlib import Path

import torch

from models import build_model
from utils.inference.released import convention_of, import_released
from utils.system.files import UserError, save_bytes

FORMAT = 2
NEEDED = ("model", "state_dict", "levels", "resolution", "output", "prior", "args")
DAMAGED = (
    pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    MemoryError, OverflowError, AssertionError, struct.error, zipfile.BadZipFile,
)  # fmt: skip


def save_checkpoint(path, checkpoint):
    """Write a checkpoint whole, with its digest; equal contents give equal bytes."""
    # By way of memory: torch reports a full disk by an error of its own, and puts the file's name into the file.
    content = io.BytesIO()
    torch.save({**checkpoint, "digest": digest_of(checkpoint)}, content)
    save_bytes(path, content.getbuffer())


def digest_of(checkpoint):
    """Return the SHA-256 of a checkpoint's values and their order, except for a ``digest`` in it."""
    sha = hashlib.sha256()

    def feed(value):
        if isinstance(value, torch.Tensor):
            sha.update(f"{value.dtype} {tuple(value.shape)}".encode())
            sha.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        elif isinstance(value, dict):
            sha.update(f"dict {len(value)}".encode())
            for key, item in value.items():
                feed(key)
                feed(item)
        elif isinstance(value, (list, tuple)):
            sha.update(f"list {len(value)}".encode())
            for item in value:
                feed(item)
        else:
            sha.update(repr(value).encode())

    feed({key: value for key, value in checkpoint.items() if key != "digest"})
    return sha.hexdigest()


def load_checkpoint(path, first_level=None):
    """Read a checkpoint, our own or one of the released code or its successor.

    Parameters
    ----------
    path : path-like
        A file, or a run's folder, of which ``best.pt`` is taken.
    first_level : int, optional
        Level of the first channel of a checkpoint of the released code or its successor, where the file leaves it open.

    Returns
    -------
    dict
        As described at the top of this file, with its tensors on the CPU.

    Raises
    ------
    UserError
        If there is none, or it is damaged or of another kind. No code in a file is ever executed.
    """
    path = Path(path)
    file = path / "best.pt" if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"there are no weights at {file}: name a run's folder or a checkpoint file, or run train.py first"
        )
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}): name another one") from None
    except DAMAGED as error:
        reason = _why_unreadable(file, str(error))
        raise UserError(f"{file} is no checkpoint that can be read safely ({reason}): name another one") from None
    if isinstance(checkpoint, dict) and "model_weights" in checkpoint:
        return _from_released(checkpoint, file, first_level)
    if first_level is not None:
        raise UserError(f"{file} states its own levels: leave --first-level out")
    written = checkpoint.get("format") if isinstance(checkpoint, dict) else None
    if isinstance(written, int) and written != FORMAT:
        raise UserError(f"{file} was written by another version of train.py: train again with this one")
    if written != FORMAT or not all(key in checkpoint for key in NEEDED):
        raise UserError(f"{file} is not a checkpoint of train.py nor of the released code: name another one")
    digest = digest_of(checkpoint)
    if checkpoint.setdefault("digest", digest) != digest:
        raise UserError(f"{file} was altered after it was written (its digest differs): name another one")
    return checkpoint


def _why_unreadable(file, error):
    with open(file, "rb") as opened:
        beginning = opened.read(2)
    if beginning and not beginning.startswith((b"PK", b"\x80")):  # a zip file, or a pickle of earlier versions
        return "it was not written by PyTorch"
    return "it holds more than tensors and plain values" if "eights" in error else "it is damaged or cut short"


def data_of(checkpoint):
    """Return the folders of prepared data that a checkpoint was trained on, as a list; empty where none is known."""
    data = checkpoint["data"] or []
    return [data] if isinstance(data, str) else data  # runs of versions before 2026-11-26 have one data set


def _from_released(state, file, first_level):
    try:
        name, arguments, weights = import_released(state)
        view, levels = convention_of(file, arguments["levels"], first_level)
    except ValueError as error:
        raise UserError(f"{file} cannot be imported: {error}") from None
    return {
        "format": FORMAT, "model": {"name": name, **arguments}, "state_dict": weights, "levels": levels,
        "resolution": 1.0, "output": "heatmaps", "prior": None, "view": view,
        "calibration": None, "epoch": None, "best": None, "data": None,
        "args": {}, "version": "released", "digest": digest_of(weights),
    }  # fmt: skip


def build_network(checkpoint):
    """Rebuild the network of a checkpoint, with its weights.

    Raises
    ------
    UserError
        If the weights do not fit the network that the checkpoint names.
    """
    network = build_model(**checkpoint["model"])
    try:
        network.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise UserError(f"the checkpoint's weights do not fit its network ({str(error).splitlines()[0]})") from None
    return network
