"""Corrections of labels: what is read of them, what is refused, and what correct.py writes."""

import csv
import itertools
import json
import operator
import shutil

import nibabel
import numpy as np
import predicted
import pytest
from nibabel.affines import apply_affine
from predicted import LEVELS, predict_into, save_scan

import correct
import predict
from utils.report.corrections import read_corrections
from utils.report.entries import scans_of_page
from utils.scans.labels import read_discs
from utils.system.files import UserError

NAME = "sub-1_T2w"


def correction_of(folder, discs, name=NAME, **change):
    """Return the entry of a correction as the page makes it; discs are (level, row, col, slab)."""
    entry = next(scan for scan in scans_of_page(folder / "report.html") if scan["name"] == name)
    listed = []
    for level, row, col, slab in discs:
        across, plane = entry["slabs"][slab]["offset"], {part: np.array(v) for part, v in entry["plane"].items()}
        world = plane["origin"] + row * plane["down"] + col * plane["back"] + across * plane["across"]
        listed.append({"level": level, "row": row, "col": col, "across_mm": across, "world_mm": world.tolist()})
    made = {**{part: entry[part] for part in ("place", "name", "key", "image_digest")}, "status": "corrected",
            "by": "R. Reviewer", "time": "2026-11-26T02:30:00.000Z", "note": "", "discs": listed}  # fmt: skip
    return {**made, **change}


def save(path, *scans):
    """Write a file of corrections; JSON of Python holds NaN, as no browser would write it."""
    content = {"format": "disc-labels corrections", "version": 1, "software": "x", "scans": scans}
    path.write_text(json.dumps(content))
    return path


def apply(path, folder):
    return correct.main([str(path), "--predictions", str(folder)])


def state(folder):
    """Return contents and times of all files."""
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    save_scan(tmp_path / "scans" / f"{NAME}.nii.gz")
    assert predict_into(tmp_path / "out", [tmp_path / "scans" / f"{NAME}.nii.gz"], monkeypatch) == 0
    return tmp_path / "out"


@pytest.mark.parametrize(("codes", "tilt"), [("RAS", 0.0), ("PSR", 0.0), ("LAS", 0.0), ("RPI", 0.0), ("PSR", 0.2)])
def test_a_disc_is_in_the_voxel_that_was_clicked(codes, tilt, tmp_path, monkeypatch):
    scan = tmp_path / f"{NAME}.nii.gz"
    save_scan(scan, codes, tilt)
    predict_into(tmp_path / "out", [scan], monkeypatch)
    discs = [(3, 31.37, 30.91, 1), (4, 70.25, 44.5, 3)]
    correction = correction_of(tmp_path / "out", discs)
    assert apply(save(tmp_path / "corrections.json", correction), tmp_path / "out") == 0
    labels, image = nibabel.load(tmp_path / "out" / f"{NAME}_label-discs_dlabel.nii.gz"), nibabel.load(scan)
    np.testing.assert_allclose(labels.affine, image.affine, atol=1e-4)
    values, entry = np.asarray(labels.dataobj), scans_of_page(tmp_path / "out" / "report.html")[0]
    assert np.count_nonzero(values) == 2
    # Another way from a click to a voxel, for scans without tilt: from the corner of the volume in mm.
    size, shape = np.linalg.norm(image.affine[:3, :3], axis=0), np.array(image.shape)
    for level, row, col, slab in discs:
        (voxel,) = np.argwhere(values == level)
        world = np.array(next(d["world_mm"] for d in correction["discs"] if d["level"] == level))
        assert np.abs(apply_affine(np.linalg.inv(image.affine), world) - voxel).max() <= 0.5
        if tilt == 0:
            corners = apply_affine(image.affine, [[-0.5] * 3, shape - 0.5])
            low, high = corners.min(0), corners.max(0)
            middle = entry["slabs"][slab]["offset"] + (low[0] + high[0]) / 2
            # Pixels of 1 mm about the middle of the volume: rows downwards from the head, columns backwards.
            clicked = [middle, (low[1] + high[1]) / 2 + (entry["width"] - 1) / 2 - col,
                       (low[2] + high[2]) / 2 + (entry["height"] - 1) / 2 - row]  # fmt: skip
            away = np.abs(apply_affine(image.affine, voxel) - clicked)
            axes = [int(np.argmax(np.abs(image.affine[:3, k]))) for k in range(3)]
            assert (away[axes] <= size / 2 + 1e-3).all()


def test_everything_that_belongs_to_a_scan_says_that_it_was_corrected(folder, tmp_path, capsys):
    picture, (before,) = (folder / f"{NAME}_discs.png").read_bytes(), scans_of_page(folder / "report.html")
    path = save(tmp_path / "corrections.json", correction_of(folder, [(22, 20, 36, 1), (23, 50, 36, 1)]))
    assert apply(path, folder) == 0
    assert "1 corrected, 0 accepted as good" in capsys.readouterr().out
    sidecar = json.loads((folder / f"{NAME}_label-discs_dlabel.json").read_text())
    assert sidecar["Review"] == {"Status": "corrected", "By": "R. Reviewer", "Time": "2026-11-26T02:30:00.000Z",
                                 "Corrections": "corrections.json"}  # fmt: skip
    assert [tool["Name"] for tool in sidecar["GeneratedBy"]] == ["disc-labels", "Manual"]
    assert [(disc["level"], disc["confidence"]) for disc in sidecar["Discs"]] == [(22, None), (23, None)]
    # Nothing is said of the chain that was replaced.
    of_chain = {key: sidecar[key] for key in ("MarginToShiftedChain", "LevelConfidence", "OtherNumbering", "Vertebrae")}
    assert list(of_chain.values()) == [None, None, {}, None]
    assert read_discs(folder / f"{NAME}_label-discs_dlabel.nii.gz").levels.tolist() == [22, 23]
    assert (folder / f"{NAME}_discs.png").read_bytes() != picture
    assert [row["level"] for row in table(folder / "discs.csv")] == ["22", "23"]
    assert [(row["discs"], row["review"]) for row in table(folder / "scans.csv")] == [("2", "corrected")]
    (entry,) = scans_of_page(folder / "report.html")
    assert entry["key"] != before["key"]  # the review status in the browser was that of the labels before
    assert entry["review"]["status"] == "corrected" and [disc["level"] for disc in entry["discs"]] == [22, 23]


def test_applying_a_file_twice_changes_nothing(folder, tmp_path, capsys):
    path = save(tmp_path / "corrections.json", correction_of(folder, [(22, 20, 36, 1)]))
    apply(path, folder)
    before = state(folder)
    assert apply(path, folder) == 0
    assert "1 unchanged" in capsys.readouterr().out
    assert before == {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()
    }


STEPS = [
    ("corrected", "save_json", 1, False), ("corrected", "save_bytes", 1, False), ("corrected", "save_json", 2, False),
    ("corrected", "prediction_picture", 1, True), ("corrected", "Report.review", 1, True),
    ("corrected", "write_predictions", 1, True), ("good", "save_json", 1, False), ("good", "Report.review", 1, True),
    ("good", "write_predictions", 1, True),
]  # fmt: skip


@pytest.mark.parametrize(("status", "step", "time", "reviewed"), STEPS)
def test_what_an_interruption_left_undone_is_done_by_the_next_call(
    status, step, time, reviewed, folder, tmp_path, monkeypatch
):
    path = save(tmp_path / "corrections.json", correction_of(folder, [(22, 20, 36, 1)], status=status))
    whole, calls = shutil.copytree(folder, tmp_path / "whole"), itertools.count(1)
    apply(path, whole)
    original = operator.attrgetter(step)(correct)

    def interrupt(*arguments):
        if next(calls) == time:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(f"correct.{step}", interrupt)
        apply(path, folder)
    sidecar = json.loads((folder / f"{NAME}_label-discs_dlabel.json").read_text())
    assert ("Review" in sidecar) == reviewed  # not before the labels are there
    apply(path, folder)
    assert {file.relative_to(folder): content for file, (content, _) in state(folder).items()} == {
        file.relative_to(whole): content for file, (content, _) in state(whole).items()
    }


def meanwhile(monkeypatch, function, work):
    """Do some work of another process when a correction gets to a function."""
    original, todo = operator.attrgetter(function)(correct), [work]

    def first_work(*arguments):
        while todo:
            todo.pop()()
        return original(*arguments)

    monkeypatch.setattr(f"correct.{function}", first_work)


@pytest.mark.parametrize("function", ["review_of", "image_digest"])
def test_labels_that_are_replaced_while_corrections_are_applied_are_not_good(
    function, folder, tmp_path, monkeypatch, capsys
):
    path = save(tmp_path / "corrections.json", correction_of(folder, [], status="good"))
    monkeypatch.setitem(predicted.FixedLabels.checkpoint, "digest", "1")
    scan = tmp_path / "scans" / f"{NAME}.nii.gz"
    meanwhile(monkeypatch, function, lambda: predict_into(folder, [scan], monkeypatch))
    assert apply(path, folder) == 1
    assert "it was labelled again since it was reviewed: review it again" in capsys.readouterr().err
    assert "Review" not in json.loads((folder / f"{NAME}_label-discs_dlabel.json").read_text())


@pytest.mark.parametrize("function", ["review_of", "write_page"])
def test_scans_that_are_labelled_while_corrections_are_applied_are_in_tables_and_page(
    function, folder, tmp_path, monkeypatch
):
    path = save(tmp_path / "corrections.json", correction_of(folder, [(22, 20, 36, 1)]))
    save_scan(tmp_path / "scans" / "sub-2_T2w.nii.gz")
    scan = tmp_path / "scans" / "sub-2_T2w.nii.gz"
    meanwhile(monkeypatch, function, lambda: predict_into(folder, [scan], monkeypatch))
    assert apply(path, folder) == 0
    assert [scan["name"] for scan in scans_of_page(folder / "report.html")] == [NAME, "sub-2_T2w"]
    assert [(row["scan"], row["review"]) for row in table(folder / "scans.csv")] == [
        (NAME, "corrected"), ("sub-2_T2w", ""),
    ]  # fmt: skip


def test_a_correction_that_is_applied_while_its_scan_is_labelled_again_stays(folder, tmp_path, monkeypatch, capsys):
    path = save(tmp_path / "corrections.json", correction_of(folder, [(25, 90, 36, 1)]))
    monkeypatch.setitem(predicted.FixedLabels.checkpoint, "digest", "1")
    original = predict.label_volume

    def corrected_meanwhile(*arguments):
        assert apply(path, folder) == 0
        return original(*arguments)

    monkeypatch.setattr(predict, "label_volume", corrected_meanwhile)
    assert predict_into(folder, [tmp_path / "scans" / f"{NAME}.nii.gz"], monkeypatch) == 1
    assert "was reviewed, and is left as it is" in capsys.readouterr().err
    assert read_discs(folder / f"{NAME}_label-discs_dlabel.nii.gz").levels.tolist() == [25]
    assert [row["review"] for row in table(folder / "scans.csv")] == ["corrected"]


def test_labels_whose_correction_was_interrupted_at_the_page_are_not_good(folder, tmp_path, monkeypatch, capsys):
    good = correction_of(folder, [], status="good", time="2026-11-26T05:00:00Z")
    path = save(tmp_path / "corrections.json", correction_of(folder, [(25, 90, 36, 1)]))

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("correct.Report.review", interrupt)
        apply(path, folder)
    assert apply(save(tmp_path / "good.json", good), folder) == 1
    assert "a correction of it was interrupted: apply that one again\n" in capsys.readouterr().err
    assert apply(path, folder) == 0
    assert [row["review"] for row in table(folder / "scans.csv")] == ["corrected"]


def test_a_scan_whose_labelling_was_interrupted_is_called_that(folder, tmp_path, capsys):
    path = save(tmp_path / "corrections.json", correction_of(folder, [(22, 20, 36, 1)]))
    (entry,) = (folder / "report_files").glob("*.json")
    entry.unlink()  # as predict.py does before it writes new labels
    assert apply(path, folder) == 1
    assert "its labelling was interrupted, or goes on: run predict.py again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("2026-11-26T02:29:59Z", "it was reviewed later, at 2026-11-26T02:30:00.000Z by R. Reviewer, and stays so"),
        ("2026-11-26T05:00:00Z", "its labels were corrected since it was reviewed: review it again"),
    ],
)
def test_good_labels_that_were_corrected_since_are_listed(time, reason, folder, tmp_path, capsys):
    good = correction_of(folder, [], status="good", time=time)
    assert apply(save(tmp_path / "corrections.json", correction_of(folder, [(25, 90, 36, 1)])), folder) == 0
    assert apply(save(tmp_path / "good.json", good), folder) == 1
    assert reason in capsys.readouterr().err
    assert apply(save(tmp_path / "good.json", correction_of(folder, [], status="good", time=time)), folder) == (
        1 if "later" in reason else 0
    )  # of the corrected labels
    assert [row["review"] for row in table(folder / "scans.csv")] == ["corrected"]


def test_labels_of_an_interrupted_correction_are_not_good(folder, tmp_path, monkeypatch, capsys):
    entry = correction_of(folder, [(22, 20, 36, 1)])

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(correct, "save_bytes", interrupt)
        apply(save(tmp_path / "corrections.json", entry), folder)
    assert apply(save(tmp_path / "good.json", {**entry, "status": "good", "discs": []}), folder) == 1
    assert "a correction of it was interrupted: apply that one again" in capsys.readouterr().err
    assert predict_into(folder, [tmp_path / "scans" / f"{NAME}.nii.gz"], monkeypatch) == 0  # labelled again
    assert read_discs(folder / f"{NAME}_label-discs_dlabel.nii.gz").levels.tolist() == LEVELS.tolist()


@pytest.mark.parametrize(
    ("time", "status"),
    [
        ("2026-11-26T02:29:59.000Z", 1),
        ("2026-11-26T03:29:59+01:00", 1),  # the same second in another zone
        ("2026-11-26T02:29:59", 1),
        ("2026-11-26T02:30:00.000Z", 0),
        ("2026-11-26T01:30:01-01:00", 0),
    ],
)
def test_a_correction_does_not_undo_a_later_one(time, status, folder, tmp_path, capsys):
    """The one that is there was made at half past two, UTC."""
    apply(save(tmp_path / "first.json", correction_of(folder, [(25, 90, 36, 1)])), folder)
    sidecar = folder / f"{NAME}_label-discs_dlabel.json"
    before = sidecar.read_bytes()
    assert apply(save(tmp_path / "other.json", correction_of(folder, [(21, 20, 36, 1)], time=time)), folder) == status
    assert (sidecar.read_bytes() == before) == bool(status)
    said = "it was reviewed later, at 2026-11-26T02:30:00.000Z by R. Reviewer, and stays so: edit it again"
    assert (said in capsys.readouterr().err) == bool(status)


def test_a_scan_that_is_good_keeps_its_labels(folder, tmp_path):
    before = (folder / f"{NAME}_label-discs_dlabel.nii.gz").read_bytes()
    path = save(tmp_path / "corrections.json", correction_of(folder, [], status="good"))
    assert apply(path, folder) == 0
    assert (folder / f"{NAME}_label-discs_dlabel.nii.gz").read_bytes() == before
    assert json.loads((folder / f"{NAME}_label-discs_dlabel.json").read_text())["Review"]["Status"] == "good"
    assert [row["level"] for row in table(folder / "discs.csv")] == [str(level) for level in LEVELS]


def test_labels_that_are_gone_are_not_good(folder, tmp_path, capsys):
    path = save(tmp_path / "corrections.json", correction_of(folder, [], status="good"))
    (folder / f"{NAME}_label-discs_dlabel.nii.gz").unlink()
    assert apply(path, folder) == 1
    assert "its label volume is missing: label the scan again" in capsys.readouterr().err
    assert "Review" not in json.loads((folder / f"{NAME}_label-discs_dlabel.json").read_text())


def test_labels_that_other_weights_made_since_are_not_good(folder, tmp_path, monkeypatch, capsys):
    path = save(tmp_path / "corrections.json", correction_of(folder, [], status="good"))
    sidecar = folder / f"{NAME}_label-discs_dlabel.json"
    monkeypatch.setitem(predicted.FixedLabels.checkpoint, "digest", "1")
    predict_into(folder, [tmp_path / "scans" / f"{NAME}.nii.gz"], monkeypatch)
    before = sidecar.read_bytes()
    assert apply(path, folder) == 1 and sidecar.read_bytes() == before
    assert "it was labelled again since it was reviewed: review it again" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "refused"), [("good", 1), ("corrected", 0)])
def test_a_file_of_a_version_without_keys_can_only_correct(status, refused, folder, tmp_path, capsys):
    old = correction_of(folder, [(25, 90, 36, 1)], status=status)
    del old["key"]
    assert apply(save(tmp_path / "corrections.json", old), folder) == refused
    assert ("does not say which labels of it are good: run predict.py" in capsys.readouterr().err) == bool(refused)


def test_labels_that_were_corrected_outlive_a_prediction(folder, tmp_path, monkeypatch, capsys):
    apply(save(tmp_path / "corrections.json", correction_of(folder, [(25, 90, 36, 1)])), folder)
    before = (folder / f"{NAME}_label-discs_dlabel.nii.gz").read_bytes()
    assert predict_into(folder, [tmp_path / "scans" / f"{NAME}.nii.gz"], monkeypatch) == 0
    assert f"left as they are: {NAME}" in capsys.readouterr().out
    assert (folder / f"{NAME}_label-discs_dlabel.nii.gz").read_bytes() == before
    assert [row["level"] for row in table(folder / "discs.csv")] == ["25"]


def test_a_reviewed_scan_that_has_changed_or_lost_its_labels_is_listed(folder, tmp_path, monkeypatch, capsys):
    apply(save(tmp_path / "corrections.json", correction_of(folder, [(25, 90, 36, 1)])), folder)
    labels, scan = folder / f"{NAME}_label-discs_dlabel.nii.gz", tmp_path / "scans" / f"{NAME}.nii.gz"
    before = labels.read_bytes()
    labels.unlink()
    assert predict_into(folder, [scan], monkeypatch) == 1
    assert "which was reviewed, is missing" in capsys.readouterr().err and not labels.exists()
    labels.write_bytes(before)
    save_scan(scan, voxel=(3.0, 0.9, 0.9))
    assert predict_into(folder, [scan], monkeypatch) == 1
    said = capsys.readouterr().err
    assert "has changed since its labels were reviewed" in said and labels.read_bytes() == before
    assert [(row["scan"], row["review"]) for row in table(folder / "scans.csv")] == [(NAME, "corrected")]
    advised = said[said.index("or remove ") + 10 : said.index(" to label the scan again")].split(", ")
    for file in advised:
        (folder / file).unlink()
    assert predict_into(folder, [scan], monkeypatch) == 0
    assert [row["review"] for row in table(folder / "scans.csv")] == [""]


def test_a_reviewed_scan_whose_content_is_not_here_keeps_its_labels(folder, tmp_path, monkeypatch, capsys):
    apply(save(tmp_path / "corrections.json", correction_of(folder, [(25, 90, 36, 1)])), folder)
    scan = tmp_path / "scans" / f"{NAME}.nii.gz"
    scan.write_text("/annex/objects/SHA256E-s4587345--38d1.nii.gz\n")
    assert predict_into(folder, [scan], monkeypatch) == 0
    assert f"left as they are: {NAME}" in capsys.readouterr().out
    scan.unlink()
    scan.symlink_to("../.git/annex/objects/aa/bb/x.nii.gz")
    assert predict_into(folder, [scan], monkeypatch) == 0


def test_of_two_reports_in_one_folder_the_one_that_was_corrected_is_taken(tmp_path, monkeypatch, capsys):
    out, tree = tmp_path / "out", tmp_path / "tree"
    save_scan(tmp_path / "one.nii.gz")
    save_scan(tree / "sub-1" / "anat" / f"{NAME}.nii.gz")
    predict_into(out, [tmp_path / "one.nii.gz"], monkeypatch)
    assert predict.main(["--data", str(tree), "--weights", "fixed", "--out", str(out)]) == 0
    inside = out / "derivatives" / "disc-labels"
    path = save(tmp_path / "corrections.json", correction_of(inside, [(25, 90, 36, 1)]))
    assert apply(path, out) == 0 and "1 corrected" in capsys.readouterr().out


def test_a_scan_that_failed_stays_in_the_report(tmp_path, monkeypatch):
    (tmp_path / "sub-2_T2w.nii").write_bytes(b"no scan" * 100)
    save_scan(tmp_path / f"{NAME}.nii.gz")
    predict_into(tmp_path / "out", [tmp_path / f"{NAME}.nii.gz", tmp_path / "sub-2_T2w.nii"], monkeypatch)
    apply(save(tmp_path / "corrections.json", correction_of(tmp_path / "out", [], status="good")), tmp_path / "out")
    assert [scan["name"] for scan in scans_of_page(tmp_path / "out" / "report.html")] == [NAME, "sub-2_T2w"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"place": "../elsewhere"}, "leads out of the folder"),
        ({"place": "/etc/passwd"}, "leads out of the folder"),
        ({"place": "other"}, "has no such scan"),
        ({"name": "sub-2_T2w"}, "has no such scan"),
        ({"image_digest": "0" * 64}, "has changed since"),
        ({"image_digest": None}, "no digest of the image"),
        ({"key": 5}, "its key"),
        ({"key": "../" * 5 + "x"}, "its key"),
        ({"status": "bad"}, "its status"),
        ({"time": "yesterday"}, "ISO 8601"),
        ({"by": "x" * 101}, "its by is"),
        ({"by": "a\nb"}, "its by is"),
        ({"note": "\x1b[31m"}, "its note is missing, too long, or holds control characters"),
        ({"note": "\ud800"}, "its note is"),
        ({"discs": [{"level": 99}]}, "a level that is none of 1 to 25"),
        ({"discs": [{"level": True}]}, "a level that is none of 1 to 25"),
        ({"discs": "all"}, "not a list"),
        ({"points": [(21, float("nan"), 36, 1)]}, "not finite"),
        ({"points": [(21, 10**400, 36, 1)]}, "not finite"),
        ({"points": [(21, 20, 36, 1), (21, 50, 36, 1)]}, "one is there twice"),
        ({"points": [(22, 20, 36, 1), (21, 50, 36, 1)]}, "not in order"),
        ({"points": [(21, 50, 36, 1), (22, 20, 36, 1)]}, "from top to bottom"),
        ({"points": [(21, 20, 36, 1), (22, 20.2, 36, 1)]}, "L1-L2 and L2-L3 lie in one voxel: move or delete one"),
        ({"points": [(21, -40, 36, 1)]}, "outside of the scan"),
        ({"points": [(21, 20, 500, 1)]}, "outside of the scan"),
    ],
)
def test_one_bad_correction_is_refused_and_the_others_go_on(change, reason, tmp_path, monkeypatch, capsys):
    names = ["sub-1_T2w", "sub-9_T2w"]
    for name in names:
        save_scan(tmp_path / f"{name}.nii.gz")
    folder = tmp_path / "out"
    predict_into(folder, [tmp_path / f"{name}.nii.gz" for name in names], monkeypatch)
    points, change = change.get("points", [(21, 20, 36, 1)]), {k: v for k, v in change.items() if k != "points"}
    if any(not abs(point[1]) < 1e6 for point in points):
        bad = correction_of(folder, [(21, 20, 36, 1)])
        bad["discs"][0]["row"] = points[0][1]
    else:
        bad = {**correction_of(folder, points), **change}
    before = {file: file.read_bytes() for file in folder.glob("sub-1_*")}
    good = correction_of(folder, [(24, 90, 36, 1)], "sub-9_T2w")
    capsys.readouterr()  # of the prediction
    assert apply(save(tmp_path / "corrections.json", bad, good), folder) == 1
    said = capsys.readouterr()
    assert said.err.startswith("refused: ") and reason in said.err and said.err.count("\n") == 1
    assert "1 corrected" in said.out
    assert {file: file.read_bytes() for file in folder.glob("sub-1_*")} == before
    assert not (tmp_path / "elsewhere").exists()


def test_a_scan_whose_discs_are_predicted_in_one_voxel_is_listed(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predicted, "ROWS", np.array([20.0, 50, 80, 80.1]))
    scan = tmp_path / "scans" / "sub-2_T2w.nii.gz"
    save_scan(scan)
    assert predict_into(folder, [scan], monkeypatch) == 1
    assert "sub-2_T2w.nii.gz: L3-L4 and L4-L5 lie in one voxel: move or delete" in capsys.readouterr().err
    assert not list(folder.glob("sub-2*"))


def test_a_disc_that_was_predicted_outside_of_the_scan_may_stay_there(tmp_path, monkeypatch, capsys):
    """The scan is 144 mm high, in rows of 1 mm: row -8 is 7.5 mm above it, and row -10 where no disc was predicted."""
    scan, folder = tmp_path / f"{NAME}.nii.gz", tmp_path / "out"
    save_scan(scan)
    monkeypatch.setattr(predicted, "ROWS", np.array([-8.0, 50, 80, 110]))
    predict_into(folder, [scan], monkeypatch)
    (entry,) = scans_of_page(folder / "report.html")
    middle = next(index for index, slab in enumerate(entry["slabs"]) if slab["shown"])
    shifted = [(disc["level"] + 1, disc["row"], disc["col"], middle) for disc in entry["discs"]]
    moved = [(22, -10.0, *shifted[0][2:]), *shifted[1:]]
    assert apply(save(tmp_path / "a.json", correction_of(folder, moved)), folder) == 1
    assert "outside of the scan: move or delete it" in capsys.readouterr().err
    assert apply(save(tmp_path / "b.json", correction_of(folder, shifted)), folder) == 0
    values = np.asarray(nibabel.load(folder / f"{NAME}_label-discs_dlabel.nii.gz").dataobj)
    assert [int(k) for k in np.argwhere(values == 22)[:, 2]] == [179]  # the highest of 180 voxels
    assert sorted(values[values > 0]) == [22, 23, 24, 25]


def test_points_that_do_not_fit_together_and_duplicates_are_refused(folder, tmp_path, capsys):
    one = correction_of(folder, [(21, 20, 36, 1)])
    one["discs"][0]["world_mm"][0] += 1.0
    assert apply(save(tmp_path / "a.json", one), folder) == 1
    assert "do not fit together" in capsys.readouterr().err
    assert apply(save(tmp_path / "b.json", *[correction_of(folder, [(21, 20, 36, 1)])] * 2), folder) == 1
    assert "two corrections" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a\u00a0b", "\U0001f469\u200d\u2695\ufe0f", "Žofie"])
def test_texts_may_hold_all_but_control_characters(text, tmp_path, monkeypatch):
    scan, folder = tmp_path / f"{text}.nii.gz", tmp_path / "out"
    save_scan(scan)
    predict_into(folder, [scan], monkeypatch)
    correction = correction_of(folder, [(25, 90, 36, 1)], text, by=text, note=f"{text}\n\t{text}")
    assert apply(save(tmp_path / "corrections.json", correction), folder) == 0
    review = json.loads((folder / f"{text}_label-discs_dlabel.json").read_text())["Review"]
    assert (review["By"], review["Note"]) == (text, f"{text}\n\t{text}")


def test_a_byte_order_mark_is_understood(folder, tmp_path):
    path = save(tmp_path / "corrections.json", correction_of(folder, [(25, 90, 36, 1)]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert apply(path, folder) == 0


def test_a_scan_that_has_changed_is_refused(folder, tmp_path, capsys):
    path = save(tmp_path / "corrections.json", correction_of(folder, [(22, 20, 36, 1)]))
    save_scan(tmp_path / "scans" / f"{NAME}.nii.gz", voxel=(3.0, 0.9, 0.9))
    assert apply(path, folder) == 1
    assert "has changed since it was reviewed" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, '{"format": "disc-labels corrections"}', "\0"])
def test_what_is_no_file_of_corrections_is_refused(content, tmp_path):
    (tmp_path / "corrections.json").write_text(content)
    with pytest.raises(UserError, match="is no file of corrections"):
        read_corrections(tmp_path / "corrections.json")


def test_a_huge_file_is_refused_unread(tmp_path):
    with open(tmp_path / "corrections.json", "wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(UserError, match="larger than 64 MB"):
        read_corrections(tmp_path / "corrections.json")
