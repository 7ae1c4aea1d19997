"""The folder of a training: what a run keeps when it goes on, and with what it does not go on."""

import json

import pytest
import torch
from trainings import prepared, shorten

import train
from utils.inference.checkpoint import load_checkpoint
from utils.system import ranks
from utils.system.files import UserError
from utils.training.runs import Training, check_resumable, go_on, load_last

SMALL = ["--model", "unet", "--features", "4", "--epochs", "1", "--no-amp", "--device", "cpu"]


@pytest.fixture
def quick(monkeypatch):
    shorten(monkeypatch)
    monkeypatch.setitem(train.RECIPES["default"], "least_slices", 8)


def test_a_run_goes_on_with_data_that_moved_and_keeps_the_flags_that_it_began_with(quick, tmp_path):
    data, given, out = prepared(tmp_path / "a", range(21, 26), 3), tmp_path / "given", tmp_path / "run"
    train.main(["--data", str(data), "--out", str(given), *SMALL])
    train.main(["--data", str(data), "--init", str(given), "--out", str(out), *SMALL])
    moved = str(data.rename(tmp_path / "b"))
    train.main(["--data", moved, "--out", str(out), "--resume", *SMALL[4:]])
    run, written = load_checkpoint(out / "best.pt"), json.loads((out / "args.json").read_text())
    assert run["data"] == run["args"]["data"] == written["data"] == [moved]
    assert run["args"]["init"] == written["init"] == str(given)
    assert written["features"] == 4 and written["resume"] is True


def test_what_must_not_change_is_that_of_the_run_and_the_rest_is_of_now(tmp_path):
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(network.parameters())
    parts = network, None, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1)
    then = {"data": ["a"], "out": "x", "workers": 0, "device": None, "resume": False, "init": "w.pt", "features": 96}
    now = {"data": ["b"], "out": "y", "workers": 2, "device": "cpu", "resume": True, "init": None, "features": 64}
    state = {"data": ["b"], "args": now, "processes": 2, "epoch": 0}
    earlier = Training({"data": ["a"], "args": then, "processes": 1, "epoch": 3}, *parts).checkpoint()
    go_on(tmp_path, {**earlier, "file": "last.pt"}, Training(state, *parts))
    assert state == {"data": ["b"], "args": {**now, "init": "w.pt", "features": 96}, "processes": 2, "epoch": 3}


SETTINGS = {"synthetic": None, "synthetic_share": None, "recipe": "default", "epochs": 3, "batch_size": 8, "lr": 1e-3,
            "seed": 0, "amp": True}  # fmt: skip


def resumed(out, *changes, **entries):
    """Compare a run with flags that differ from those of the run; ``changes`` are flags of both, or of the second."""
    before, now = ({**SETTINGS, **change} for change in (changes[0], {**changes[0], **changes[-1]}))
    check_resumable(out, {"samples": None, "data": [], "args": before, **entries}, now, None)


def test_synthetic_images_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    resumed(tmp_path, {"synthetic": 4}, processes=1)
    monkeypatch.setattr(ranks, "count", lambda: 2)
    resumed(tmp_path, {"synthetic": None}, processes=1)  # scans are shared alike among any number
    resumed(tmp_path, {"synthetic": 4})  # a run of an earlier version does not say
    with pytest.raises(UserError, match="run whose number of processes is 1, and each makes images of its own: give"):
        resumed(tmp_path, {"synthetic": 4}, processes=1)


@pytest.mark.parametrize(
    ("recipe", "best", "reason"),
    [
        ("default", True, ", over which its learning rate falls: give the same to finish it, or train further from"),
        ("default", False, ", over which its learning rate falls: give the same to finish it$"),
        ("published", True, ": give the same to finish it, or train further from its best weights with --init"),
        ("published", False, ": give the same to finish it$"),
    ],
)
def test_another_number_of_epochs_is_refused_with_what_can_be_done(recipe, best, reason, tmp_path):
    if best:
        (tmp_path / "best.pt").touch()
    with pytest.raises(UserError, match=f"holds a run with --epochs 3{reason}"):
        resumed(tmp_path, {"recipe": recipe}, {"epochs": 9})


def test_weights_alone_are_not_resumed_but_trained_further(tmp_path):
    with pytest.raises(UserError, match="holds no run to resume: leave --resume out to start one"):
        load_last(tmp_path)
    (tmp_path / "best.pt").touch()
    with pytest.raises(UserError, match=f"not what resuming it needs .last.pt.: train further with --init {tmp_path}"):
        load_last(tmp_path)
