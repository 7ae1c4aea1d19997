"""Labels lie on their discs in each scan's own space, and files of others stay as they are."""

import csv
import hashlib
import json
import shutil

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from spots import LEVELS, BrightSpots, spots

import predict
from utils.discs import name
from utils.report import predictions
from utils.report.summary import print_scan
from utils.scans.outputs import Job


@pytest.mark.parametrize("codes", ["RAS", "PSR", "LAS", "RPI"])
@pytest.mark.parametrize(("voxel", "tilt"), [((1.0, 1.0, 1.0), 0.0), ((3.0, 0.8, 0.9), 0.3)])
def test_labels_lie_within_a_voxel_in_any_orientation(codes, voxel, tilt, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: BrightSpots(path))
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
    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: BrightSpots(path))

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


def flagged(folder):
    return [(row["scan"], row["flags"]) for row in table(folder / "scans.csv")]


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
    # A scan whose labels were removed is no longer listed.
    for part in ("label-discs_dlabel.json", "label-discs_dlabel.nii.gz", "discs.png"):
        (tmp_path / "out" / f"a_T2w_{part}").unlink()
    assert label(tmp_path / "c_T2w.nii.gz")[0] == 0
    assert {row["scan"] for row in table(tmp_path / "out" / "discs.csv")} == {"b_T2w", "c_T2w"}
    # One that failed is listed until it is labelled, or its file is gone.
    assert [row["scan"] for row in table(tmp_path / "out" / "scans.csv")] == ["b_T2w", "c_T2w", "lost.dcm"]
    lost.unlink()
    assert label(tmp_path / "c_T2w.nii.gz")[0] == 0
    assert [row["scan"] for row in table(tmp_path / "out" / "scans.csv")] == ["b_T2w", "c_T2w"]


def test_a_scan_that_failed_is_listed_until_it_is_labelled(label, tmp_path, capsys):
    damaged = tmp_path / "a.nii.gz"
    damaged.write_bytes(b"no scan")
    assert label(damaged)[0] == 1
    assert label(tmp_path / "b.nii.gz") == (0, "")
    assert flagged(tmp_path / "out") == [("a", "failed"), ("b", "")]
    damaged.unlink()  # and labelled in its place
    assert label(damaged) == (0, "")
    assert flagged(tmp_path / "out") == [("a", ""), ("b", "")]


def test_another_scan_of_the_same_name_does_not_take_the_labels_of_the_first(label, tmp_path):
    assert label(tmp_path / "one" / "t2.nii.gz")[0] == 0
    before = (tmp_path / "out" / "t2_label-discs_dlabel.nii.gz").read_bytes()
    status, said = label(tmp_path / "two" / "t2.nii.gz", (2.0, 1.0, 1.0))
    assert status == 1 and "is of another scan (../one/t2.nii.gz), and is left as it is: give another --out" in said
    assert (tmp_path / "out" / "t2_label-discs_dlabel.nii.gz").read_bytes() == before
    reported = {row["source"]: row["flags"] for row in table(tmp_path / "out" / "scans.csv")}
    assert reported == {str(tmp_path / "one"): "", str(tmp_path / "two"): "failed"}
    assert label(tmp_path / "one" / "t2.nii.gz")[0] == 0  # the first is still itself
    assert {row["source"]: row["flags"] for row in table(tmp_path / "out" / "scans.csv")} == reported


def test_scans_taken_from_the_front_are_flagged(label, tmp_path):
    assert label(tmp_path / "front.nii.gz", (0.8, 4.0, 0.8))[0] == 0
    assert "not sagittal" in table(tmp_path / "out" / "scans.csv")[0]["flags"].split(", ")


def test_a_list_with_an_unknown_name_gives_a_warning(label, tmp_path):
    (tmp_path / "list.txt").write_text("a\nb\n")
    status, said = label(tmp_path / "a.nii.gz", (1.0, 1.0, 1.0), "--only", str(tmp_path / "list.txt"))
    assert status == 0 and said == f"warning: {tmp_path / 'list.txt'} names what is no scan here: b\n"


def test_label_volumes_among_the_scans_are_left_out(label, tmp_path, capsys):
    scan = tmp_path / "out" / "a_T2w.nii.gz"  # the scan lies where its outputs go, and *.nii.gz names both
    assert label(scan) == (0, "")
    volume = tmp_path / "out" / "a_T2w_label-discs_dlabel.nii.gz"
    assert predict.main([str(scan), str(volume), "--weights", "spots", "--out", str(scan.parent)]) == 0
    said = capsys.readouterr().err
    assert said == f"warning: label volumes are no scans and are left out: 1, such as {volume.name}\n"
    assert [row["scan"] for row in table(tmp_path / "out" / "scans.csv")] == ["a_T2w"]
    with pytest.raises(predict.UserError, match=f"{volume.name} is a label volume: name the scan"):
        label(volume)


def test_a_scan_that_is_named_twice_is_labelled_once(label, tmp_path, monkeypatch, capsys):
    label(tmp_path / "a.nii.gz")
    monkeypatch.chdir(tmp_path)
    arguments = ["a.nii.gz", "./a.nii.gz", str(tmp_path / "a.nii.gz"), "--weights", "spots", "--out", "other"]
    assert predict.main(arguments) == 0
    assert "1 of 1 scans labelled" in capsys.readouterr().out


def test_two_scans_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: BrightSpots(path))
    with pytest.raises(predict.UserError, match="two scans are called sub-1_T2w"):
        predict.main(["a/sub-1_T2w.nii.gz", "b/sub-1_T2w.nii.gz", "--weights", "spots", "--out", str(tmp_path)])
    (tmp_path / "only.txt").write_text("sub-2_T2w")  # the two are not asked for
    scans = ["a/sub-1_T2w.nii.gz", "b/sub-1_T2w.nii.gz", "b/sub-2_T2w.nii.gz"]
    assert predict.main([*scans, "--only", str(tmp_path / "only.txt"), "--out", str(tmp_path)]) == 1
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


def test_what_is_printed_of_one_scan(label, tmp_path, capsys, monkeypatch):
    label(tmp_path / "a_T2w.nii.gz")
    predict.main([str(tmp_path / "a_T2w.nii.gz"), "--weights", "spots", "--out", str(tmp_path / "out")])
    out = tmp_path / "out"
    assert capsys.readouterr().out.splitlines() == [
        f"1 of 1 scans labelled (1 of them before, with the same weights), 3 discs; see {out}",
        "levels:            L3-L4 to L5-S1",
        "lowest confidence: 1.00 (L3-L4)",
        "flags:             none",
        f"labels:            {out / 'a_T2w_label-discs_dlabel.nii.gz'}",
        f"picture:           {out / 'a_T2w_discs.png'}",
    ]


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        (range(3, 10), "C2-C3 to T1-T2"),
        ([8], "C7-T1"),
        ([], "-"),
        ([2, 3, 24, 25], "C1-C2 to C2-C3, L4-L5 to L5-S1"),
    ],
)
def test_levels_are_printed_as_ranges(levels, text, tmp_path, capsys):
    discs = [{"level": level, "name": name(level), "confidence": 0.5 + level / 100} for level in levels]
    print_scan(Job(tmp_path / "a.nii", tmp_path / "a"), {"discs": discs, "flags": ["two positions"]})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"levels:            {text}"
    assert said[1] == f"lowest confidence: {f'{0.5 + levels[0] / 100:.2f} ({name(levels[0])})' if levels else '-'}"
    assert said[2].startswith("flags:             two positions (sform and qform")


@pytest.mark.parametrize("way", ["copied", "moved", "touched", "linked"])
def test_the_same_scan_is_known_wherever_it_lies(way, label, tmp_path, monkeypatch):
    scan, other = tmp_path / "one" / "t2.nii.gz", tmp_path / "two" / "deep" / "t2.nii.gz"
    label(scan)
    other.parent.mkdir(parents=True)
    {"copied": shutil.copyfile, "moved": shutil.move, "linked": lambda a, b: b.symlink_to(a)}.get(
        way, lambda a, b: (shutil.copyfile(a, b), b.touch())
    )(scan, other)
    sidecar = tmp_path / "out" / "t2_label-discs_dlabel.json"
    before = sidecar.stat().st_mtime_ns
    assert label(other) == (0, "")
    assert sidecar.stat().st_mtime_ns == before  # not labelled a second time
    sidecar.write_text(sidecar.read_text().replace('"Epoch": 1', '"Epoch": 2'))  # as other weights would have written
    assert label(other) == (0, "") and sidecar.stat().st_mtime_ns != before
    assert json.loads(sidecar.read_text())["Image"] == "../two/deep/t2.nii.gz"


def test_a_pair_is_known_by_both_halves(label, tmp_path):
    """Two volumes of the same size have the same header."""
    data, affine, _ = spots((1.0, 1.0, 1.0), 0.0)
    for folder, values in (("one", data), ("two", data[:, ::-1])):
        (tmp_path / folder).mkdir()
        nibabel.save(nibabel.Nifti1Pair(values, affine), tmp_path / folder / "t2.hdr")
    out = tmp_path / "out"
    assert predict.main([str(tmp_path / "one" / "t2.hdr"), "--weights", "spots", "--out", str(out)]) == 0
    status, said = label(tmp_path / "two" / "t2.hdr")
    assert status == 1 and "is of another scan" in said


@pytest.mark.parametrize("scan", [".", ".nii.gz"])
def test_a_scan_without_a_name_is_refused(scan, label, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(predict.UserError, match="has no name of its own: name a NIfTI file, or give a BIDS tree"):
        predict.main([scan, "--weights", "spots", "--out", "out"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("endings", [("hdr", "img"), ("HDR", "IMG")])
def test_a_pair_that_is_named_by_both_halves_is_one_scan(endings, label, tmp_path, capsys):
    data, affine, _ = spots((1.0, 1.0, 1.0), 0.0)
    nibabel.save(nibabel.Nifti1Pair(data, affine), tmp_path / f"t2.{endings[0]}")
    halves = [tmp_path / f"t2.{ending}" for ending in endings]
    assert all(half.is_file() for half in halves)
    assert predict.main([*map(str, halves), "--weights", "spots", "--out", str(tmp_path / "out")]) == 0
    assert "1 of 1 scans labelled, 3 discs" in capsys.readouterr().out
    facts = json.loads((tmp_path / "out" / f"t2.{endings[0]}_label-discs_dlabel.json").read_text())
    both = b"".join(half.read_bytes() for half in halves)
    assert facts["ImageDigest"] == hashlib.sha256(both).hexdigest()


def test_an_ending_in_capitals_is_no_part_of_the_name(label, tmp_path):
    assert label(tmp_path / "a_T2w.NII.GZ") == (0, "")
    assert flagged(tmp_path / "out") == [("a_T2w", "")]
    assert (tmp_path / "out" / "a_T2w_label-discs_dlabel.nii.gz").is_file()


@pytest.mark.parametrize("file", ["scans.csv", "discs.csv", "report.html", "report_files/report.css", "manifest.json"])
def test_files_of_others_in_the_folder_are_left_as_they_are(file, label, tmp_path):
    (tmp_path / "out" / file).parent.mkdir(parents=True)
    (tmp_path / "out" / file).write_text("mine")
    with pytest.raises(predict.UserError, match="not written by this software|is not a manifest"):
        label(tmp_path / "a.nii.gz")
    assert (tmp_path / "out" / file).read_text() == "mine"
    assert not (tmp_path / "out" / "a_label-discs_dlabel.nii.gz").exists()


def test_labels_that_cannot_be_read_cost_their_own_scan_alone(label, tmp_path, capsys):
    out, scans = tmp_path / "out", [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]
    for scan in scans:
        nibabel.save(nibabel.Nifti1Image(*spots((1.0, 1.0, 1.0), 0.0)[:2]), scan)
    (out / "a_label-discs_dlabel.nii.gz").mkdir(parents=True)
    status = predict.main([*map(str, scans), "--weights", "spots", "--out", str(out)])
    said = capsys.readouterr().err
    said = "".join(line for line in said.splitlines(keepends=True) if "not labelled" in line)
    assert status == 1 and said.startswith(f"not labelled: {tmp_path / 'a.nii.gz'}: ") and said.count("\n") == 1
    assert "a_label-discs_dlabel.nii.gz cannot be read (Is a directory)" in said
    assert flagged(tmp_path / "out") == [("a", "failed"), ("b", "")]


def test_a_picture_of_others_is_left_as_it_is(label, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_discs.png").write_text("mine")
    status, said = label(tmp_path / "a.nii.gz")
    assert status == 1 and "a_discs.png was not written by this tool" in said
    assert (tmp_path / "out" / "a_discs.png").read_text() == "mine"


def test_other_files_do_not_matter_and_a_folder_of_an_older_version_is_continued(label, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert label(tmp_path / "a.nii.gz") == (0, "")
    (tmp_path / "out" / "manifest.json").unlink()  # older versions wrote none
    assert label(tmp_path / "b.nii.gz") == (0, "")
    assert {row["scan"] for row in table(tmp_path / "out" / "scans.csv")} == {"a", "b"}
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_link_that_leads_to_another_scan_now_is_labelled_again(label, tmp_path):
    """As in a clone of git-annex after a checkout: what the link leads to is older than the labels."""
    scan, out = tmp_path / "a.nii.gz", tmp_path / "out"
    for folder, axis in (("one", 0), ("two", 1)):
        data, affine, _ = spots((1.0, 1.0, 1.0), 0.0)
        (tmp_path / folder).mkdir()
        nibabel.save(nibabel.Nifti1Image(np.flip(data, axis), affine), tmp_path / folder / "a.nii.gz")
    scan.symlink_to(tmp_path / "one" / "a.nii.gz")
    assert label(scan) == (0, "")
    before = json.loads((out / "a_label-discs_dlabel.json").read_text())
    scan.unlink()
    scan.symlink_to(tmp_path / "two" / "a.nii.gz")
    # Not the same scan, and its labels are not reviewed.
    status, said = label(scan)
    after = json.loads((out / "a_label-discs_dlabel.json").read_text())
    assert (status, said) == (0, "") and after["ImageDigest"] != before["ImageDigest"]
    assert after["Discs"] != before["Discs"]


@pytest.mark.parametrize("ending", ["label-discs_dlabel.nii.gz", "label-discs_dlabel.json", "discs.png"])
def test_links_without_their_content_are_not_replaced(ending, label, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    link = out / f"a_{ending}"
    link.symlink_to("../.git/annex/objects/aa/bb/x")
    status, said = label(tmp_path / "a.nii.gz")
    assert status == 1 and link.is_symlink() and "not labelled" in said
    assert ("is a link to nothing: fetch its content first" in said) == ending.endswith("nii.gz")


def test_another_first_level_of_a_released_checkpoint_labels_again(label, tmp_path, monkeypatch):
    for first in (1, 2):
        facts = {**BrightSpots.checkpoint, "view": "released", "levels": [first, first + 1]}
        monkeypatch.setattr(BrightSpots, "checkpoint", facts)
        assert label(tmp_path / "a.nii.gz") == (0, "")
        sidecar = json.loads((tmp_path / "out" / "a_label-discs_dlabel.json").read_text())
        assert sidecar["Model"]["FirstLevel"] == first and sidecar["Model"]["View"] == "released"


def test_the_halves_of_a_pair_have_the_same_outputs(label, tmp_path):
    data, affine, _ = spots((1.0, 1.0, 1.0), 0.0)
    nibabel.save(nibabel.Nifti1Pair(data, affine), tmp_path / "t2.hdr")
    for half in ("hdr", "img"):
        assert label(tmp_path / f"t2.{half}") == (0, "")
    assert [row["scan"] for row in table(tmp_path / "out" / "scans.csv")] == ["t2.hdr"]


@pytest.mark.parametrize("entry", ["t2.hdr", "t2.img", "t2"])
def test_a_list_may_name_a_pair_by_either_half(entry, label, tmp_path):
    data, affine, _ = spots((1.0, 1.0, 1.0), 0.0)
    nibabel.save(nibabel.Nifti1Pair(data, affine), tmp_path / "t2.hdr")
    (tmp_path / "list.txt").write_text(entry)
    assert label(tmp_path / "t2.img", (1.0, 1.0, 1.0), "--only", str(tmp_path / "list.txt")) == (0, "")
