"""Joint training: shares of the data sets, what a batch holds, and a stopped training that is resumed exactly."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import lumbar
from trainings import prepared, shorten, whole_and_resumed

import evaluate
import train
from utils.inference.checkpoint import data_of
from utils.inference.labeller import Prediction
from utils.synthesis.batches import CHANNELS
from utils.system import ranks
from utils.system.files import UserError
from utils.training.engine import better, calibrate, mean_score
from utils.training.slices import Order
from utils.training.sources import Joint, Synthetic


def test_data_sets_share_an_epoch_by_the_square_roots_of_their_sizes():
    order = Order([16, 1, 4], 14, seed=3)  # roots 4, 1 and 2: of 14 items 8, 2 and 4
    shown = order.epoch(0)
    assert [np.isin(shown, own).sum() for own in (range(16), [16], range(17, 21))] == [8, 2, 4]
    two = np.concatenate([shown, order.epoch(1)])
    assert sorted(two[two < 16]) == list(range(16))  # all of the large set before any of it again
    assert sorted(two[two > 16]) == sorted([*range(17, 21)] * 2)
    assert np.array_equal(Order([16, 1, 4], 14, seed=3).epoch(1), order.epoch(1))
    assert not np.array_equal(Order([16, 1, 4], 14, seed=4).epoch(1), order.epoch(1))


def test_one_data_set_is_shown_in_rounds():
    order = Order([5], 3, seed=0)
    items = np.concatenate([order.epoch(epoch) for epoch in range(5)])
    assert all(sorted(items[first : first + 5]) == list(range(5)) for first in (0, 5, 10))


def test_every_validation_set_counts_the_same():
    assert mean_score({"a": (1.0, 2.0), "b": (0.5, 1.0)}) == (0.75, 1.5)
    nan = float("nan")
    assert mean_score({"a": (0.5, 2.0), "b": (nan, nan)}) == (0.5, 2.0)  # it has no disc
    assert np.isnan(mean_score({"b": (nan, nan)})).all()
    identified, distance = mean_score({"a": (1.0, 2.0), "b": (0.0, nan)})
    assert (identified, distance) == (0.5, 2.0)


def test_the_best_epoch_has_the_highest_share_and_of_equal_ones_the_lowest_distance():
    nan = float("nan")
    assert better((0.5, 3.0), None) and better((0.6, 3.0), (0.5, 1.0)) and better((0.5, 1.0), (0.5, 2.0))
    assert not better((0.5, 1.0), (0.6, 3.0)) and not better((0.5, 2.0), (0.5, 2.0))
    assert better((nan, nan), (nan, nan))  # no set has a disc: the last epoch
    assert better((0.0, nan), (0.0, nan)) and not better(
        (0.0, nan), (0.1, 3.0)
    )  # nothing is identified so far: likewise
    assert better((0.1, 3.0), (nan, nan))  # by a version that took one set without a disc for all


@pytest.fixture
def quick(monkeypatch):
    """Let a training be short."""
    shorten(monkeypatch)


def test_a_batch_holds_scans_and_synthetic_images(quick, tmp_path):
    folders = [prepared(tmp_path / name, CHANNELS[:-1], count) for name, count in (("a", 3), ("b", 2))]
    args = SimpleNamespace(data=folders, synthetic=2, seed=0, recipe="default", workers=0)
    source = Joint(args, 8, torch.device("cpu"), share=0.25)
    assert source.steps == 2 and list(source.val_sets) == ["a", "b", "synthetic"]
    for images, target, weight, numbers in source.batches(1, 0):
        assert images.shape == (8, 1, 256, 256) and target.shape == weight.shape == (8, 25, 64, 64)
        assert len(numbers) == 8
        # Scans come first: of these, L1-L2 to L5-S1 alone are labelled.
        assert target[:6, :19].max() == 0 and target[:6, 19:24].amax((2, 3)).max() > 0.9
    assert len(source.names(1, 0)) == 7 and source.names(1, 0)[-1].startswith("synthetic")


def test_data_prepared_otherwise_are_refused(quick, tmp_path):
    one, other = prepared(tmp_path / "a", CHANNELS[:-1], 2), prepared(tmp_path / "b", range(21, 26), 2)
    flags = ["--out", str(tmp_path / "run"), "--device", "cpu"]
    with pytest.raises(UserError, match="b was prepared with other --levels"):
        train.main(["--data", str(one), str(other), *flags])
    with pytest.raises(UserError, match="b was not prepared with the levels of synthetic images"):
        train.main(["--data", str(other), "--synthetic", "2", *flags])
    with pytest.raises(UserError, match="nothing to train on"):
        train.main(flags)
    with pytest.raises(UserError, match="--synthetic-share 1.0: give more than 0 and less than 1"):
        train.main(["--data", str(one), "--synthetic", "2", "--synthetic-share", "1", *flags])
    assert not (tmp_path / "run").exists()


def test_data_sets_of_the_same_name_are_kept_apart(quick, tmp_path):
    folders = [prepared(tmp_path / name, CHANNELS[:-1], 2) for name in ("one/a", "other/a", "synthetic")]
    args = SimpleNamespace(data=folders[:2], synthetic=2, seed=0, recipe="default", workers=0)
    source = Joint(args, 8, torch.device("cpu"), share=0.5)
    assert list(source.val_sets) == [str(folders[0]), str(folders[1]), "synthetic"]
    args.data = folders[1:]
    source = Joint(args, 8, torch.device("cpu"), share=0.5)
    assert list(source.val_sets) == [str(folders[1]), str(folders[2]), "synthetic"]
    flags = ["--synthetic", "2", "--out", str(tmp_path / "run"), "--device", "cpu"]
    with pytest.raises(UserError, match="give each folder once"):
        train.main(["--data", str(folders[0]), str(folders[0]), *flags])


def test_every_process_needs_a_synthetic_subject(monkeypatch, quick):
    monkeypatch.setattr(ranks, "count", lambda: 3)
    monkeypatch.setattr(ranks, "rank", lambda: 2)
    args = SimpleNamespace(synthetic=2, seed=0)
    with pytest.raises(UserError, match="--synthetic 2: give one subject or more for each of 3 processes"):
        Synthetic(args, 6, torch.device("cpu"))
    args.synthetic = 5  # of which this process has the last one of 0, 3 and 1, 4 and 2
    gathered = []
    monkeypatch.setattr(ranks, "gather", lambda own: gathered.append(own) or [own * 2, own * 2, own])
    source = Synthetic(args, 6, torch.device("cpu"))
    assert len(source.made.bank) == len(gathered[0]) == 1 and len(source.spines) == 5
    assert source.made.batch_size == 2


def test_a_stopped_joint_training_is_resumed_exactly(quick, tmp_path):
    data = [str(prepared(tmp_path / name, CHANNELS[:-1], 3)) for name in "ab"]
    flags = ["--data", *data, "--synthetic", "2", "--features", "16", "--stacks", "1", "--epochs", "2", "--no-amp",
             "--device", "cpu"]  # fmt: skip
    whole, cut = whole_and_resumed(tmp_path, flags)
    assert all(torch.equal(value, cut["state_dict"][key]) for key, value in whole["state_dict"].items())
    assert whole["passes"] == 2 and set(whole["log"][-1]["sets"]) == {"a", "b", "synthetic"}
    assert [line["loss"] for line in whole["log"]] == [line["loss"] for line in cut["log"]]
    resume = ["--out", str(tmp_path / "cut"), "--resume"]
    with pytest.raises(UserError, match="holds a run with --synthetic-share 0.5: give the same"):
        train.main([*flags, *resume, "--synthetic-share", "0.25"])
    with pytest.raises(UserError, match=f"other samples, with --data {data[0]} {data[1]}: give the same, prepared"):
        train.main([*flags[3:], *resume])
    with pytest.raises(UserError, match="--batch-size 1: scans and synthetic images need 2 or more for each process"):
        train.main([*flags, "--out", str(tmp_path / "run"), "--batch-size", "1"])
    with pytest.raises(UserError, match=f"was trained on {data[0]}, {data[1]}: name the one to score with --data"):
        evaluate.main(["--weights", str(tmp_path / "cut")])


def test_data_of_runs_of_all_versions():
    assert data_of({"data": None}) == [] and data_of({"data": []}) == []
    assert data_of({"data": "dataset/a"}) == ["dataset/a"] and data_of({"data": ["a", "b"]}) == ["a", "b"]


@pytest.mark.parametrize(
    ("views", "expected"), [(6, [0, 1, 2, 3, 4, 5]), (3, [0, 2, 4]), (12, sorted([*range(6)] * 2)), (0, [])]
)
def test_the_views_that_calibrate_are_spread_over_all_validation_sets(views, expected, monkeypatch):
    samples, seen = [lumbar(top=50.0 + index) for index in range(6)], []
    nothing = Prediction(np.zeros(0, int), np.zeros((0, 2)), *[np.zeros(0)] * 4, np.nan, np.zeros((24, 1, 1)), None, 0)
    labeller = SimpleNamespace(network=torch.nn.Identity(), levels=(21, 22), label=lambda *_: nothing)

    def transformed(rng, sample):
        seen.append(next(index for index, other in enumerate(samples) if other is sample))
        return sample

    monkeypatch.setattr("utils.training.engine.transform_slabs", transformed)
    calibrate(labeller, samples, views)
    assert seen == expected
