"""What predict.py says of files of every kind: right labels, or one reason, and never a traceback."""

import gzip
import os
import resource
import time

import nibabel
import numpy as np
import pytest

import predict
from utils.inference.labeller import Prediction


class OneDisc:
    """Stands in for a trained network: L5-S1 lies in the middle of every slice."""

    resolution = 1.0
    checkpoint = {"model": {"name": "one disc"}, "epoch": 1, "digest": "0"}

    def __init__(self, source):
        self.source = source

    def label(self, slabs, offsets):
        """Return the disc."""
        middle = (np.array(slabs.shape[1:]) - 1) / 2
        certain, heat = np.ones(1), np.zeros((24, 4, 4))
        return Prediction(
            np.array([25]), middle[None], np.zeros(1), certain, certain, certain, 5.0, heat, None, len(slabs) // 2
        )


@pytest.fixture
def label(tmp_path, monkeypatch, capsys):
    """Return a function that labels files; it gives the exit status, what was said on stderr, and the folder."""
    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: OneDisc(path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = predict.main([*map(str, arguments), "--weights", "one", "--out", str(tmp_path / "out")])
        return status, capsys.readouterr().err, tmp_path / "out"

    return run


def volume(shape=(20, 40, 50), dtype=np.int16):
    return (1000 * np.random.default_rng(0).random(shape)).astype(dtype)


def image_of(data=None, affine=None, kind=nibabel.Nifti1Image):
    return kind(volume() if data is None else data, np.eye(4) if affine is None else affine)


def rotated(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, 0, -s, 0], [0, 1, 0, 0], [s, 0, c, 0], [0, 0, 0, 1.0]])


def big_endian():
    image = nibabel.Nifti1Image(volume(), np.eye(4), nibabel.Nifti1Header(endianness=">"))
    assert image.header.endianness == ">"
    return image


def scaled():
    image = image_of()
    image.header.set_slope_inter(0.5, -3)
    return image


def disagreeing():
    image = image_of(affine=np.diag([2.0, 1, 1, 1]))
    image.set_qform(np.diag([1.0, 1, 1, 1]), 1)
    image.set_sform(np.diag([2.0, 1, 1, 1]), 2)
    return image


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: image_of(kind=nibabel.Nifti2Image), id="NIfTI-2"),
        pytest.param(big_endian, id="big-endian"),
        pytest.param(scaled, id="scl_slope"),
        pytest.param(disagreeing, id="sform-and-qform"),
        pytest.param(lambda: image_of(volume((1, 40, 50))), id="one-slice"),
        pytest.param(lambda: image_of(volume((2000, 12, 12))), id="2000-slices"),
        pytest.param(lambda: image_of(volume((20, 40, 50, 1))), id="4D-of-one"),
        pytest.param(lambda: image_of(volume((20, 40, 50, 1, 1))), id="5D-of-ones"),
        pytest.param(lambda: image_of(affine=np.diag([0.05] * 3 + [1])), id="voxels-of-0.05-mm"),
        pytest.param(lambda: image_of(affine=np.diag([10.0] * 3 + [1])), id="voxels-of-10-mm"),
        pytest.param(lambda: image_of(affine=np.diag([-1.0, 1, 1, 1])), id="left-handed"),
        pytest.param(lambda: image_of(affine=np.diag([-1.0, -1, -1, 1])), id="negative-affine"),
        pytest.param(lambda: image_of(affine=rotated(45)), id="oblique-by-45-degrees"),
        pytest.param(lambda: image_of(-volume().astype(np.float32) - 1), id="all-negative"),
    ],
)
def test_good_scans_of_unusual_kinds_are_labelled(make, label, tmp_path):
    nibabel.save(make(), tmp_path / "scan.nii.gz")
    status, said, out = label("scan.nii.gz")
    assert (status, said.count("not labelled")) == (0, 0)
    content = (out / "scan_label-discs_dlabel.nii.gz").read_bytes()
    labels, scan = nibabel.load(out / "scan_label-discs_dlabel.nii.gz"), nibabel.load(tmp_path / "scan.nii.gz")
    (out / "scan_label-discs_dlabel.nii.gz").unlink()
    assert label("scan.nii.gz")[0] == 0
    assert (out / "scan_label-discs_dlabel.nii.gz").read_bytes() == content
    np.testing.assert_allclose(labels.affine, scan.affine, atol=1e-4)
    (voxel,) = np.argwhere(np.asarray(labels.dataobj) == 25)
    middle = (np.array(scan.shape[:3]) - 1) / 2
    # The disc was found in the middle of the volume: half a voxel, and half a pixel of 1 mm, may be lost.
    assert (np.abs(voxel - middle) * np.linalg.norm(scan.affine[:3, :3], axis=0) <= 0.6 + 0.5 * scan.affine.max()).all()


def rgb():
    data = np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    return nibabel.Nifti1Image(data, np.eye(4))


def with_value(value):
    data = volume().astype(np.float32)
    data[3, 4, 5] = value
    return image_of(data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(rgb, "not plain numbers", id="RGB"),
        pytest.param(lambda: image_of(volume(dtype=np.complex64)), "not plain numbers", id="complex"),
        pytest.param(lambda: image_of(volume((20, 40))), "2 dimensions", id="2D"),
        pytest.param(lambda: image_of(volume((8, 9, 10, 3))), "4 dimensions", id="4D"),
        pytest.param(lambda: image_of(volume((8, 9, 10, 1, 3))), "5 dimensions, not 3 (8x9x10x1x3: 3 vol", id="5D"),
        pytest.param(lambda: with_value(np.nan), "not finite", id="NaN"),
        pytest.param(lambda: with_value(np.inf), "not finite", id="infinity"),
        pytest.param(lambda: image_of(np.full((8, 8, 8), 7, np.int16)), "the same value", id="constant"),
        pytest.param(
            lambda: image_of(volume((8, 512, 8)), np.diag([10.0, 10, 10, 1])),
            "its affine makes it 5.12 m long",
            id="longer-than-3-m",
        ),
    ],
)
def test_scans_that_cannot_be_right_are_refused_with_the_reason(make, reason, label, tmp_path):
    image = make()
    image.to_filename(tmp_path / "scan.nii")
    status, said, out = label("scan.nii")
    assert status == 1 and reason in said and said.count("\n") <= 2
    assert not (out / "scan_label-discs_dlabel.nii.gz").exists()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_scan_without_a_place_in_the_world_is_refused(value, label, tmp_path):
    image = image_of()
    image.set_qform(None, 0)
    image.to_filename(tmp_path / "scan.nii")
    content = bytearray((tmp_path / "scan.nii").read_bytes())
    content[280:328] = np.full(12, value, "<f4").tobytes()  # srow_x, srow_y and srow_z
    (tmp_path / "scan.nii").write_bytes(content)
    status, said, _ = label("scan.nii")
    assert status == 1 and "no place in the world" in said


@pytest.mark.parametrize(("size", "status"), [(-1.0, 0), (0.0, 1), (np.nan, 1)])
def test_sizes_of_voxels_that_cannot_be(size, status, label, tmp_path):
    """Where only the quaternion gives the place: NIfTI ignores a sign, and no size is none."""
    image = image_of()
    image.set_sform(None, 0)
    image.set_qform(np.eye(4), 1)
    content = bytearray(image.to_bytes())
    content[80:92] = np.full(3, size, "<f4").tobytes()  # pixdim
    (tmp_path / "scan.nii").write_bytes(content)
    got, said, out = label("scan.nii")
    assert got == status and ("no place in the world" in said) == bool(status)
    if not status:
        np.testing.assert_array_equal(nibabel.load(out / "scan_label-discs_dlabel.nii.gz").affine, np.eye(4))


def test_a_pair_without_sizes_of_voxels_is_refused_by_either_name(label, tmp_path):
    image = image_of()
    pair = nibabel.Nifti1Pair(np.asarray(image.dataobj), image.affine)
    pair.set_sform(None, 0)
    pair.set_qform(np.eye(4), 1)
    nibabel.save(pair, tmp_path / "scan.img")
    content = bytearray((tmp_path / "scan.hdr").read_bytes())
    content[80:92] = bytes(12)  # pixdim
    (tmp_path / "scan.hdr").write_bytes(content)
    for half in ("scan.hdr", "scan.img"):
        status, said, _ = label(half)
        assert status == 1 and "its header says that its voxels have no size" in said


def claims(shape, offset=352):
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    content = bytearray(header.binaryblock + bytes(4))
    content[108:112] = np.float32(offset).tobytes()
    return bytes(content)


def test_a_bomb_is_not_inflated(label, tmp_path):
    """A thousandth of 400 MB: behind a small scan little of it is read, before the voxels it is refused."""
    nothing = gzip.compress(bytes(10**8), mtime=0) * 4
    (tmp_path / "behind.nii.gz").write_bytes(gzip.compress(image_of().to_bytes(), mtime=0) + nothing)
    (tmp_path / "before.nii.gz").write_bytes(gzip.compress(claims((20, 40, 50), 4e8), mtime=0) + nothing)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, said, out = label("behind.nii.gz", "before.nii.gz")
    assert status == 1 and "before.nii.gz: its header claims" in said
    assert (out / "behind_label-discs_dlabel.nii.gz").exists()
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2e5  # in KB


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.nii", b"no scan at all", "not a NIfTI"),
        ("a.nii", b"", "empty (0 bytes)"),
        ("a.nii", b"<html>404</html>", "not a NIfTI"),
        ("a.png", b"a picture", "does not end in .nii"),
        ("a.nii.gz", b"", "empty (0 bytes)"),
        ("a.nii.gz", b"no gzip", "not a NIfTI"),
        ("a.nii.gz", claims((20, 40, 50)), "not compressed, though its name ends in .gz: rename it to a.nii"),
        ("A.NII.GZ", claims((20, 40, 50)), "rename it to A.NII"),
        (
            "a.nii",
            gzip.compress(claims((20, 40, 50)), mtime=0),
            "compressed by gzip, which its name does not say: rename it",
        ),
        ("a.img", gzip.compress(claims((20, 40, 50)), mtime=0), "rename it to a.nii.gz"),
        ("a.nii.gz", LFS, "git lfs pull"),
        ("a.nii", LFS, "git lfs pull"),
        ("a.nii.gz", b"/annex/objects/MD5E-s1--2.nii.gz", "git annex get a.nii.gz"),
        ("a.hdr", claims((20, 40, 50))[:344] + b"ni1\0", "a.img, the other half of it, is missing"),
        ("a.nii.gz", gzip.compress(claims((30000, 30000, 30000)) + bytes(10**6), mtime=0), "--max-voxels"),
        ("a.nii.gz", gzip.compress(claims((20, 40, 50)) + bytes(10), mtime=0), "damaged or cut short"),
    ],
)
def test_files_that_are_no_scans_are_refused(name, content, reason, label, tmp_path):
    (tmp_path / name).write_bytes(content)
    status, said, _ = label(name)
    assert status == 1 and reason in said


@pytest.mark.parametrize("name", ["folder", "dicom.dcm", "scan.nii.gz"])
def test_a_folder_is_called_one(name, label, tmp_path):
    (tmp_path / name).mkdir()
    status, said, _ = label(name)
    assert status == 1 and f"{name}: it is a folder: name a NIfTI file in it, or give a BIDS tree with --data" in said


def test_other_formats_truncated_files_and_links_are_refused(label, tmp_path):
    nibabel.save(nibabel.AnalyzeImage(volume(), np.eye(4)), tmp_path / "pair.img")
    nibabel.save(image_of(), tmp_path / "whole.nii.gz")
    (tmp_path / "cut.nii.gz").write_bytes((tmp_path / "whole.nii.gz").read_bytes()[:3000])
    (tmp_path / "dangling.nii.gz").symlink_to("nowhere")
    (tmp_path / "circle.nii.gz").symlink_to("circle.nii.gz")
    names = ("pair.img", "cut.nii.gz", "dangling.nii.gz", "circle.nii.gz", "gone.nii.gz")
    status, said, _ = label(*names)
    names = ("pair.hdr", *names[1:])  # a pair is called by its header
    reasons = dict(
        line.removeprefix("not labelled: ").split(": ", 1) for line in said.splitlines() if "not lab" in line
    )
    assert status == 1 and set(reasons) == set(names)
    assert "Analyze" in reasons["pair.hdr"] and "cut short" in reasons["cut.nii.gz"]
    assert all("a link to nothing" in reasons[f"{name}.nii.gz"] for name in ("dangling", "circle"))
    assert "missing" in reasons["gone.nii.gz"]


@pytest.mark.parametrize(
    "name", ["a b", 'it\'s "quoted"', "two\nlines", "Wirbelsäule 脊柱", "-dash", "<img src=x>", "a$_$b", "n" * 220]
)
def test_names_of_any_kind(name, label, tmp_path):
    nibabel.save(image_of(), tmp_path / f"{name}.nii.gz")
    status, _, out = label(f"./{name}.nii.gz")
    assert status == 0
    assert (out / f"{name}_label-discs_dlabel.nii.gz").is_file()


def test_a_leading_dash_stands_behind_two_others(label, tmp_path):
    nibabel.save(image_of(), tmp_path / "-dash.nii.gz")
    status = predict.main(["--weights", "one", "--out", str(tmp_path / "out"), "--", "-dash.nii.gz"])
    assert status == 0 and (tmp_path / "out" / "-dash_label-discs_dlabel.nii.gz").is_file()


def test_a_path_of_more_than_250_characters(label, tmp_path):
    scan = tmp_path / ("f" * 120) / ("g" * 120) / f"{'n' * 60}.nii.gz"
    scan.parent.mkdir(parents=True)
    nibabel.save(image_of(), scan)
    assert len(str(scan)) > 250 and label(scan)[0] == 0


def test_a_name_that_is_no_text(label, tmp_path):
    """Latin-1 from an old disk."""
    name = os.fsdecode(b"caf\xe9")
    nibabel.save(image_of(), tmp_path / f"{name}.nii.gz")
    assert label(f"{name}.nii.gz")[0] == 0
    assert (tmp_path / "out" / f"{name}_label-discs_dlabel.nii.gz").is_file()
    assert b"caf\xe9" in (tmp_path / "out" / "discs.csv").read_bytes()


def test_a_scan_that_took_the_place_of_another_is_labelled_though_it_is_older(label, tmp_path):
    nibabel.save(image_of(), tmp_path / "scan.nii.gz")
    assert label("scan.nii.gz")[0] == 0
    nibabel.save(image_of(volume((20, 60, 70))), tmp_path / "other.nii.gz")
    os.utime(tmp_path / "other.nii.gz", (0, 0))
    os.replace(tmp_path / "other.nii.gz", tmp_path / "scan.nii.gz")
    _, _, out = label("scan.nii.gz")
    assert nibabel.load(out / "scan_label-discs_dlabel.nii.gz").shape == (20, 60, 70)


def test_a_name_without_room_for_an_ending_is_a_reason_and_no_crash(label, tmp_path):
    nibabel.save(image_of(), tmp_path / f"{'n' * 247}.nii.gz")
    nibabel.save(image_of(), tmp_path / "good.nii.gz")
    status, said, out = label(f"{'n' * 247}.nii.gz", "good.nii.gz")
    assert status == 1 and "Traceback" not in said
    assert (out / "good_label-discs_dlabel.nii.gz").is_file()
