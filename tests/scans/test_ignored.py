"""Nothing of a tree is ignored without a word; labels come from the folders that were given."""

import json
import shutil

import pytest
from test_inputs import OneDisc
from test_prepare import DISCS, add_scan, prepare, table

import predict
from utils.scans.bids import find_scans
from utils.scans.ignored import ignored_images, ignored_labels, ignored_summary
from utils.system.files import UserError


@pytest.mark.parametrize(
    "name", ["acq-sag", "rec-norm", "run-1", "run-02", "acq-sag_run-1", "ce-gd_rec-x_run-3_echo-1_part-mag"]
)
def test_entities_of_raw_images_are_read(name, tmp_path):
    add_scan(tmp_path, f"sub-1_{name}_T2w")
    (scan,) = find_scans(tmp_path)
    assert scan.name == f"sub-1_{name}_T2w" and scan.label
    assert ignored_images(tmp_path, ["T2w"], [scan]) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("sub-1/anat/sub-1_desc-preproc_T2w.nii.gz", "desc-preproc says"),
        ("sub-1/anat/sub-1_space-other_T2w.nii.gz", "space-other says"),
        ("sub-1/anat/sub-1_part-phase_T2w.nii.gz", "part-phase says"),
        ("sub-1/anat/sub-1_T2W.nii.gz", "its name ends in T2W, not in T2w: add T2W to --contrasts"),
        ("sub-1/anat/sub-1_T2w.NII.GZ", "its name is not sub-X"),
        ("sub-1/anat/sub-1_T2w_run-1.nii.gz", "its name is not sub-X"),
        ("sub-1/anat/patient_T2w.nii", "its name is not sub-X"),
        ("sub-1/sub-1_T2w.nii.gz", "it does not lie in sub-X/anat"),
        ("sub-1/mri/sub-1_T2w.nii.gz", "it does not lie in sub-X/anat"),
        ("sub-1/baseline/anat/sub-1_T2w.nii.gz", "it does not lie in sub-X/anat"),
        ("sub-1/anat/more/sub-1_T2w.nii.gz", "it does not lie in sub-X/anat"),
        ("sub-1/anat/sub-1_T2star.nii.gz", None), ("sub-1/dwi/sub-1_dwi.nii.gz", None),
        ("sub-1/anat/sub-1_T2w.json", None), ("sub-1/anat/sub-1_T2w.nii.gz", None),
        ("sourcedata/sub-1/anat/x.nii.gz", None),
    ],
)  # fmt: skip
def test_images_that_are_not_understood_are_listed(path, reason, tmp_path):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).touch()
    found = ignored_images(tmp_path, ["T1w", "T2w"], find_scans(tmp_path))
    assert [file for file, _ in found] == ([tmp_path / path] if reason else [])
    assert all(why.startswith(reason) for _, why in found)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("labels", "its name does not end in"), ("labels-disc-auto", "its name does not end in"),
        ("label-disks", "its name does not end in"), ("levels", "levels as TotalSpineSeg writes them"),
        ("label-discs_desc-warp_dlabel", "desc-warp says"), ("labels-disc-manual", "another label volume"),
        ("label-SC_mask", None), ("seg-manual", None), ("label-rootlets_dseg", None),
    ],
)  # fmt: skip
def test_labels_that_are_not_understood_are_listed(ending, reason, tmp_path):
    add_scan(tmp_path, "sub-1_T2w")
    folder = tmp_path / "derivatives" / "labels" / "sub-1" / "anat"
    (folder / f"sub-1_T2w_{ending}.nii.gz").touch()
    (folder / "sub-2_T2w_label-discs_dlabel.nii.gz").touch()
    found = {file.name: why for file, why in ignored_labels(tmp_path, [], find_scans(tmp_path))}
    assert found.pop("sub-2_T2w_label-discs_dlabel.nii.gz") == "no image has the name of its scan"
    assert [why.startswith(reason) for why in found.values()] == ([True] if reason else [])


@pytest.mark.parametrize("ending", ["label-discs_dlabel", "labels-disc-manual", "labels-disc"])
def test_labels_of_every_naming_are_found(ending, tmp_path):
    add_scan(tmp_path, "sub-1_T2w", ending=ending)
    assert find_scans(tmp_path)[0].label.name == f"sub-1_T2w_{ending}.nii.gz"


def test_both_scripts_report_what_they_ignore(tmp_path, monkeypatch, capsys):
    """Of 25 images, 15 are called desc-preproc."""
    for index in range(10):
        add_scan(tmp_path / "tree", f"sub-{index}_T2w")
    for index in range(15):
        add_scan(tmp_path / "tree", f"sub-{index}_desc-preproc_T2w", discs=None)
    expected = (
        "warning: 15 files are ignored: 15 x sub-*_desc-preproc_T2w.nii.gz (desc-preproc says that it was made from a "
        "scan, or is no magnitude image). Names that are read: sub-X/anat/sub-X[_ENTITY-VALUE...]_T1w.nii.gz"
    )
    rows, _ = prepare(tmp_path / "tree", tmp_path / "out")
    assert len(rows) == 10 and expected in capsys.readouterr().err
    assert len(table(tmp_path / "out" / "ignored.tsv")) == 15
    monkeypatch.setattr(predict, "load_labeller", lambda path, *rest: OneDisc(path))
    assert predict.main(["--data", str(tmp_path / "tree"), "--weights", "w", "--out", str(tmp_path / "labels")]) == 0
    said = capsys.readouterr()
    assert "10 of 10 scans labelled" in said.out and expected in said.err


def test_the_summary_shows_the_commonest_patterns(tmp_path):
    counts = {"a": 1, "b": 4, "c": 2, "d": 3}
    found = [(tmp_path / f"sub-{n}_{kind}.nii.gz", "odd") for kind, count in counts.items() for n in range(count)]
    text = ignored_summary(found, ["T2w"])
    shown = "4 x sub-*_b.nii.gz (odd); 3 x sub-*_d.nii.gz (odd); 2 x sub-*_c.nii.gz (odd)"
    assert text.startswith(f"10 files are ignored: {shown}; and 1 more patterns.")


def predicted(tree, name, review=None, discs=DISCS):
    """Move the labels of a scan, which is added, to where predict.py writes them."""
    add_scan(tree, name, discs)
    folder = tree / "derivatives" / "disc-labels" / name.split("_")[0] / "anat"
    folder.mkdir(parents=True)
    label = tree / "derivatives" / "labels" / name.split("_")[0] / "anat" / f"{name}_label-discs_dlabel.nii.gz"
    shutil.move(label, folder / label.name)
    if review is not None:
        (folder / f"{name}_label-discs_dlabel.json").write_text(review)


@pytest.fixture
def reviewed(tmp_path):
    """Return a tree with predicted labels, of which two were reviewed, and a scan that has manual labels."""
    tree = tmp_path / "tree"
    predicted(tree, "sub-1_T2w", json.dumps({"Review": {"Status": "corrected", "By": "A", "Time": "2026-11-26"}}))
    predicted(tree, "sub-2_T2w", json.dumps({"Review": {"Status": "good", "By": None}}))
    others = ['{"Review": {"Status": "to correct"}}', "{}", "[]", "no JSON", '{"Review": "good"}', "[" * 9999, None]
    for index, review in enumerate(others, 3):
        predicted(tree, f"sub-{index}_T2w", review)
    add_scan(tree, "sub-manual_T2w")
    return tree


def test_labels_come_from_the_folders_given(reviewed, tmp_path):
    rows, skipped = prepare(reviewed, tmp_path / "a")
    assert [row["name"] for row in rows] == ["sub-manual_T2w"]
    assert skipped["sub-1_T2w"] == "it has no disc labels under derivatives/labels"
    labels = ["--labels", str(reviewed / "derivatives" / "disc-labels")]
    rows, skipped = prepare(reviewed, tmp_path / "b", *labels)
    assert len(rows) == 9 and skipped["sub-manual_T2w"].endswith("derivatives/disc-labels")
    rows, _ = prepare(reviewed, tmp_path / "c", *labels, "--labels", str(reviewed / "derivatives" / "labels"))
    assert len(rows) == 10


def test_the_first_folder_that_has_labels_of_a_scan_counts(tmp_path):
    tree = tmp_path / "tree"
    predicted(tree, "sub-1_T2w")
    add_scan(tree, "sub-1_T2w", {21: (4, 20, 60), 22: (4, 22, 40)})
    first, second = (["--labels", str(tree / "derivatives" / name)] for name in ("disc-labels", "labels"))
    assert prepare(tree, tmp_path / "a", *first, *second)[0][0]["levels"] == "21,22,23"
    assert prepare(tree, tmp_path / "b", *second, *first)[0][0]["levels"] == "21,22"


def test_only_corrected_takes_what_was_reviewed(reviewed, tmp_path):
    labels = ["--labels", str(reviewed / "derivatives" / "disc-labels"), "--only-corrected"]
    rows, skipped = prepare(reviewed, tmp_path / "out", *labels)
    assert [row["name"] for row in rows] == ["sub-1_T2w", "sub-2_T2w"]
    reasons = {skipped[f"sub-{index}_T2w"] for index in range(3, 10)}
    assert reasons == {"no reviewer corrected its labels or set them to good"}


@pytest.mark.parametrize("folder", ["nowhere", "tree/derivatives", "tree/sub-1/anat/sub-1_T2w.nii.gz"])
def test_a_folder_without_labels_is_refused(folder, tmp_path):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    with pytest.raises(UserError, match="holds no labels: give a folder that has sub-.*--labels"):
        prepare(tmp_path / "tree", tmp_path / "out", "--labels", str(tmp_path / folder))


@pytest.mark.parametrize("place", ["sub-1/anat", "sub-1", "sub-1/ses-b/anat"])
def test_labels_in_another_place_than_their_scan_are_listed_with_that(place, tmp_path):
    add_scan(tmp_path, "sub-1_ses-a_T2w", discs=None, session="ses-a")
    folder = tmp_path / "derivatives" / "labels" / place
    folder.mkdir(parents=True)
    (folder / "sub-1_ses-a_T2w_label-discs_dlabel.nii.gz").touch()
    ((_, reason),) = ignored_labels(tmp_path, [], find_scans(tmp_path))
    assert reason == "it does not lie below the label folder as its scan does below the tree"
