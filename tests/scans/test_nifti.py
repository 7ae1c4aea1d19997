"""Scans to upright slices and back, in any orientation; values worked out by hand."""

import gzip

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from utils.scans.labels import label_volume, read_discs
from utils.scans.nifti import ScanError, read_scan
from utils.scans.sagittal import is_sagittal, normalise, sagittal


def save(path, data, affine=None):
    nibabel.save(nibabel.Nifti1Image(np.asarray(data), np.eye(4) if affine is None else affine), path)
    return path


def spheres(shape=(20, 60, 80), voxel=(3.0, 1.0, 0.8), tilt=0.0):
    """Return a volume with bright spheres, its affine, and the spheres' world places."""
    affine = np.diag([*voxel, 1.0])
    c, s = np.cos(tilt), np.sin(tilt)
    affine[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ affine[:3, :3]
    affine[:3, 3] = [-30, 12, -40]
    places = np.array([[10, 35, 60], [10, 30, 40], [10, 33, 20]])
    ijk = np.indices(shape).reshape(3, -1).T
    data = np.zeros(shape, np.float32)
    for place in places:
        away = np.linalg.norm((ijk - place) * voxel, axis=1).reshape(shape)
        data += np.exp(-(away**2) / (2 * 3.0**2)).astype(np.float32)
    world = nibabel.affines.apply_affine(affine, places)
    return data * 1000, affine, world


@pytest.mark.parametrize("codes", ["RAS", "LAS", "PSR", "RPI", "ASL", "LPI", "SRA"])
@pytest.mark.parametrize("tilt", [0.0, 0.25])
def test_the_same_discs_whatever_the_order_of_axes(codes, tilt, tmp_path):
    data, affine, world = spheres(tilt=tilt)
    image = nibabel.Nifti1Image(data, affine)
    image = image.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(codes)))
    nibabel.save(image, tmp_path / "scan.nii.gz")
    scan = read_scan(tmp_path / "scan.nii.gz")
    images, plane = sagittal(scan, 1.0, through=world)
    points, across = plane.to_pixel(world)
    np.testing.assert_allclose(plane.to_world(points, across), world, atol=1e-6)
    for row, column in points:
        top, left = int(round(row)) - 4, int(round(column)) - 4
        patch = images[0][top : top + 9, left : left + 9]
        peak = np.array(np.unravel_index(patch.argmax(), patch.shape)) + [top, left]
        assert np.abs(peak - [row, column]).max() <= 1.0  # where the disc is seen is where its point is
    assert (np.diff(points[:, 0]) > 12).all()  # superior comes first
    assert points[0, 1] < points[1, 1]  # the first sphere lies further to the front
    # Written back, each label is within a voxel of its sphere.
    (tmp_path / "labels.nii.gz").write_bytes(label_volume(scan, [20, 21, 22], plane.to_world(points, across)))
    again = read_discs(tmp_path / "labels.nii.gz")
    assert again.levels.tolist() == [20, 21, 22]
    away = np.abs(scan.to_voxel(again.world) - scan.to_voxel(world))
    assert away.max() <= 1.0


def test_two_discs_in_one_voxel_are_refused(tmp_path):
    scan = read_scan(save(tmp_path / "a.nii", np.arange(60.0).reshape(3, 4, 5), np.diag([4.0, 4.0, 20.0, 1.0])))
    assert label_volume(scan, [3, 4], [[4, 4, 20], [4, 4, 31]])  # voxels 1 and 2 from below
    with pytest.raises(ScanError, match="C2-C3 and C3-C4 lie in one voxel: move or delete one of them, or give"):
        label_volume(scan, [3, 4], [[4, 4, 20], [4, 4, 29]])


def test_slices_are_in_mm_with_their_aspect_ratio(tmp_path):
    # 60 voxels of 1 mm front to back and 80 of 0.8 mm head to foot are 64 x 60 mm: 32 x 30 pixels of 2 mm.
    data, affine, _ = spheres()
    scan = read_scan(save(tmp_path / "a.nii", data, affine))
    images, plane = sagittal(scan, 2.0)
    assert images.shape == (1, 32, 30)
    assert plane.spacing == pytest.approx(2.0)
    np.testing.assert_allclose(plane.down, [0, 0, -2], atol=1e-12)
    np.testing.assert_allclose(plane.back, [0, -2, 0], atol=1e-12)
    np.testing.assert_allclose(plane.across, [1, 0, 0], atol=1e-12)


def test_a_slab_of_six_mm_is_averaged_around_the_labels(tmp_path):
    data = np.broadcast_to(np.arange(20.0)[:, None, None], (20, 8, 8)).copy()
    data[0, 0, 0] = 99
    scan = read_scan(save(tmp_path / "a.nii", data))
    # Six slices of 1 mm around slice 7.5: 5 to 10, whose mean is 7.5.
    images, _ = sagittal(scan, 1.0, through=[[7.5, 4, 4]])
    assert images[0, 4, 4] == pytest.approx(7.5)
    images, _ = sagittal(scan, 1.0, through=[[7.5, 4, 4]], offsets=(-3, 0, 4))
    np.testing.assert_allclose(images[:, 4, 4], [4.5, 7.5, 11.5])


def test_labels_on_another_grid_are_carried_over_by_world_coordinates(tmp_path):
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[2, 3, 4] = 21
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [100, -50, 7]
    discs = read_discs(save(tmp_path / "l.nii.gz", labels, affine))
    assert discs.levels.tolist() == [21] and discs.landmarks == 0
    np.testing.assert_allclose(discs.world, [[104, -44, 15]])


def test_values_near_integers_landmarks_and_blobs(tmp_path):
    labels = np.zeros((10, 10, 10), np.float32)
    labels[5, 5, 8] = 3.0000458
    labels[5, 5, 4], labels[5, 6, 4], labels[5, 7, 5] = 4, 4, 4  # they touch, the last by an edge
    labels[1, 1, 1], labels[2, 2, 2] = 50, 60
    discs = read_discs(save(tmp_path / "l.nii.gz", labels))
    assert discs.levels.tolist() == [3, 4] and discs.landmarks == 2 and not discs.faults
    np.testing.assert_allclose(discs.world[1], [5, 6, 13 / 3])


def ball(radius, sizes):
    """Return a box with a ball of a radius in mm, made of voxels of these sizes in mm, and the voxel at its middle."""
    half = np.ceil(radius / np.array(sizes)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in half), indexing="ij"), -1)
    return np.linalg.norm(grid * sizes, axis=-1) <= radius, half


@pytest.mark.parametrize("radius", [1, 2, 3, 5])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (4, 0.6, 0.6), (0.8, 0.8, 2)])
def test_a_ball_is_one_disc_at_its_middle(radius, sizes, tmp_path):
    labels = np.zeros((30, 60, 60), np.uint8)
    shape, half = ball(radius, sizes)
    for level, middle in ((8, (15, 30, 45)), (9, (14, 29, 20))):
        labels[tuple(slice(m - h, m + h + 1) for m, h in zip(middle, half, strict=True))][shape] = level
    discs = read_discs(save(tmp_path / "l.nii.gz", labels, np.diag([*sizes, 1.0])))
    assert discs.levels.tolist() == [8, 9] and not discs.faults
    np.testing.assert_allclose(discs.world, np.array([(15, 30, 45), (14, 29, 20)]) * sizes, rtol=1e-6)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (((5, 5, 8), (5, 5, 20)), "two places"), (((5, 5, 8), (5, 5, 10)), "two places"),
        (((5, slice(5, 25), 8),), "20 mm long"),
    ],
)  # fmt: skip
def test_what_is_not_one_point_costs_its_level(voxels, reason, tmp_path):
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[3, 3, 3], labels[3, 3, 20] = 21, 26
    for place in voxels:
        labels[place] = 22
    discs = read_discs(save(tmp_path / "l.nii.gz", labels))
    assert discs.levels.tolist() == [21] and reason in discs.faults[22] and discs.others == [26]


def labels_with(*voxels):
    data = np.zeros((12, 12, 12), np.float32)
    for *place, value in voxels:
        data[tuple(place)] = value
    return data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (labels_with(), "empty"),
        (labels_with((1, 1, 1, 3.2)), "no level"),
        (labels_with((1, 1, 1, 77)), "no level"),
        (labels_with((1, 1, 1, 50)), "landmarks only"),
        (labels_with((1, 1, 1, np.nan)), "no level"),
    ],
)
def test_labels_that_cannot_be_used_have_a_reason(data, reason, tmp_path):
    with pytest.raises(ScanError, match=reason):
        read_discs(save(tmp_path / "l.nii.gz", data))


def broken(tmp_path, kind):
    """Write a scan that is broken in one way."""
    path = tmp_path / "scan.nii.gz"
    good = np.random.default_rng(0).random((6, 6, 6)).astype(np.float32)
    if kind == "missing":
        return path
    if kind == "text":
        path.write_text("no scan at all")
    elif kind == "annex":
        path.write_text("/annex/objects/SHA256E-s4587345--38d1.nii.gz\n")
    elif kind == "link":
        path.symlink_to("../../.git/annex/objects/aa/bb/x.nii.gz")
    elif kind == "truncated":
        save(path, np.random.default_rng(0).random((40, 40, 40)))
        path.write_bytes(path.read_bytes()[:4000])
    elif kind == "4D":
        save(path, np.random.default_rng(0).random((6, 6, 6, 3)))
    elif kind == "no voxels":
        save(path, good)
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[46:48] = np.array([0], "<i2").tobytes()  # dim[3]
        path.write_bytes(gzip.compress(content))
    elif kind == "nan":
        good[2, 2, 2] = np.nan
        save(path, good)
    elif kind == "huge":
        save(path, np.random.default_rng(0).random((6, 6, 6)) * 1e39)
    elif kind == "constant":
        save(path, np.full((6, 6, 6), 3.0))
    else:
        image = nibabel.Nifti1Image(good, None)
        image.header["sform_code"], image.header["qform_code"] = 1, 0
        for axis, row in zip("xyz", {"zero": np.zeros((3, 4)), "inf": np.full((3, 4), np.inf)}[kind], strict=True):
            image.header[f"srow_{axis}"] = row
        image.to_filename(path)
        raw = nibabel.load(path)
        assert not np.isfinite(raw.affine).all() or np.linalg.det(raw.affine[:3, :3]) == 0
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "missing"),
        ("text", "not a NIfTI"),
        ("annex", "git annex get scan.nii.gz"),
        ("link", "git annex get scan.nii.gz"),
        ("truncated", "cut short"),
        ("4D", "4 dimensions"),
        ("no voxels", "no voxels .6x6x0."),
        ("nan", "not finite"),
        ("huge", "beyond 3e38"),
        ("constant", "same value"),
        ("zero", "affine"),
        ("inf", "affine"),
    ],
)
def test_scans_that_cannot_be_used_have_a_reason(kind, reason, tmp_path):
    with pytest.raises(ScanError, match=reason):
        read_scan(broken(tmp_path, kind))


@pytest.mark.parametrize("behind", [b"", bytes(10**6)])
@pytest.mark.parametrize("read", [read_scan, read_discs])
def test_a_bit_that_flipped_in_a_compressed_file_is_noticed(read, behind, tmp_path):
    """Stored without compression, gzip data show a flipped bit in their check sum alone."""
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[20, 30, 25] = 21
    content = nibabel.Nifti1Image(labels, np.eye(4)).to_bytes()
    packed = bytearray(gzip.compress(content + behind, compresslevel=0, mtime=0))
    (tmp_path / "scan.nii.gz").write_bytes(packed)
    read(tmp_path / "scan.nii.gz")
    packed[packed.index(21, 352)] ^= 1  # level 21 becomes 20
    (tmp_path / "scan.nii.gz").write_bytes(packed)
    with pytest.raises(ScanError, match="it is damaged or cut short"):
        read(tmp_path / "scan.nii.gz")


def test_normalising_ignores_units_and_keeps_empty_parts_black():
    image = np.zeros((30, 30), np.float32)
    image[:, 10:] = np.random.default_rng(0).uniform(100, 200, (30, 20))
    first = normalise(image)
    for factor in (7.0, 1e-15, 1e-30, 1e30):
        np.testing.assert_allclose(normalise(image * np.float32(factor)), first, atol=1e-5)
    assert first[:, :10].max() == 0 and first.max() == 1
    assert not normalise(np.zeros((4, 4))).any()
    few = np.ones((100, 100), np.float32)
    few[0, 0] = 5.0  # all but one pixel are equal
    assert normalise(few)[0, 0] == 1 and normalise(few)[1:].max() == 0


@pytest.mark.parametrize(
    ("voxel", "expected"),  # right, front, head, in mm
    [((4.0, 0.6, 0.6), True), ((1.0, 1.0, 1.0), True), ((0.7, 0.7, 4.0), False), ((0.9, 3.5, 0.9), False)],
)
@pytest.mark.parametrize("codes", ["RAS", "ASL"])
def test_scans_that_were_not_taken_from_the_side_are_known(voxel, expected, codes, tmp_path):
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((8, 9, 10)), np.diag([*voxel, 1.0]))
    image = image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(codes)))
    nibabel.save(image, tmp_path / "a.nii")
    assert is_sagittal(read_scan(tmp_path / "a.nii")) == expected
