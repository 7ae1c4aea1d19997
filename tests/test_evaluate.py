"""The folder of an evaluation: what it holds, and that files of others in it are left alone."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import lumbar
from predicted import predict_into, save_scan
from trainings import prepared

import evaluate
from models import build_model
from utils.inference.checkpoint import FORMAT, save_checkpoint
from utils.scans.sample import save_sample
from utils.system.files import UserError, save_json, save_table
from utils.training.data import Data

LEVELS = list(range(21, 26))


@pytest.fixture
def data(tmp_path):
    """Return prepared data with one test scan, whose subject has a column with a slash and one without values."""
    folder = tmp_path / "data"
    save_sample(folder / "samples" / "a.npz", lumbar(), np.zeros((5, 60, 30), np.float32))
    head, row = ["file", "name", "subject", "contrast", "split"], ["samples/a.npz", "sub-1_T2w", "sub-1", "T2w", "test"]
    save_table(folder / "samples.tsv", [head, row], "\t")
    columns = ["participant_id", "age/years", "a|b", "empty"]
    save_table(folder / "participants.tsv", [columns, ["sub-1", "40", "x|y", ""]], "\t")
    save_json(folder / "summary.json", {"levels": LEVELS, "resolution": 1.0, "sigma": 4.0})
    return folder


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    model = {"name": "unet", "levels": 5, "stacks": 1, "blocks": 1, "features": 4, "in_channels": 1}
    state = build_model(**model).state_dict()
    content = {"format": FORMAT, "model": model, "state_dict": state, "data": None, "levels": LEVELS, "resolution": 1.0}
    save_checkpoint(tmp_path / "w.pt", {**content, "output": "logits", "prior": None, "epoch": 1, "args": {}})
    return tmp_path / "w.pt"


@pytest.fixture
def run(data, weights, tmp_path):
    """Return a function that evaluates into the folder ``out`` and returns the files there."""

    def evaluated(*flags):
        out = tmp_path / "out"
        needed = ["--data", data, "--weights", weights, "--out", out, "--device", "cpu"]
        evaluate.main([*map(str, needed), *flags])
        return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}

    return evaluated


FOREIGN = (
    "attention.pdf", "attention.txt", "error_by_mine.png", "windows.md", "overlays/scans_99.png", "overlays/notes.txt",
    "report_files/0123456789abcdef.json", "report_files/mine.png", "discs_old.csv", "manifest.txt",
)  # fmt: skip


def test_predictions_and_an_evaluation_do_not_share_a_folder(run, tmp_path, monkeypatch):
    save_scan(tmp_path / "a.nii.gz")
    run()
    before = (tmp_path / "out" / "discs.csv").read_bytes()
    with pytest.raises(UserError, match="holds an evaluation, and is left as it is: give another --out"):
        predict_into(tmp_path / "out", [tmp_path / "a.nii.gz"], monkeypatch)
    assert (tmp_path / "out" / "discs.csv").read_bytes() == before
    predict_into(tmp_path / "predictions", [tmp_path / "a.nii.gz"], monkeypatch)
    before = (tmp_path / "predictions" / "discs.csv").read_bytes()
    with pytest.raises(UserError, match="holds predictions, and is left as it is: give another --out"):
        run("--out", str(tmp_path / "predictions"))
    assert (tmp_path / "predictions" / "discs.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--levels", "21"], "no scan of the test split has a disc of these levels: give others with --levels"),
        (["--by", "level"], "--by level: every level is scored by itself already"),
    ],
)
def test_scores_of_nothing_or_in_the_place_of_others_are_refused(flags, reason, data, run, tmp_path):
    sample = lumbar()
    sample.levels, sample.points, sample.across = sample.levels[1:], sample.points[1:], sample.across[1:]  # no L1-L2
    save_sample(data / "samples" / "a.npz", sample, np.zeros((5, 60, 30), np.float32))
    with pytest.raises(UserError, match=reason):
        run(*flags)
    assert not (tmp_path / "out").exists()


def test_files_of_others_stay_as_they_are(run, tmp_path):
    for name in FOREIGN:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(name)
    for flags in ([], ["--levels", "21-23"]):  # the second one replaces what the first one wrote
        run(*flags)
        assert all((tmp_path / "out" / name).read_text() == name for name in FOREIGN)


WRITTEN = ("table.md", "metrics.json", "worst_cases.png", "report.html", "report_files/report.js")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_of_others_in_the_way_is_an_error_before_anything_is_written(name, run, tmp_path):
    (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / name).write_text("precious")
    with pytest.raises(UserError, match=f"{name} was not written by this software, or was changed since"):
        run()
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == [name.split("/")[-1]]
    assert (tmp_path / "out" / name).read_text() == "precious"


def test_an_evaluation_replaces_the_one_before_and_leaves_none_of_its_files(run, tmp_path):
    first = run("--windows", "3", "--pdf")
    assert {"windows.md", "confusion.pdf", "overlays/scans_01.pdf", "overlays/scans_01.png"} <= first
    second = run()
    assert first - second == {name for name in first if name.endswith(".pdf")} | {"windows.md"}
    listed = json.loads((tmp_path / "out" / "manifest.json").read_text())["files"]
    assert set(listed) == second - {"manifest.json"}
    (tmp_path / "out" / "table.md").write_text("with notes")
    with pytest.raises(UserError, match="table.md"):
        run()
    assert (tmp_path / "out" / "table.md").read_text() == "with notes"


@pytest.mark.parametrize("counts", [["30"], ["3", "6"]])  # the scan has L1-L2 to L5-S1
def test_windows_of_more_discs_than_a_scan_has_are_refused_at_the_start(counts, run, tmp_path):
    with pytest.raises(UserError, match=f"--windows {counts[-1]}: no scan has a window of {counts[-1]} labelled discs"):
        run("--windows", *counts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("column", "row"), [("age/years", "| 40 | 1 |"), ("a|b", "| x\\|y | 1 |")])
def test_columns_and_values_may_hold_any_character(column, row, run, tmp_path):
    run("--by", column)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics[f"by_{column}"]) == [row.split(" | ")[0].strip("| ").replace("\\", "")]
    assert row in (tmp_path / "out" / "table.md").read_text()
    assert (tmp_path / "out" / "error_by_group.png").is_file()


@pytest.mark.parametrize("column", ["no such column", "empty"])
def test_a_column_without_values_is_an_error(column, run, tmp_path):
    with pytest.raises(UserError, match=f"has no column '{column}' with values: give another one"):
        run("--by", column)
    assert not (tmp_path / "out").exists()


def test_what_is_not_defined_is_a_dash(run, tmp_path, capsys):
    run("--protocol", "published")
    run("--windows", "3")
    texts = [capsys.readouterr().out, *((tmp_path / "out" / name).read_text() for name in ("table.md", "windows.md"))]
    assert not any("nan" in text for text in texts)
    with open(tmp_path / "out" / "discs.csv", newline="") as table:
        assert not any("nan" in cell for row in csv.reader(table) for cell in row)


def test_data_that_changed_since_the_training_are_warned_of(tmp_path, capsys):
    folder = prepared(tmp_path / "data", LEVELS, 4, tests=1)
    run = {"data": [str(folder)], "samples": Data([folder]).digest()}
    labeller = SimpleNamespace(checkpoint=run, source=tmp_path / "run")
    evaluate.warn_of_changes(folder, labeller)
    assert not capsys.readouterr().err
    prepared(folder, LEVELS, 4, tests=2)  # what was trained on becomes a scan to test on
    evaluate.warn_of_changes(tmp_path / "other", labeller)  # it is not known what is there
    assert not capsys.readouterr().err
    evaluate.warn_of_changes(folder, labeller)
    warning = f"warning: {folder} changed since {tmp_path / 'run'} was trained, which may have seen what is scored\n"
    assert capsys.readouterr().err == warning
    (folder / "summary.json").unlink()
    evaluate.warn_of_changes(folder, labeller)
    assert capsys.readouterr().err == warning
