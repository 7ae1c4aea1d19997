"""Predict, review, correct, retrain: a shifted chain comes back as training data, and nothing unreviewed does."""

import json

import numpy as np
from predicted import FixedLabels, save_scan

import correct
import predict
import prepare_spinegeneric
import train
from utils.report.entries import scans_of_page
from utils.scans.prepared import load_split

SMALL = ["--features", "16", "--stacks", "1", "--epochs", "1", "--no-amp", "--device", "cpu"]


def reviewed(entry, status, shift=0):
    """Return the entry of a correction as the page makes it, with all levels shifted."""
    made = {**{part: entry[part] for part in ("place", "name", "key", "image_digest")}, "status": status,
            "by": "", "time": "2026-11-26T02:30:00.000Z", "note": ""}  # fmt: skip
    if status == "good":
        return made
    plane = {part: np.array(value) for part, value in entry["plane"].items()}
    discs = []
    for disc in entry["discs"]:
        row, col, across = disc["row"], disc["col"], disc["across"]
        world = plane["origin"] + row * plane["down"] + col * plane["back"] + across * plane["across"]
        place = {"row": row, "col": col, "across_mm": across, "world_mm": world.tolist()}
        discs.append({"level": disc["level"] + shift, **place})
    return {**made, "discs": discs}


def test_corrected_labels_are_trained_on(tmp_path, monkeypatch):
    tree, out = tmp_path / "tree", tmp_path / "out"
    for index in range(1, 5):
        save_scan(tree / f"sub-{index}" / "anat" / f"sub-{index}_T2w.nii.gz")
    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: FixedLabels(path))
    assert predict.main(["--data", str(tree), "--weights", "fixed", "--out", str(out)]) == 0
    labels = out / "derivatives" / "disc-labels"
    entries = {entry["name"]: entry for entry in scans_of_page(labels / "report.html")}
    scans = [
        reviewed(entries["sub-1_T2w"], "corrected", shift=1),
        reviewed(entries["sub-2_T2w"], "good"),
        reviewed(entries["sub-3_T2w"], "corrected", shift=1),
    ]
    file = tmp_path / "corrections.json"
    file.write_text(
        json.dumps({"format": "disc-labels corrections", "version": 1, "software": "x", "saved": "", "scans": scans})
    )
    assert correct.main([str(file), "--predictions", str(out)]) == 0

    split, data = tmp_path / "split.json", tmp_path / "data"
    split.write_text(json.dumps({"train": ["sub-1", "sub-2"], "val": ["sub-3"], "test": ["sub-4"]}))
    chosen = ["--labels", str(labels), "--only-corrected", "--split-file", str(split)]
    prepare_spinegeneric.main(["--data", str(tree), *chosen, "--out", str(data)])
    prepared = {sample.name: sample.levels.tolist() for part in ("train", "val") for sample in load_split(data, part)}
    # L1-L2 to L4-L5 were predicted; what was shifted by one key is L2-L3 to L5-S1, and sub-4 was not reviewed.
    assert prepared == {
        "sub-1_T2w": [22, 23, 24, 25], "sub-2_T2w": [21, 22, 23, 24], "sub-3_T2w": [22, 23, 24, 25],
    }  # fmt: skip
    save_scan(tree / "sub-2" / "anat" / "sub-2_T2w.nii.gz", voxel=(3.0, 0.9, 0.9))
    prepare_spinegeneric.main(["--data", str(tree), *chosen, "--out", str(tmp_path / "again")])
    skipped = (tmp_path / "again" / "skipped.tsv").read_text()
    assert "sub-2_T2w\tsub-2\tT2w\timage: it has changed since its labels were made" in skipped
    assert "sub-1_T2w" not in skipped
    monkeypatch.setitem(train.RECIPES["default"], "least_slices", 8)
    monkeypatch.setattr("utils.training.engine.CALIBRATION_VIEWS", 2)
    assert train.main(["--data", str(data), "--out", str(tmp_path / "run"), *SMALL]) == 0
    assert (tmp_path / "run" / "best.pt").is_file()
