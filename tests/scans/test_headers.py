"""Positions: labels lie where their image does in every program; units; headers that say two things or nothing."""

from itertools import product

import nibabel
import numpy as np
import pytest

from utils.scans.labels import POSITION, label_volume, read_discs
from utils.scans.nifti import ScanError, position_flags, read_scan

SHAPE = (5, 40, 50)


def form(shift=(0, 0, 0), tilt=0.0, voxel=(4.0, 1.0, 1.0)):
    affine = np.eye(4)
    c, s = np.cos(tilt), np.sin(tilt)
    affine[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) * voxel
    affine[:3, 3] = shift
    return affine


def write(path, sform, qform, codes, unit="mm", kind=nibabel.Nifti1Image, shape=SHAPE, endianness=None, size=1.0):
    header = kind.header_class(endianness=endianness) if endianness else None
    data = np.random.default_rng(0).random(shape, np.float32)
    image = kind(data, None, header)
    image.header.set_zooms((4.0 * size, size, size, *[1.0] * (len(shape) - 3)))
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)  # as a pair where its name ends in .hdr
    return path


@pytest.mark.parametrize("codes", list(product([0, 1, 2, 4], [0, 1, 2])))
@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.hdr"])
def test_labels_carry_the_position_of_their_image(codes, name, tmp_path):
    path = write(tmp_path / name, form((20, 5, 0), 0.3), form((10, -8, 3), 0.1), codes)
    scan = read_scan(path)
    world = nibabel.affines.apply_affine(scan.affine, [[2, 20, 40], [2, 21, 15]])
    (tmp_path / "labels.nii.gz").write_bytes(label_volume(scan, [24, 25], world))
    image, labels = nibabel.load(path), nibabel.load(tmp_path / "labels.nii.gz")
    for field in (*POSITION, "pixdim"):
        np.testing.assert_array_equal(labels.header[field], image.header[field], err_msg=field)
    assert labels.shape == image.shape and labels.get_data_dtype() == np.uint8
    values = np.asarray(labels.dataobj)
    assert np.count_nonzero(values) == 2 and (values[2, 20, 40], values[2, 21, 15]) == (24, 25)
    np.testing.assert_allclose(read_discs(tmp_path / "labels.nii.gz").world, world, atol=1e-5)


def test_the_sform_counts_where_there_are_two(tmp_path):
    forms = form((20, 5, 0)), form((10, -8, 3))
    origins = [
        read_scan(write(tmp_path / "a.nii", *forms, codes)).affine[:3, 3].tolist()
        for codes in [(1, 1), (2, 1), (4, 2), (0, 1), (3, 0)]
    ]
    assert origins == [[20, 5, 0], [20, 5, 0], [20, 5, 0], [10, -8, 3], [20, 5, 0]]


@pytest.mark.parametrize(
    ("sform", "qform", "codes", "flags"),
    [
        (form((20, 5, 0)), form((20, 5, 0)), (1, 1), []),
        (form((20, 5, 0)), form((20.01, 5, 0)), (2, 1), []),  # rounding
        (form((20, 5, 0)), form((33, 5, 0)), (2, 1), ["two positions"]),
        (form((20, 5, 0)), form((20, 5, 0), 0.1), (1, 1), ["two positions"]),
        (form((20, 5, 0), voxel=(-4, 1, 1)), form((20, 5, 0)), (1, 1), ["two positions"]),
        (form((20, 5, 0)), form((33, 5, 0)), (0, 1), []),
        (form((20, 5, 0)), form((33, 5, 0)), (2, 0), []),
        (form(), form(), (0, 0), ["no position"]),
    ],
)
def test_doubtful_positions_are_flagged(sform, qform, codes, flags, tmp_path):
    assert position_flags(read_scan(write(tmp_path / "a.nii", sform, qform, codes))) == flags


def test_a_qform_that_is_no_rotation_is_a_second_position(tmp_path):
    path = write(tmp_path / "a.nii", form(), form(), (1, 1))
    content = bytearray(path.read_bytes())
    content[256:268] = np.array([0.9, 0.9, 0.9], "<f4").tobytes()  # quatern_b, c and d
    path.write_bytes(content)
    assert position_flags(read_scan(path)) == ["two positions"]


def test_labels_are_of_the_same_kind_of_nifti(tmp_path):
    """Which stores 64 bits of a position; 32 would shift labels by more than ITK takes for the same place."""
    place = form((123.456789012345, 5, 0))
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        scan = read_scan(write(tmp_path / "a.nii", place, place, (1, 1), kind=kind))
        (tmp_path / "l.nii.gz").write_bytes(label_volume(scan, [25], [[123, 20, 20]]))
        labels = nibabel.load(tmp_path / "l.nii.gz")
        assert isinstance(labels.header, kind.header_class) and isinstance(labels, kind)
        np.testing.assert_array_equal(labels.affine, scan.affine)


def test_labels_of_big_endian_and_4d_files(tmp_path):
    for shape, endianness in ((SHAPE, ">"), ((*SHAPE, 1), "<"), ((*SHAPE, 1, 1), "<")):
        scan = read_scan(write(tmp_path / "a.nii", form((7, 8, 9)), form(), (2, 0), shape=shape, endianness=endianness))
        (tmp_path / "l.nii.gz").write_bytes(label_volume(scan, [25], [[7, 28, 29]]))
        labels = nibabel.load(tmp_path / "l.nii.gz")
        assert labels.shape == SHAPE
        np.testing.assert_array_equal(labels.affine, scan.affine)
        assert labels.header.get_zooms() == (4, 1, 1)


@pytest.mark.parametrize(("unit", "size"), [("mm", 1.0), ("meter", 0.001), ("micron", 1000.0), ("unknown", 1.0)])
@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (0, 0)])
def test_units(unit, size, codes, tmp_path):
    stated = form((20, 5, -30))
    stated[:3] *= size
    scan = read_scan(write(tmp_path / "a.nii", stated, stated, codes, unit, size=size))
    np.testing.assert_allclose(np.linalg.norm(scan.affine[:3, :3], axis=0), [4, 1, 1], rtol=1e-5)
    if any(codes):
        np.testing.assert_allclose(scan.affine, form((20, 5, -30)), rtol=1e-5)
        assert position_flags(scan) == []
    # Its labels are in the same unit, and are read in mm.
    middle = nibabel.affines.apply_affine(scan.affine, [[2, 20, 25]])
    (tmp_path / "l.nii.gz").write_bytes(label_volume(scan, [25], middle))
    assert nibabel.load(tmp_path / "l.nii.gz").header.get_xyzt_units()[0] == unit
    np.testing.assert_allclose(read_discs(tmp_path / "l.nii.gz").world, middle, rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "unit", "reason"),
    [(1.0, "meter", "50 m long.*its unit .meter"), (1.0, "micron", "0.05 mm long.*its unit .micron"),
     (0.001, "mm", "0.05 mm long"), (1000.0, "unknown", "50 m long")],
)  # fmt: skip
def test_units_that_cannot_be_right(size, unit, reason, tmp_path):
    stated = form()
    stated[:3] *= size
    with pytest.raises(ScanError, match=reason):
        read_scan(write(tmp_path / "a.nii", stated, stated, (1, 1), unit))
