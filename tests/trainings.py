"""Short trainings on synthetic images, for several tests."""

import functools

import pytest
import torch

import train
from utils.inference.checkpoint import load_checkpoint
from utils.synthesis.batches import validation_samples
from utils.training import runs

few_samples = functools.partial(validation_samples, 6, 3)


def shorten(monkeypatch):
    """Make an epoch, its validation and the calibration short, on one thread: others add numbers in another order."""
    monkeypatch.setattr("utils.training.sources.validation_samples", few_samples)
    monkeypatch.setattr("utils.training.sources.SYNTHETIC_EPOCH", 16)
    monkeypatch.setattr("utils.training.engine.CALIBRATION_VIEWS", 4)
    torch.set_num_threads(1)


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
