"""All steps on synthetic subjects: phantoms, slices, training, resuming, evaluation, prediction."""

import csv
import json

import nibabel
import numpy as np
import pytest
import torch

import evaluate
import make_phantom
import predict
import prepare_spinegeneric
import train
from models import MODELS, build_model
from utils.discs import LEVELS, SACRAL
from utils.evaluation.scores import score
from utils.inference.checkpoint import save_checkpoint
from utils.report.evaluation import headline
from utils.system.files import UserError
from utils.training import runs, sources

SMALL = ["--features", "16", "--stacks", "1", "--batch-size", "8", "--no-amp", "--device", "cpu"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms") / "tree"
    make_phantom.main(["--subjects", "6", "--out", str(folder), "--seed", "3"])
    return folder


@pytest.fixture(scope="module")
def data(tree):
    folder = tree.parent / "prepared"
    prepare_spinegeneric.main(["--data", str(tree), "--out", str(folder), "--split", "0.5", "0.2", "0.3"])
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let an epoch of the default recipe be short."""
    monkeypatch.setitem(train.RECIPES["default"], "least_slices", 16)
    monkeypatch.setattr("utils.training.engine.CALIBRATION_VIEWS", 4)
    torch.set_num_threads(1)


def run_of(data, out, *flags):
    train.main(["--data", str(data), "--out", str(out), *SMALL, *flags])
    return torch.load(out / "last.pt", weights_only=True)


def test_a_resumed_training_equals_an_undisturbed_one(tree, data, tmp_path, monkeypatch):
    whole = run_of(data, tmp_path / "whole", "--epochs", "4")
    save, calls = runs.save_checkpoint, []

    def stop_after_two(path, checkpoint):
        save(path, checkpoint)
        calls.append(path.name)
        if calls.count("last.pt") == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs, "save_checkpoint", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        run_of(data, tmp_path / "cut", "--epochs", "4")
    monkeypatch.setattr(runs, "save_checkpoint", save)
    with pytest.raises(UserError, match="--resume"):
        run_of(data, tmp_path / "cut", "--epochs", "4")
    with pytest.raises(UserError, match="--seed 0"):
        run_of(data, tmp_path / "cut", "--epochs", "4", "--resume", "--seed", "1")
    other = tmp_path / "other"  # the same scans, dealt otherwise
    prepare_spinegeneric.main(["--data", str(tree), "--out", str(other), "--split", "0.5", "0.3", "0.2", "--seed", "1"])
    with pytest.raises(UserError, match="on other samples, with --data .*prepared: give the same, prepared alike"):
        run_of(other, tmp_path / "cut", "--epochs", "4", "--resume")
    with pytest.raises(UserError, match=r"holds a run with --no-amp: give the same"):
        train.main([
            "--data", str(data), "--out", str(tmp_path / "cut"), *(f for f in SMALL if f != "--no-amp"), "--epochs",
            "4", "--resume",
        ])  # fmt: skip
    with pytest.raises(UserError, match="on other samples, with --data .*prepared: give the same"):
        train.main(["--synthetic", "2", "--out", str(tmp_path / "cut"), *SMALL, "--epochs", "4", "--resume"])
    resumed = run_of(data, tmp_path / "cut", "--epochs", "4", "--resume")
    assert resumed["epoch"] == whole["epoch"] == 4
    for key, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][key]), key
        assert torch.equal(whole["newest"][key], resumed["newest"][key]), key
    assert [line["loss"] for line in resumed["log"]] == [line["loss"] for line in whole["log"]]
    lines = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    for name in ("best.pt", "args.json", "curves.png", "convergence.gif"):
        assert (tmp_path / "cut" / name).stat().st_size > 100


def test_from_scans_to_labels(tree, data, tmp_path, capsys):
    out = tmp_path / "run"
    run_of(data, out, "--epochs", "1")
    evaluate.main(["--weights", str(out), "--data", str(data)])
    overall = json.loads((out / "evaluation" / "metrics.json").read_text())["overall"]
    assert overall["n_true"] > 0 and 0 <= overall["identified"] <= 1
    flags = ["--split", "train", "--windows", "4", "--no-search", "--pdf", "--out", str(tmp_path / "other")]
    evaluate.main(["--weights", str(out), *flags])
    figures = {path.relative_to(tmp_path / "other").with_suffix("") for path in (tmp_path / "other").rglob("*.pdf")}
    assert len(figures) >= 8
    assert all((tmp_path / "other" / figure).with_suffix(".png").is_file() for figure in figures)
    windows = (tmp_path / "other" / "windows.md").read_text()
    assert "| cervical | 4 | " in windows and "| thoracic | 4 | " in windows
    evaluate.main(["--compare", str(out), str(out / "evaluation")])
    assert "| fn_rate, % | 100.00 | 100.00 | +0.00 | - |" in capsys.readouterr().out
    with pytest.raises(UserError, match="holds no evaluation"):
        evaluate.main(["--compare", str(out), str(tmp_path)])
    assert headline(score([], [21], "labelled", 1.0))[1] == ("true discs", "0")
    assert (tmp_path / "other" / "windows.md").is_file()
    evaluate.main(["--weights", str(out), "--levels", "3-20", "--out", str(tmp_path / "other")])
    # What an earlier evaluation left is not of this one.
    assert not [*(tmp_path / "other").rglob("*.pdf"), *(tmp_path / "other").rglob("windows.md")]
    with pytest.raises(UserError, match="were not scored on the same discs; evaluate both with the same --data"):
        evaluate.main(["--compare", str(out), str(tmp_path / "other")])
    scans = sorted(tree.glob("sub-*/anat/*.nii.gz"))
    given = tmp_path / "labels"
    assert predict.main(["--data", str(tree), "--out", str(given)]) == 0  # with the weights that know discs
    root = given / "derivatives" / "disc-labels"
    (given / "discs.csv").write_text((root / "discs.tsv").read_text().replace("\t", ","))  # as of single files
    with pytest.raises(UserError, match="discs.csv holds predictions without a truth: give the folder of an eval"):
        evaluate.main(["--compare", str(out), str(given)])
    rows = list(csv.DictReader((root / "discs.tsv").open(), delimiter="\t"))
    assert len(rows) > 12 * 5
    assert json.loads((root / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    for path in scans:
        stem = path.name.removesuffix(".nii.gz")
        labels = nibabel.load(root / path.parent.relative_to(tree) / f"{stem}_label-discs_dlabel.nii.gz")
        scan = nibabel.load(path)
        np.testing.assert_allclose(labels.affine, scan.affine, atol=1e-5)
        values = np.asarray(labels.dataobj)
        found = sorted(int(row["level"]) for row in rows if row["scan"] == stem)
        assert values.shape == scan.shape and sorted(values[values > 0].tolist()) == found
        sidecar = json.loads((root / path.parent.relative_to(tree) / f"{stem}_label-discs_dlabel.json").read_text())
        assert [disc["level"] for disc in sidecar["Discs"]] == found
    # Some of them alone: the table and the page still show all that are labelled.
    before = (root / "discs.tsv").read_text(), len(list((root / "report_files").iterdir()))
    (tmp_path / "list.txt").write_text(f"{scans[0].name.removesuffix('.nii.gz')}\n")
    capsys.readouterr()
    again = ["--data", str(tree), "--out", str(given), "--only", str(tmp_path / "list.txt")]
    assert predict.main(again) == 0
    assert "1 of 1 scans labelled" in capsys.readouterr().out
    assert before == ((root / "discs.tsv").read_text(), len(list((root / "report_files").iterdir())))


def test_a_training_starts_from_other_weights_in_their_shape(data, tmp_path, monkeypatch):
    given = run_of(data, tmp_path / "given", "--epochs", "1", "--model", "hourglass")
    fewer = [flag for flag in SMALL if flag not in ("--features", "16", "--stacks", "1")]
    start = ["--data", str(data), "--init", str(tmp_path / "given"), *fewer, "--epochs", "1", "--lr", "1e-12"]
    train.main([*start, "--out", str(tmp_path / "tuned")])
    tuned = torch.load(tmp_path / "tuned" / "last.pt", weights_only=True)
    assert tuned["model"] == given["model"]
    # Nothing to speak of is learned at this rate: the weights are those that it started from.
    torch.testing.assert_close(tuned["state_dict"]["conv1.weight"], given["state_dict"]["conv1.weight"])
    for flag, value in (("--features", "32"), ("--model", "unet")):
        with pytest.raises(UserError, match=f"leave {flag} out"):
            train.main([*start, "--out", str(tmp_path / "other"), flag, value])
    with pytest.raises(UserError, match="return logits, and --recipe published trains heatmaps"):
        train.main([*start, "--out", str(tmp_path / "other"), "--recipe", "published"])
    with monkeypatch.context() as patch:
        patch.setattr(sources.Prepared, "__init__", changed(sources.Prepared.__init__, resolution=0.5))
        with pytest.raises(UserError, match="pixels of 1.0 mm, the data has 0.5: prepare it with --resolution 1.0"):
            train.main([*start, "--out", str(tmp_path / "other")])
    monkeypatch.setattr(sources.Prepared, "__init__", changed(sources.Prepared.__init__, levels=[21, 22, 23]))
    with pytest.raises(UserError, match="other levels than the data: prepare the data with --levels"):
        train.main([*start, "--out", str(tmp_path / "other")])
    assert not (tmp_path / "other").exists()


def test_weights_with_s1_s2_are_trained_on_scans_without_labels_of_it(data, tmp_path):
    given = run_of(data, tmp_path / "given", "--epochs", "1")
    model = {**given["model"], "levels": 25}
    kept = {key: value for key, value in given.items() if key not in ("newest", "averaged", "digest")}
    kept["prior"]["mean"][25] = [21.0, 19.0]
    wide = {**kept, "model": model, "state_dict": build_model(**model).state_dict(), "levels": [*LEVELS, SACRAL]}
    save_checkpoint(tmp_path / "wide.pt", wide)
    start = ["--data", str(data), "--init", str(tmp_path / "wide.pt"), "--epochs", "1", "--no-amp", "--device", "cpu"]
    train.main([*start, "--out", str(tmp_path / "tuned")])
    tuned = torch.load(tmp_path / "tuned" / "best.pt", weights_only=True)
    assert tuned["levels"] == [*LEVELS, SACRAL] and tuned["model"] == model
    # No scan shows where S1-S2 lies: its place is that of the weights. Those of levels that were seen moved.
    assert tuned["prior"]["mean"][25] == [21.0, 19.0]
    assert tuned["prior"]["mean"][2:25] != kept["prior"]["mean"][2:25]
    evaluate.main(["--weights", str(tmp_path / "tuned"), "--out", str(tmp_path / "scores")])
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text())["overall"]["n_true"] > 0


def changed(init, **parts):
    """Return what makes a source of training images with other attributes."""

    def made(self, *args):
        init(self, *args)
        vars(self).update(parts)

    return made


@pytest.mark.parametrize("stopped", ["last.pt", "best.pt"])
def test_a_run_that_was_killed_in_its_first_epoch_is_not_started_over(stopped, data, tmp_path, monkeypatch):
    save = runs.save_checkpoint

    def kill(path, checkpoint):
        save(path, checkpoint)
        if path.name == stopped:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "save_checkpoint", kill)
        with pytest.raises(KeyboardInterrupt):
            run_of(data, tmp_path / "run", "--epochs", "1")
    with pytest.raises(UserError, match="holds a run: add --resume"):
        run_of(data, tmp_path / "run", "--epochs", "1")
    assert run_of(data, tmp_path / "run", "--epochs", "1", "--resume")["epoch"] == 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("recipe", ["default", "published"])
def test_every_model_trains_by_every_recipe(model, recipe, data, tmp_path):
    flags = ["--data", str(data), "--epochs", "1", "--model", model, "--recipe", recipe]
    if model in ("unet", "bcdunet"):
        with pytest.raises(UserError, match="has no stacks and no blocks: leave --stacks and --blocks out"):
            train.main([*flags, "--out", str(tmp_path / "run"), *SMALL])
    own = [*SMALL[:2], *SMALL[4:]] if model in ("unet", "bcdunet") else SMALL
    train.main([*flags, "--out", str(tmp_path / "run"), *own])
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert np.isfinite(state["log"][0]["loss"])
    evaluate.main(["--weights", str(tmp_path / "run"), "--out", str(tmp_path / "scores")])
    assert (tmp_path / "scores" / "table.md").exists()


def test_labels_that_others_made_are_never_replaced(tree, data, tmp_path, capsys):
    out = tmp_path / "run"
    run_of(data, out, "--epochs", "1")
    scan = next(tree.glob("sub-*/anat/*.nii.gz"))
    foreign = tmp_path / scan.name.replace(".nii.gz", "_label-discs_dlabel.nii.gz")
    foreign.write_bytes(b"made by hand")
    arguments = [str(scan), "--weights", str(out), "--out", str(tmp_path)]
    assert predict.main(arguments) == 1
    assert foreign.read_bytes() == b"made by hand"
    assert "left as it is" in capsys.readouterr().err
    foreign.unlink()
    assert predict.main(arguments) == 0
    # Its own are made again, by other weights, but not what was corrected by hand.
    run_of(data, tmp_path / "other", "--epochs", "1", "--seed", "1")
    arguments[2] = str(tmp_path / "other")
    before = foreign.with_name(foreign.name.replace(".nii.gz", ".json")).read_text()
    assert predict.main(arguments) == 0
    assert before != foreign.with_name(foreign.name.replace(".nii.gz", ".json")).read_text()
    foreign.write_bytes(foreign.read_bytes() + b"\0")
    corrected, arguments[2] = foreign.read_bytes(), str(out)
    assert predict.main(arguments) == 1
    assert foreign.read_bytes() == corrected and "changed since" in capsys.readouterr().err


def test_one_bad_scan_does_not_stop_the_others(tree, data, tmp_path, capsys):
    out = tmp_path / "run"
    run_of(data, out, "--epochs", "1")
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"no scan")
    good = next(tree.glob("sub-*/anat/*.nii.gz"))
    assert predict.main([str(bad), str(good), "--weights", str(out), "--out", str(tmp_path / "labels")]) == 1
    said = capsys.readouterr()
    assert "1 of 2 scans labelled" in said.out and "bad.nii.gz" in said.err
