"""The shipped weights: whole, small, safe to load, and right on synthetic subjects that no training saw."""

import hashlib

import numpy as np
import pytest
import torch
from trainings import few_samples, shorten, whole_and_resumed

from utils.discs import LEVELS, SACRAL
from utils.inference.labeller import load_labeller
from utils.inference.shipped import SHIPPED
from utils.scans.nifti import Scan
from utils.scans.sagittal import slabs_of
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.volumes import choose_field_of_view, generate_volume
from weights import publish


@pytest.mark.parametrize("name", ["spine", "synthetic"])
def test_a_file_is_whole_small_and_holds_only_what_a_prediction_needs(name):
    path = SHIPPED.with_name(f"{name}.pt")
    assert path.stat().st_size < 7.5e6
    digest, written = path.with_suffix(".sha256").read_text().split()
    assert written == path.name and hashlib.sha256(path.read_bytes()).hexdigest() == digest
    checkpoint = torch.load(path, weights_only=True)
    assert tuple(checkpoint["levels"]) == (*LEVELS, SACRAL)
    assert {v.dtype for v in checkpoint["state_dict"].values() if v.is_floating_point()} == {torch.float32}
    assert checkpoint["calibration"] and not {"optimizer", "newest", "log"} & set(checkpoint)
    assert not {"data", "out", "init"} & set(checkpoint["args"])


def test_they_label_the_discs_of_new_subjects():
    labeller, found, total = load_labeller(SHIPPED, torch.device("cpu")), 0, 0
    for seed, contrast in enumerate(("T1w", "T2w", "T1w", "T2w")):
        rng = np.random.default_rng([77, seed])
        anatomy = generate_anatomy(rng)
        volume = generate_volume(rng, anatomy, contrast, choose_field_of_view(rng, anatomy), (1.0, 1.0, 1.0))
        scan = Scan(volume.data, volume.affine)
        slabs, offsets, plane = slabs_of(scan)
        prediction = labeller.label(slabs, offsets)
        world = dict(zip(prediction.levels, plane.to_world(prediction.points, prediction.across), strict=True))
        for level, voxel in zip(volume.levels, volume.voxels, strict=True):
            total += 1
            true = volume.affine[:3, :3] @ voxel + volume.affine[:3, 3]
            found += level in world and np.linalg.norm(world[level] - true) < 10
    assert found >= 0.9 * total


def test_weights_are_made_by_a_synthetic_training_that_is_resumed_where_it_was_stopped(tmp_path, monkeypatch):
    shorten(monkeypatch)
    flags = ["--synthetic", "2", "--features", "16", "--stacks", "1", "--epochs", "2", "--no-amp", "--device", "cpu"]
    whole, cut = whole_and_resumed(tmp_path, flags)
    assert all(torch.equal(value, cut["state_dict"][key]) for key, value in whole["state_dict"].items())
    monkeypatch.setattr(publish, "validation_samples", few_samples)
    monkeypatch.setattr(publish, "VIEWS", 4)
    publish.main([str(tmp_path / "cut" / "last.pt"), "--out", str(tmp_path / "new.pt")])
    labeller = load_labeller(tmp_path / "new.pt", torch.device("cpu"))
    assert labeller.passes == 2 and labeller.levels == LEVELS and "out" not in labeller.checkpoint["args"]
    assert all(torch.equal(value, whole["state_dict"][key]) for key, value in labeller.checkpoint["state_dict"].items())
