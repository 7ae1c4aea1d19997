"""Preparation: what is found, what is left out and why, and the same bytes twice."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import prepare_spinegeneric
from utils.evaluation.cases import Case, compare
from utils.inference.labeller import Prediction
from utils.scans.bids import find_scans
from utils.scans.limits import MAX_VOXELS
from utils.scans.nifti import ScanError, read_scan
from utils.scans.prepared import load_split
from utils.scans.sagittal import slabs_of
from utils.scans.sample import UNKNOWN, load_sample
from utils.scans.splits import draw_split
from utils.system.files import UserError

SHARED = Path(__file__).parents[3] / "shared" / "real"
NEW, OLD = "label-discs_dlabel", "labels-disc-manual"
DISCS = {21: (4, 20, 60), 22: (4, 22, 40), 23: (4, 20, 20)}


def add_scan(tree, name, discs=DISCS, ending=NEW, session=None, image=None):
    """Add a scan with labels, {level: voxel}, to a tree; without labels if discs is None."""
    folder = Path(name.split("_")[0]) / (session or "") / "anat"
    data = np.random.default_rng(0).random((9, 40, 80)).astype(np.float32) if image is None else image
    path = tree / folder / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
    if discs is not None:
        labels = np.zeros((9, 40, 80), np.float32)
        for level, voxel in discs.items():
            labels[voxel] = level
        target = tree / "derivatives" / "labels" / folder / f"{name}_{ending}.nii.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), target)
    return path


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def prepare(tree, out, *flags):
    prepare_spinegeneric.main(["--data", str(tree), "--out", str(out), *flags])
    return table(out / "samples.tsv"), {row["name"]: row["reason"] for row in table(out / "skipped.tsv")}


def test_both_namings_sessions_and_acquisitions_are_found_and_nothing_else(tmp_path):
    add_scan(tmp_path, "sub-1_T1w")
    add_scan(tmp_path, "sub-1_acq-sag_T2w", ending=OLD)
    add_scan(tmp_path, "sub-2_ses-a_T2w", session="ses-a")
    add_scan(tmp_path, "sub-3_T2star")
    add_scan(tmp_path, "sub-5_ce-gad_chunk-1_part-mag_T1w")
    for made in ("part-phase", "desc-x", "label-SC", "space-a"):
        add_scan(tmp_path, f"sub-5_{made}_T1w")
    add_scan(tmp_path, "sub-4_T2w", ending="label-discs_desc-warp_dlabel")
    add_scan(tmp_path / "sourcedata", "sub-1_T1w")
    found = {scan.name: (scan.subject, scan.contrast, scan.label is not None) for scan in find_scans(tmp_path)}
    assert found == {
        "sub-1_T1w": ("sub-1", "T1w", True),
        "sub-1_acq-sag_T2w": ("sub-1", "T2w", True),
        "sub-2_ses-a_T2w": ("sub-2", "T2w", True),
        "sub-4_T2w": ("sub-4", "T2w", False),
        "sub-5_ce-gad_chunk-1_part-mag_T1w": ("sub-5", "T1w", True),
    }
    assert all("sourcedata" not in str(scan.image) for scan in find_scans(tmp_path))


def test_every_scan_left_out_has_its_reason(tmp_path):
    tree = tmp_path / "tree"
    add_scan(tree, "sub-good_T2w")
    add_scan(tree, "sub-nolabel_T2w", discs=None)
    add_scan(tree, "sub-empty_T2w", discs={})
    add_scan(tree, "sub-order_T2w", discs={21: (4, 20, 20), 22: (4, 20, 60)})
    add_scan(tree, "sub-twice_T2w", discs={21: (4, 20, 60), 21.0001: (4, 20, 20)})
    add_scan(tree, "sub-c1_T2w", discs={1: (4, 20, 60)})
    add_scan(tree, "sub-flat_T2w", image=np.ones((9, 40, 80), np.float32))
    add_scan(tree, "sub-4d_T2w", image=np.random.default_rng(0).random((9, 40, 80, 2)))
    add_scan(tree, "sub-listed_T2w")
    add_scan(tree, "sub-listed2_T2w")
    annex = tree / "sub-annex" / "anat" / "sub-annex_T2w.nii.gz"
    add_scan(tree, "sub-annex_T2w")
    annex.unlink()
    annex.symlink_to("../../.git/annex/objects/x")
    (tmp_path / "exclude.txt").write_text("sub-listed  # motion\nsub-listed2_T2w.nii.gz\nsub-lsited3\n")
    twin = add_scan(tree, "sub-namesake_T2w")
    nibabel.save(nibabel.load(twin), twin.with_suffix(""))
    rows, skipped = prepare(tree, tmp_path / "out", "--exclude", str(tmp_path / "exclude.txt"))
    assert [row["name"] for row in rows] == ["sub-good_T2w", "sub-namesake_T2w"]
    expected = {
        "sub-nolabel_T2w": "no disc labels",
        "sub-empty_T2w": "empty",
        "sub-order_T2w": "L2-L3 does not lie below L1-L2",
        "sub-twice_T2w": "level 21 is labelled in two places",
        "sub-c1_T2w": "none of its discs is among the levels asked for",
        "sub-flat_T2w": "image: all of its voxels have the same value",
        "sub-4d_T2w": "image: it has 4 dimensions",
        "sub-listed_T2w": "excluded by the list",
        "sub-listed2_T2w": "excluded by the list",
        "sub-annex_T2w": "git annex get",
        "sub-namesake_T2w": "another image of the tree has the same name",
        "": "named in the list to exclude, but has no scan",
    }
    assert skipped.keys() == expected.keys()
    for scan, reason in expected.items():
        assert reason in skipped[scan], scan
    with_c1, _ = prepare(tree, tmp_path / "c1", "--levels", "1-25")
    assert "sub-c1_T2w" in {row["name"] for row in with_c1}


def test_a_labelled_disc_that_was_not_asked_for_is_neither_right_nor_wrong(tmp_path):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    prepare(tmp_path / "tree", tmp_path / "out", "--levels", "22,23", "--split", "1", "0", "0")
    sample = load_split(tmp_path / "out", "train")[0]
    assert sample.levels.tolist() == [22, 23] and sample.states[21] == UNKNOWN
    # A network that knows more levels finds L1-L2 where it was labelled.
    rows, columns = [19.0, 39.0, 59.0], [19.0, 17.0, 19.0]
    found = Prediction(
        np.array([21, 22, 23]), np.stack([rows, columns], -1), np.zeros(3), *[np.ones(3)] * 3, 5.0, np.zeros((3, 4, 4)),
        None, 0,
    )  # fmt: skip
    outcomes = {row.level: row.outcome for row in compare(Case.of(sample, found), list(range(2, 26)))}
    assert outcomes == {21: "unknown", 22: "identified", 23: "identified"}


def tree_of(folder, subjects=10):
    for index in range(subjects):
        for contrast in ("T1w", "T2w"):
            add_scan(folder, f"sub-{index:02d}_{contrast}")
    return folder


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_second_run_gives_the_same_bytes_with_any_number_of_processes(tmp_path):
    tree = tree_of(tmp_path / "tree", 4)
    prepare(tree, tmp_path / "a")
    prepare(tree, tmp_path / "b", "--jobs", "2")
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert first.keys() == second.keys()
    for path in first:
        assert path.suffix == ".png" or first[path] == second[path], path
    assert not list((tmp_path / "a").rglob(".part-*"))


def test_subjects_stay_together_and_shares_are_kept(tmp_path):
    tree = tree_of(tmp_path / "tree")
    rows, _ = prepare(tree, tmp_path / "out", "--split", "0.6", "0.2", "0.2")
    splits = {}
    for row in rows:
        splits.setdefault(row["subject"], set()).add(row["split"])
    assert all(len(split) == 1 for split in splits.values())
    counts = [sum(split == {name} for split in splits.values()) for name in ("train", "val", "test")]
    assert counts == [6, 2, 2]
    other, _ = prepare(tree, tmp_path / "other", "--split", "0.6", "0.2", "0.2", "--seed", "1")
    assert {r["name"]: r["split"] for r in other} != {r["name"]: r["split"] for r in rows}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["splits"]["train"]["scans"] == 12 and summary["splits"]["train"]["by_level"]["21"] == 12
    assert summary["splits"]["val"]["by_contrast"] == {"T1w": 2, "T2w": 2}


def test_the_same_subject_under_two_names_stays_together():
    groups = {"sub-1": "a", "sub-2": "a", "sub-3": "b", "sub-4": "c"}
    for seed in range(20):
        split = draw_split(groups, [0.5, 0.25, 0.25], seed)
        assert split["sub-1"] == split["sub-2"]
        assert set(split.values()) == {"train", "val", "test"}


def test_a_split_file_is_followed(tmp_path):
    tree = tree_of(tmp_path / "tree", 3)
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": ["sub-00"], "val": ["sub-ghost"], "test": ["sub-02"]}))
    rows, skipped = prepare(tree, tmp_path / "out", "--split-file", str(file))
    assert {row["subject"]: row["split"] for row in rows} == {"sub-00": "train", "sub-02": "test"}
    assert skipped["sub-01_T1w"] == "its subject is not named in the split file"
    assert [r["subject"] for r in table(tmp_path / "out" / "skipped.tsv") if "no scan" in r["reason"]] == ["sub-ghost"]
    for content, reason in (('{"train": ["a", "a"]}', "a twice"), ("[1]", "is no split"), ('{"dev": []}', "'dev'")):
        file.write_text(content)
        with pytest.raises(UserError, match=reason):
            prepare(tree, tmp_path / "again", "--split-file", str(file))


def test_prepared_points_lie_on_their_discs_and_stale_samples_go(tmp_path):
    tree = tree_of(tmp_path / "tree", 3)
    prepare(tree, tmp_path / "out")
    sample = load_split(tmp_path / "out", "train")[0]
    # 80 mm high with z upward: z = 60 is row 79 - 60; 40 mm deep with y forward: y = 20 is column 39 - 20.
    np.testing.assert_allclose(sample.points, [[19, 19], [39, 17], [59, 19]], atol=1e-5)
    with np.load(next((tmp_path / "out" / "samples").glob("*.npz")), allow_pickle=False) as stored:
        assert stored["heatmaps"].shape == (24, 20, 10)
    add = tmp_path / "out" / "samples" / "sub-gone_T2w.npz"
    add.write_bytes(b"")
    prepare(tree, tmp_path / "out")
    assert not add.exists()


def test_evaluation_and_prediction_see_the_same_slabs(tmp_path):
    """To half a 65535th of the range: prepared slabs are whole numbers of 16 bits."""
    path = add_scan(tmp_path / "tree", "sub-1_T2w", image=np.random.default_rng(0).random((9, 40, 80)))
    (row,), _ = prepare(tmp_path / "tree", tmp_path / "out")
    seen, *_ = slabs_of(read_scan(path, MAX_VOXELS))
    np.testing.assert_allclose(load_sample(tmp_path / "out" / row["file"]).slabs, seen, atol=0.5 / 65535 + 1e-7)


def test_the_scans_of_another_tree_are_not_replaced(tmp_path, monkeypatch):
    home, other = tmp_path / "home", tree_of(tmp_path / "home" / "other", 1)  # with scans of the same names
    tree, out = tree_of(home / "tree", 1), home / "out"
    prepare(tree, out)
    before = contents(out)
    with pytest.raises(
        UserError, match="out was prepared from another tree, or one of the two was moved: give another --out"
    ):
        prepare(other, out)
    assert contents(out) == before
    # The same tree: with other flags and more scans, by another name, and after both were moved.
    add_scan(tree, "sub-new_T2w")
    assert len(prepare(tree, out, "--contrasts", "T2w")[0]) == 2
    monkeypatch.chdir(tree)
    assert len(prepare(Path("."), Path("../out"))[0]) == 3
    moved = home.rename(tmp_path / "moved")
    assert len(prepare(moved / "tree", moved / "out")[0]) == 3


def test_an_interrupted_preparation_is_not_replaced_by_another_tree_and_a_failed_one_is(tmp_path, monkeypatch):
    add_scan(tmp_path / "empty", "sub-1_T2w", discs=None)
    tree, other, out = tree_of(tmp_path / "tree", 1), tree_of(tmp_path / "other", 1), tmp_path / "out"
    with pytest.raises(UserError, match="no scan of .* can be used"):
        prepare(tmp_path / "empty", out)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prepare_spinegeneric, "write", stop)
        prepare(tree, out)
    with pytest.raises(UserError, match="out was prepared from another tree"):
        prepare(other, out)
    assert len(prepare(tree, out)[0]) == 2


def test_a_sample_of_other_settings_is_made_anew(tmp_path, monkeypatch):
    tree, out = tree_of(tmp_path / "tree", 1), tmp_path / "out"

    def stop(*_):
        raise KeyboardInterrupt

    for size in ("1", "2"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(prepare_spinegeneric, "write", stop)
            prepare(tree, out, "--resolution", size)
    rows, _ = prepare(tree, out, "--resolution", "1")  # as the first time, and other samples are in their place
    assert [load_sample(out / row["file"]).spacing for row in rows] == [1.0, 1.0]


def test_a_scan_that_could_not_be_read_for_a_while_is_tried_again(tmp_path, monkeypatch):
    tree, out = tree_of(tmp_path / "tree", 1), tmp_path / "out"

    def unreadable(*_):
        raise ScanError("it may not be read")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="it may not be read"):
        patch.setattr(prepare_spinegeneric, "read_scan", unreadable)
        prepare(tree, out)
    assert len(prepare(tree, out)[0]) == 2


def test_no_scan_usable_is_an_error_and_foreign_folders_are_left_alone(tmp_path):
    add_scan(tmp_path / "tree", "sub-1_T2w", discs=None)
    with pytest.raises(UserError, match="no scan of .* can be used"):
        prepare(tmp_path / "tree", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(UserError, match="holds other files"):
        prepare(tmp_path / "tree", tmp_path / "mine")
    with pytest.raises(UserError, match="is no folder"):
        prepare(tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.skipif(not SHARED.is_dir(), reason="real scans are not here")
def test_real_scans_are_all_kept(tmp_path):
    rows, skipped = prepare(SHARED, tmp_path / "out", "--split-file", str(SHARED / "split.json"))
    assert len(rows) == 41
    assert set(skipped.values()) == {"its subject is not named in the split file"}
