"""Data and runs of a comparison: used again with the same settings, refused with others."""

import json

import pytest

import make_phantom
import prepare_spinegeneric
import train
from studies.trainings import prepared, trained, without_init
from tests.trainings import shorten
from utils.scans.splits import SPLITS
from utils.system.files import UserError

SUBJECTS = ["sub-phantom001", "sub-phantom002", "sub-phantom003"]
FLAGS = ["--epochs", "1", "--model", "unet", "--features", "4"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings") / "tree"
    make_phantom.main(["--subjects", "3", "--out", str(folder), "--seed", "8"])
    return folder


@pytest.fixture
def split(tmp_path):
    return split_file(tmp_path, SUBJECTS)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    shorten(monkeypatch)
    monkeypatch.setitem(train.RECIPES["default"], "least_slices", 8)


def split_file(folder, subjects):
    """Write a split with a subject in each part; returns its path."""
    (folder / "split.json").write_text(json.dumps({part: [s] for part, s in zip(SPLITS, subjects, strict=True)}))
    return folder / "split.json"


def not_called(arguments):
    raise AssertionError(arguments)


def test_prepared_data_are_used_again_with_the_same_settings_alone(tree, split, tmp_path, monkeypatch):
    out = prepared(tree, tmp_path / "data", split, (3, 4))
    monkeypatch.setattr(prepare_spinegeneric, "main", not_called)
    assert prepared(tree, out, split, (3, 4)) == out
    with pytest.raises(UserError, match=f"^{out} was prepared with another choice of levels: remove it, or"):
        prepared(tree, out, split, (3, 4, 5))
    with pytest.raises(UserError, match="was prepared with another tree, choice of levels: "):
        prepared(tmp_path, out, split)
    split_file(tmp_path, SUBJECTS[::-1])
    with pytest.raises(UserError, match="was prepared with another split: "):
        prepared(tree, out, split, (3, 4))
    (tmp_path / "data.json").unlink()
    with pytest.raises(UserError, match=f"^{out}.json, which says how {out} was prepared, is missing: remove {out}"):
        prepared(tree, out, split, (3, 4))


def test_a_run_is_used_again_or_resumed_with_the_same_flags_and_samples_alone(tree, split, tmp_path, monkeypatch):
    data, out = prepared(tree, tmp_path / "data", split), tmp_path / "run"
    trained([data], out, [*FLAGS, "--lr", "1e-3"])
    calls = []
    monkeypatch.setattr(train, "main", calls.append)
    trained([data], out, [*FLAGS, "--workers", "1"])  # 1e-3 is the default, and workers change no result
    assert not calls
    with pytest.raises(UserError, match=f"^{out} holds a run with --seed 0, no --init: give the same, remove it, or"):
        trained([data], out, [*FLAGS, "--seed", "1", "--init", "w.pt"])
    with pytest.raises(UserError, match="holds a run with --model unet: "):
        trained([data], out, ["--epochs", "1", "--features", "4"])

    (out / "convergence.gif").unlink()  # as if it had been interrupted
    trained([data], out, FLAGS)
    assert calls == [["--data", str(data), "--out", str(out), *FLAGS, "--resume"]]

    other = prepared(tree, tmp_path / "other", split_file(tmp_path, SUBJECTS[::-1]))
    with pytest.raises(UserError, match=f"^{out} holds a run on other samples: remove it, or give another --out$"):
        trained([other], out, FLAGS)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--lr", "1"], ["--lr", "1"]),
        (["--init", "--lr", "1"], ["--lr", "1"]),
        (["--lr", "1", "--init", "w.pt", "--epochs", "2"], ["--lr", "1", "--epochs", "2"]),
        (["--init"], []),
        (["--init=w.pt", "--lr", "1"], ["--lr", "1"]),
    ],
)
def test_a_run_that_is_resumed_takes_no_weights_to_start_from(flags, expected):
    assert without_init(flags) == expected


def test_a_run_that_is_finished_is_used_again_without_what_resuming_needs(tree, split, tmp_path, monkeypatch):
    data = prepared(tree, tmp_path / "data", split)
    trained([data], tmp_path / "run", FLAGS)
    for name in ("last.pt", "before.pt"):
        (tmp_path / "run" / name).unlink(missing_ok=True)
    monkeypatch.setattr(train, "main", not_called)
    assert trained([data], tmp_path / "run", FLAGS).source == tmp_path / "run"
    with pytest.raises(UserError, match="holds a run with --features 4"):
        trained([data], tmp_path / "run", [*FLAGS[:-1], "8"])
