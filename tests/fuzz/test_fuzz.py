"""Damaged files give a correct result or one clear reason, quickly, and with little memory.

`make test` takes the first 200 cases; `make fuzz` 2,000 by the variable FUZZ_CASES.
"""

import os
import resource
import time
import warnings

import numpy as np
import pytest
import torch
from mutate import KINDS, mutate, original

from prepare_spinegeneric import is_done
from utils.inference.checkpoint import load_checkpoint
from utils.inference.labeller import Labeller
from utils.scans.bids import participants
from utils.scans.labels import read_discs
from utils.scans.nifti import ScanError, read_scan
from utils.scans.prepared import load_summary, load_table
from utils.scans.sagittal import slabs_of
from utils.scans.sample import load_sample
from utils.scans.splits import read_split_file
from utils.system.files import UserError
from utils.system.journal import Journal

CASES = int(os.environ.get("FUZZ_CASES", 200))
GOOD = {kind: original(kind) for kind in KINDS}
NAME = {
    "nifti": "file.nii", "labels": "file.nii", "npz": "file.npz", "checkpoint": "file.pt", "split": "file.json",
    "table": "participants.tsv", "samples": "samples.tsv", "summary": "summary.json", "progress": "progress.jsonl",
}  # fmt: skip


def use(kind, path):
    """Do with a file what the scripts do."""
    if kind == "nifti":
        scan = read_scan(path)
        slabs, _, plane = slabs_of(scan)
        assert np.isfinite(slabs).all() and plane.spacing > 0
    elif kind == "labels":
        discs = read_discs(path)
        assert (np.diff(discs.levels) > 0).all() and np.isfinite(discs.world).all()
    elif kind == "npz":
        assert load_sample(path).image.ndim == 2
    elif kind == "checkpoint":
        found = Labeller(load_checkpoint(path), path).label(np.zeros((1, 64, 64), np.float32))
        assert np.isfinite(found.points).all()
    elif kind == "split":
        assert set(read_split_file(path).values()) <= {"train", "val", "test"}
    elif kind == "table":
        assert all(isinstance(subject, str) for subject in participants(path.parent))
    elif kind == "samples":
        assert all(row["file"] and row["split"] for row in load_table(path.parent))
    elif kind == "summary":
        assert load_summary(path.parent)["levels"]
    else:
        assert not any(is_done(result, path.parent) for key, result in Journal(path).results.items() if key == "0a1b")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("seed", range(CASES))
def test_a_damaged_file_is_used_or_refused(seed, tmp_path):
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    content = mutate(GOOD[kind], kind, rng)
    folder = tmp_path / "inside"
    folder.mkdir()
    gz = content[:2] == b"\x1f\x8b" and kind in ("nifti", "labels")
    path = folder / f"{NAME[kind]}{'.gz' if gz else ''}"
    path.write_bytes(content)
    began = time.process_time()  # the machine may be busy with other things
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nibabel, about damaged headers
        try:
            use(kind, path)
        except (ScanError, UserError) as error:
            assert 10 < len(str(error)) < 600
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 2**20  # in KB: 2 GB at the most
    assert [item.name for item in tmp_path.iterdir()] == ["inside"]
