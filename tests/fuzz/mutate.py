"""Seeded damage to the files that the scripts read."""

import gzip
import io
import json

import nibabel
import numpy as np
import torch

from models import build_model
from utils.inference.checkpoint import FORMAT, save_checkpoint
from utils.system.files import save_npz

KINDS = ("nifti", "labels", "npz", "checkpoint", "split", "table", "samples", "summary", "progress")


def original(kind):
    """Return the bytes of a small, good file of a kind."""
    rng = np.random.default_rng(0)
    if kind in ("nifti", "labels"):
        data = rng.integers(1, 900, (6, 20, 24)).astype(np.int16)
        if kind == "labels":
            data = np.zeros((6, 20, 24), np.uint8)
            data[3, 10, [4, 12, 20]] = [25, 24, 23]
        return nibabel.Nifti1Image(data, np.diag([3.0, 2, 2, 1])).to_bytes()
    if kind == "split":
        return json.dumps({"train": ["sub-1", "sub-2"], "val": ["sub-3"], "test": ["sub-4"]}).encode()
    if kind == "table":
        return b"participant_id\tage\tsex\nsub-1\t30\tF\nsub-2\t40\tM\n"
    if kind == "samples":
        return b"file\tname\tperson\tsplit\nsamples/a.npz\ta\tsub-1\ttrain\nsamples/b.npz\tb\tsub-2\ttest\n"
    if kind == "summary":
        return json.dumps({"levels": [23, 24, 25], "resolution": 1.0, "sigma": 4.0, "seed": 0}).encode()
    if kind == "progress":
        return b'\n["0a1b", {"file": "samples/a.npz", "name": "a", "landmarks": 0}]\n["2c", "labels: empty"]\n'
    return _written(kind, rng)


def _written(kind, rng):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.npz"
        if kind == "npz":
            save_npz(
                path, image=rng.random((20, 16), np.float32), points=np.array([[5.0, 8], [12, 8]]), name=np.array("a"),
                levels=np.array([24, 25]), states=np.zeros(26, np.int8), plane=np.eye(4)[:, :3], spacing=np.float64(1),
                subject=np.array("a"), contrast=np.array("T2w"), source=np.array(""), across=np.zeros(2),
                slabs=np.zeros((1, 20, 16), np.float16), offsets=np.zeros(1),
            )  # fmt: skip
        else:
            model = {"name": "unet", "levels": 2, "stacks": 1, "blocks": 1, "features": 4, "in_channels": 1}
            state = build_model(**model).state_dict()
            torch.manual_seed(0)
            save_checkpoint(path, {"format": FORMAT, "model": model, "state_dict": state, "levels": [24, 25],
                                   "resolution": 1.0, "output": "logits", "prior": None, "args": {}})  # fmt: skip
        return path.read_bytes()


def mutate(content, kind, rng):
    """Return damaged bytes: bits flipped, parts cut, doubled or replaced; headers more often than data."""
    content = bytearray(content)
    reach = 352 if kind in ("nifti", "labels") and rng.random() < 0.8 else len(content)
    for _ in range(rng.integers(1, 6)):
        if not content:
            break
        place = int(rng.integers(min(reach, len(content))))
        what = rng.integers(6)
        if what == 0:
            content[place] ^= 1 << int(rng.integers(8))
        elif what == 1:
            content[place] = int(rng.choice([0, 1, 127, 128, 255]))
        elif what == 2:
            value = rng.choice([0, 1, -1, 32767, -32768])
            content[place : place + 2] = np.int16(value).tobytes()
        elif what == 3:
            value = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e30, -1e-30, 1e6])
            content[place : place + 4] = np.float32(value).tobytes()
        elif what == 4 and rng.random() < 0.3:
            del content[place:]
        elif what == 5 and rng.random() < 0.3:
            content[place:place] = content[max(place - 40, 0) : place]
    if kind in ("nifti", "labels") and rng.random() < 0.3:
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream:
            stream.write(bytes(content))
        content = bytearray(packed.getvalue())
        if rng.random() < 0.5:
            del content[int(rng.integers(len(content))) :]
    return bytes(content)
