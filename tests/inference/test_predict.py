"""Labels lie on their discs in each scan's own space, whatever the order of its axes."""

import csv
import hashlib
import json

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from skimage.feature import peak_local_max
from skimage.filters import gaussian

import predict
from utils.inference.labeller import Prediction
from utils.report import predictions

LEVELS = np.array([23, 24, 25])


class BrightSpots:
    """Stands in for a trained network: the three brightest spots of a slice are discs, from top to bottom."""

    resolution = 1.0
    checkpoint = {"model": {"name": "bright spots"}, "epoch": 1, "digest": "0"}

    def __init__(self, source):
        self.source = source

    def label(self, slabs, offsets):
        """Return the spots of the middle slab."""
        middle, sure = int(np.argmin(np.abs(offsets))), np.ones(3)
        # Normalising cuts the tops of the spots off: smoothing gives them one again.
        points = peak_local_max(gaussian(slabs[middle], 3), min_distance=5, num_peaks=3).astype(float)
        points = points[np.argsort(points[:, 0])]
        return Prediction(LEVELS, points, np.zeros(3), sure, sure, sure, 5.0, np.zeros((3, 4, 4)), None, middle)


def spots(voxel, tilt):
    """Return a volume with three bright spots in its middle, its affine, and their world places from top to bottom."""
    shape = np.array([int(30 / voxel[0]), 70, 90])
    places = np.array([[(shape[0] - 1) / 2, 40, 70], [(shape[0] - 1) / 2, 48, 45], [(shape[0] - 1) / 2, 41, 20]])
    away = (np.indices(shape).reshape(3, 1, -1) - places.T[:, :, None]) * np.reshape(voxel, (3, 1, 1))
    data = np.exp(-(away**2).sum(0) / (2 * 2.5**2)).sum(0).reshape(shape)
    affine = np.eye(4)
    c, s = np.cos(tilt), np.sin(tilt)
    affine[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) * voxel
    affine[:3, 3] = [12, -30, 55]
    return (1000 * data).astype(np.float32), affine, apply_affine(affine, places)


@pytest.mark.parametrize("codes", ["RAS", "PSR", "LAS", "RPI"])
@pytest.mark.parametrize(("voxel", "tilt"), [((1.0, 1.0, 1.0), 0.0), ((3.0, 0.8, 0.9), 0.3)])
def test_labels_lie_within_a_voxel_in_any_orientation(codes, voxel, tilt, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "load_labeller", lambda path, device: BrightSpots(path))
    data, affine, world = spots(voxel, tilt)
    image = nibabel.Nifti1Image(data, affine)
    image = image.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(codes)))
    scan = tmp_path / "sub-1_T2w.nii.gz"
    nibabel.save(image, scan)
    assert predict.main([str(scan), "--weights", "spots", "--out", str(tmp_path / "out")]) == 0
    labels = nibabel.load(tmp_path / "out" / "sub-1_T2w_label-discs_dlabel.nii.gz")
    np.testing.assert_allclose(labels.affine, image.affine, atol=1e-4)
    values = np.asarray(labels.dataobj)
    for level, place in zip(LEVELS, world, strict=True):
        found = np.argwhere(values == level)
        assert len(found) == 1
        expected = apply_affine(np.linalg.inv(image.affine), place)
        assert np.abs(found[0] - expected).max() <= 1.0


@pytest.fixture
def label(tmp_path, monkeypatch, capsys):
    """Return a function that labels a scan with bright spots; it gives the status and what was said on stderr."""
    monkeypatch.setattr(predict, "load_labeller", lambda path, device: BrightSpots(path))

    def run(scan, voxel=(1.0, 1.0, 1.0), *flags):
        data, affine, _ = spots(voxel, 0.0)
        scan.parent.mkdir(parents=True, exist_ok=True)
        if not scan.exists():
            nibabel.save(nibabel.Nifti1Image(data, affine), scan)
        status = predict.main([str(scan), "--weights", "spots", "--out", str(tmp_path / "out"), *flags])
        return status, capsys.readouterr().err

    return run


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_one_call_after_the_other_fills_one_folder(label, tmp_path):
    assert label(tmp_path / "b_T2w.nii.gz")[0] == label(tmp_path / "a_T2w.nii.gz")[0] == 0
    lost = tmp_path / "lost.dcm"
    lost.write_text("DICM")
    reason = "its name does not end in .nii or .nii.gz: convert it to NIfTI (DICOM by dcm2niix)"
    assert label(lost) == (1, f"not labelled: {lost}: {reason}\n")
    discs, scans = table(tmp_path / "out" / "discs.csv"), table(tmp_path / "out" / "scans.csv")
    assert [row["scan"] for row in discs] == ["a_T2w"] * 3 + ["b_T2w"] * 3
    assert [(row["scan"], row["discs"], row["flags"]) for row in scans] == [
        ("a_T2w", "3", ""), ("b_T2w", "3", ""), ("lost.dcm", "0", "failed")]  # fmt: skip
    # Whose labels were taken away is no longer told of.
    for part in ("label-discs_dlabel.json", "label-discs_dlabel.nii.gz", "discs.png"):
        (tmp_path / "out" / f"a_T2w_{part}").unlink()
    assert label(tmp_path / "c_T2w.nii.gz")[0] == 0
    assert {row["scan"] for row in table(tmp_path / "out" / "discs.csv")} == {"b_T2w", "c_T2w"}


def test_another_scan_of_the_same_name_does_not_take_the_labels_of_the_first(label, tmp_path):
    assert label(tmp_path / "one" / "t2.nii.gz")[0] == 0
    before = (tmp_path / "out" / "t2_label-discs_dlabel.nii.gz").read_bytes()
    status, said = label(tmp_path / "two" / "t2.nii.gz", (2.0, 1.0, 1.0))
    assert status == 1 and "is of another scan (../one/t2.nii.gz), and is left as it is: give another --out" in said
    assert (tmp_path / "out" / "t2_label-discs_dlabel.nii.gz").read_bytes() == before
    told = {row["source"]: row["flags"] for row in table(tmp_path / "out" / "scans.csv")}
    assert told == {str(tmp_path / "one"): "", str(tmp_path / "two"): "failed"}
    assert label(tmp_path / "one" / "t2.nii.gz")[0] == 0  # the first is still itself


def test_scans_taken_from_the_front_are_flagged(label, tmp_path):
    assert label(tmp_path / "front.nii.gz", (0.8, 4.0, 0.8))[0] == 0
    assert "not sagittal" in table(tmp_path / "out" / "scans.csv")[0]["flags"].split(", ")


def test_a_list_that_names_nobody_is_told(label, tmp_path):
    (tmp_path / "list.txt").write_text("a\nb\n")
    status, said = label(tmp_path / "a.nii.gz", (1.0, 1.0, 1.0), "--only", str(tmp_path / "list.txt"))
    assert status == 0 and said == f"warning: {tmp_path / 'list.txt'} names what is no scan here: b\n"


def test_two_scans_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "load_labeller", lambda path, device: BrightSpots(path))
    with pytest.raises(predict.UserError, match="two scans are called sub-1_T2w"):
        predict.main(["a/sub-1_T2w.nii.gz", "b/sub-1_T2w.nii.gz", "--weights", "spots", "--out", str(tmp_path)])
    with pytest.raises(predict.UserError, match="and not both"):
        predict.main(["--weights", "spots"])


def test_a_scan_that_another_process_labels_meanwhile_is_in_the_tables(label, tmp_path, monkeypatch):
    """The other one ends, tables and all, while this one writes them by what it had seen before."""
    write, calls = predictions.save_table, []

    def write_late(path, rows):
        calls.append(path.name)
        if len(calls) == 1:
            assert label(tmp_path / "other.nii.gz")[0] == 0
        write(path, rows)

    monkeypatch.setattr(predictions, "save_table", write_late)
    assert label(tmp_path / "own.nii.gz")[0] == 0
    assert {row["scan"] for row in table(tmp_path / "out" / "scans.csv")} == {"other", "own"}
    assert {row["scan"] for row in table(tmp_path / "out" / "discs.csv")} == {"other", "own"}


def test_labels_that_a_person_reviewed_stay_whatever_the_weights(label, tmp_path, monkeypatch, capsys):
    scan = tmp_path / "sub-1_T2w.nii.gz"
    assert label(scan)[0] == 0
    sidecar = tmp_path / "out" / "sub-1_T2w_label-discs_dlabel.json"
    facts = json.loads(sidecar.read_text())
    assert facts["ImageDigest"] == hashlib.sha256(scan.read_bytes()).hexdigest()
    sidecar.write_text(json.dumps({**facts, "Review": {"Status": "good"}}))
    before = sidecar.read_bytes()
    monkeypatch.setitem(BrightSpots.checkpoint, "digest", "1")
    assert predict.main([str(scan), "--weights", "spots", "--out", str(tmp_path / "out")]) == 0
    assert "reviewed by hand, left as they are: sub-1_T2w\n" in capsys.readouterr().out
    assert sidecar.read_bytes() == before
