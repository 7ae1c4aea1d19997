"""Flags and paths that no script can use are refused in a sentence, before anything is read or written."""

import re

import pytest

import benchmark
import evaluate
import make_phantom
import predict
import prepare_spinegeneric
import train
from studies import few_shot, folds, networks
from utils.system.files import UserError
from weights import publish


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--lr", "-1"], "--lr -1.0: give a finite number above 0"),
        (["--lr", "inf"], "--lr inf: give a finite number above 0"),
        (["--synthetic", "1", "--batch-size", "4096"], "--batch-size 4096: give 2048 or less, which is an epoch"),
        (
            ["--synthetic", "1", "--seed", "1000000"],
            "--seed 1000000: the synthetic subjects of the validation are of this seed: give another",
        ),
        (
            ["--synthetic", "1", "--synthetic-share", "0.5"],
            "--synthetic-share is that of batches of both kinds: give --data and --synthetic, or leave it out",
        ),
        (
            ["--synthetic-share", "0.5"],
            "--synthetic-share is that of batches of both kinds: give --data and --synthetic, or leave it out",
        ),
        (
            ["--synthetic", "1", "--workers", "2"],
            "--workers read the scans of --data, and synthetic images need none: leave --workers out",
        ),
    ],
)
def test_flags_that_no_training_can_have_are_refused_before_anything_is_read(flags, reason, tmp_path):
    source = [] if "--synthetic" in flags else ["--data", str(tmp_path / "none")]
    with pytest.raises(UserError, match=f"^{re.escape(reason)}$"):
        train.main([*source, "--out", str(tmp_path / "run"), *flags])
    assert not (tmp_path / "run").exists()


COUNTS = [
    (prepare_spinegeneric, ["--data", "x"], ["--jobs", "--max-voxels"]),
    (train, ["--synthetic", "1"], ["--epochs", "--synthetic", "--stacks", "--blocks", "--features", "--batch-size"]),
    (evaluate, ["--data", "x"], ["--windows"]),
    (predict, ["x"], ["--max-voxels"]),
    (make_phantom, [], ["--subjects", "--jobs"]),
    (benchmark, [], ["--repeats", "--features", "--batch-size", "--threads"]),
]


@pytest.mark.parametrize(
    ("script", "needed", "flag"), [(script, needed, flag) for script, needed, flags in COUNTS for flag in flags]
)
@pytest.mark.parametrize("count", ["0", "-3"])
def test_counts_of_0_or_less_are_refused(script, needed, flag, count, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main([*needed, "--out", str(tmp_path / "out"), flag, count])
    assert f"argument {flag}: {count} is not a whole number of 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
@pytest.mark.parametrize(
    ("script", "needed"),
    [
        *((script, needed) for script, needed, _ in COUNTS[:-1]),
        (few_shot, ["--data", "x", "--split-file", "x"]),
        (folds, ["--data", "x"]),
        (networks, ["--data", "x"]),
    ],
)
def test_a_file_is_no_folder_to_write_to(script, needed, place, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit):
        script.main([*needed, "--out", str(tmp_path / place)])
    assert f"argument --out: {tmp_path / 'file'} is a file: give a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("script", "needed"), [(benchmark, []), (publish, ["run"])])
def test_a_folder_is_no_file_to_write(script, needed, tmp_path, capsys):
    (tmp_path / "file").touch()
    for place, reason in (("", f"{tmp_path} is a folder: give a file"), ("file/w.pt", "file is a file: give a folder")):
        with pytest.raises(SystemExit):
            script.main([*needed, "--out", str(tmp_path / place)])
        assert f"{reason}\n" in capsys.readouterr().err


@pytest.mark.parametrize("features", ["2", "66"])
@pytest.mark.parametrize(("script", "needed"), [(train, ["--synthetic", "--model", "unet"]), (benchmark, [])])
def test_features_that_are_not_a_multiple_of_4_are_refused(script, needed, features, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main([*needed, "--out", str(tmp_path / "out"), "--features", features])
    assert f"argument --features: {features} is not a multiple of 4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "flags",
    [["--protocol", "labelled"], ["--by", "sex"], ["--split", "test"], ["--data", "x"], ["--windows", "3"], ["--pdf"],
     ["--no-search"], ["--out", "x"], ["--weights", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_flags_that_a_comparison_would_ignore_are_refused(flags, capsys):
    with pytest.raises(SystemExit):
        evaluate.main([*flags, "--compare", "a", "b"])
    said = capsys.readouterr().err
    assert flags[0] in said and "not allowed with argument" in said


@pytest.mark.parametrize("shares", ["nan 1 1", "1 nan 1", "inf 1 1", "-1 1 1", "0 0 0"])
def test_shares_that_divide_nothing_are_refused_before_anything_is_prepared(shares, tmp_path):
    with pytest.raises(UserError, match="--split takes three finite shares"):
        flags = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--split", *shares.split()]
        prepare_spinegeneric.main(flags)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--weights", "none"], "no weights"), (["a.nii", "--data", "tree", "--weights", "none"], "no weights")],
)
def test_mistakes_are_reported_in_a_sentence(arguments, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=reason):
        predict.main(arguments)
