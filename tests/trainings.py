"""Short trainings and small prepared data, for several tests."""

import functools

import numpy as np
import pytest
import torch

import train
from tests.builders import lumbar
from utils.inference.checkpoint import load_checkpoint
from utils.inference.heatmaps import render
from utils.scans.sample import save_sample
from utils.synthesis.batches import validation_samples
from utils.system.files import save_json, save_table
from utils.training import runs

few_samples = functools.partial(validation_samples, 6, 3)


def shorten(monkeypatch):
    """Make an epoch, its validation and the calibration short, on one thread: others add numbers in another order."""
    monkeypatch.setattr("utils.training.sources.validation_samples", few_samples)
    monkeypatch.setattr("utils.training.sources.SYNTHETIC_EPOCH", 16)
    monkeypatch.setattr("utils.training.engine.CALIBRATION_VIEWS", 4)
    torch.set_num_threads(1)


def prepared(folder, levels, count, resolution=1.0, tests=0, top=40.0):
    """Write prepared data of straight lumbar spines, from row ``top`` on.

    The first is to validate on, then come ``tests`` to test on, and the others are to train on.
    """
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        sample, name = lumbar(top=top + 5 * index), f"sub-{folder.name}{index}_T2w"
        sample.name, sample.subject = name, name[:-4]
        sample.slabs = np.full_like(sample.slabs, 0.1 * index)  # the first, which is validated on, is like no other
        channels = [list(levels).index(level) for level in sample.levels]
        heatmaps = render(sample.points, channels, len(levels), (240, 120), 4.0, 1.0)
        save_sample(folder / "samples" / f"{name}.npz", sample, heatmaps)
        split = "val" if index == 0 else "test" if index <= tests else "train"
        rows.append([f"samples/{name}.npz", name, split])
    save_table(folder / "samples.tsv", [("file", "name", "split"), *rows], "\t")
    save_json(folder / "summary.json", {"levels": list(levels), "resolution": resolution, "sigma": 4.0})
    return folder


def whole_and_resumed(folder, flags):
    """Return the last checkpoints of two equal trainings, of which the second was stopped after its first epoch.

    They are in ``whole/`` and ``cut/`` of ``folder``.
    """
    assert train.main([*flags, "--out", str(folder / "whole")]) == 0
    save = runs.save_checkpoint

    def stop_after_the_first(path, checkpoint):
        save(path, checkpoint)
        if path.name == "last.pt" and checkpoint["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "save_checkpoint", stop_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            train.main([*flags, "--out", str(folder / "cut")])
    assert train.main([*flags, "--out", str(folder / "cut"), "--resume"]) == 0
    return [load_checkpoint(folder / out / "last.pt") for out in ("whole", "cut")]
