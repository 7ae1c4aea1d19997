"""Publishing weights: what is refused, before the calibration."""

import pytest
import torch
from trainings import prepared

from models import build_model
from utils.inference.checkpoint import FORMAT, save_checkpoint
from utils.synthesis.batches import CHANNELS
from utils.system.files import UserError
from utils.training.data import Data
from weights import publish


@pytest.fixture
def folder(tmp_path):
    return prepared(tmp_path / "data", CHANNELS[:-1], 3, tests=1)


@pytest.fixture
def refusal(folder, tmp_path):
    """Return a function that publishes a joint run with some entries changed, and returns why that is refused."""

    def reason(**changes):
        model = {"name": "unet", "levels": 25, "stacks": 1, "blocks": 1, "features": 4, "in_channels": 1}
        torch.manual_seed(0)
        run = {
            "format": FORMAT, "model": model, "state_dict": build_model(**model).state_dict(), "levels": CHANNELS,
            "resolution": 1.0, "output": "logits", "prior": None, "epoch": 2, "calibration": None,
            "data": [str(folder)], "samples": Data([folder]).digest(),
            "args": {"synthetic": 2, "data": [], "out": "x", "epochs": 2},
        }  # fmt: skip
        save_checkpoint(tmp_path / "run.pt", {**run, **changes})
        with pytest.raises(UserError) as raised:
            publish.main([str(tmp_path / "run.pt"), "--out", str(tmp_path / "w.pt")])
        assert not (tmp_path / "w.pt").exists()
        return str(raised.value)

    return reason


def test_data_that_changed_since_the_training_are_refused(folder, refusal):
    before = Data([folder]).digest()
    prepared(folder, CHANNELS[:-1], 3)  # the scan to test on becomes one to train on
    assert refusal(samples=before).startswith(f"{folder} changed since ")


def test_a_run_that_is_not_finished_is_refused(refusal, tmp_path):
    assert refusal(epoch=1).startswith(f"{tmp_path / 'run.pt'} is of a training that is not finished")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"out": "output/scans", "synthetic": None}, "was not trained with --synthetic, so it lacks levels"),
        ({}, "was not trained with --synthetic"),  # the released code
        ({"synthetic": 2}, "is published already, and its data are no longer known: give the run it was made of"),
    ],
)
def test_what_is_no_run_with_synthetic_images_is_refused(args, reason, refusal, tmp_path):
    assert refusal(args=args).startswith(f"{tmp_path / 'run.pt'} {reason}")
