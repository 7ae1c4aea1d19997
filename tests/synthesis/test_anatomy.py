"""Synthetic people: sizes, labels on the discs they name, and the same bytes for the same seed."""

import nibabel
import numpy as np
import pytest

import make_phantom
from utils.discs import TYPICAL_GAP_MM
from utils.scans.bids import find_scans, participants
from utils.scans.labels import read_discs
from utils.synthesis import curves
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.canvas import AIR, CANAL_MAP, CORD, CORD_MAP, CSF, FAT, FIBRE, MARROW, NUCLEUS, PIXEL_MM, WORN
from utils.synthesis.curves import draw_chain
from utils.synthesis.volumes import generate_volume
from utils.system.files import UserError


@pytest.mark.parametrize("seed", range(8))
def test_discs_run_down_at_typical_distances(seed):
    anatomy = generate_anatomy(np.random.default_rng(seed))
    gaps = np.linalg.norm(np.diff(anatomy.points[1:], axis=0), axis=1)
    typical = np.array([TYPICAL_GAP_MM[level] for level in range(1, 26)])
    assert (np.diff(anatomy.points[1:26, 0]) > 0).all()
    ratio = gaps / typical
    assert 0.8 < ratio.mean() < 1.2
    assert np.abs(ratio / ratio.mean() - 1).max() < 0.2


@pytest.mark.parametrize("seed", range(8))
def test_a_point_lies_between_its_disc_and_the_canal(seed):
    anatomy = generate_anatomy(np.random.default_rng(seed))
    narrowed = 0
    for level in range(3, 26):
        row, column = np.round(anatomy.points[level] / PIXEL_MM).astype(int)
        front = anatomy.maps[CORD_MAP, row, column - int(9 / PIXEL_MM) : column]
        behind = anatomy.maps[CANAL_MAP, row, column : column + int(9 / PIXEL_MM)]
        assert {NUCLEUS, WORN, FIBRE} & set(front.tolist()), level
        narrowed += not {CSF, FAT, CORD} & set(behind.tolist())
    assert narrowed <= 4  # of which four are as many as are drawn in anyone


def test_a_lordosis_gapes_in_its_discs_and_a_kyphosis_bends_the_bones():
    turned = lambda a, b: np.degrees(np.arctan2(a[1], a[0]) - np.arctan2(b[1], b[0]))  # noqa: E731
    for seed in range(20):
        tips, _, (upper, lower), slip = draw_chain(np.random.default_rng(seed), 1.0)
        share = {}
        for level in range(9, 29):
            if slip[level - 1 : level + 2].any():  # what a slipped vertebra bends lies in no disc
                continue
            bend = turned(tips[level + 1] - tips[level], tips[level] - tips[level - 1])
            if abs(bend) > 3:
                share[level] = turned(lower[level], upper[level]) / bend
        assert all(0.35 < part < 0.9 for level, part in share.items() if 21 <= level <= 25), share
        assert all(0 <= part < 0.2 for level, part in share.items() if 10 <= level <= 17), share
        assert all(abs(part) < 1e-6 for level, part in share.items() if level >= 26), share


def test_the_disc_l5_s1_is_twice_as_high_in_front_as_behind():
    ratios = []
    for seed in range(40):
        anatomy = generate_anatomy(np.random.default_rng(seed))
        down = anatomy.points[26] - anatomy.points[24]
        down /= np.linalg.norm(down)
        front = np.array([down[1], -down[0]])
        heights = []
        for ahead in (5.0, 24.0):
            line = anatomy.points[25] + ahead * front + np.linspace(-20, 20, 161)[:, None] * down
            row, column = np.round(line / PIXEL_MM).astype(int).T
            heights.append((anatomy.maps[CORD_MAP, row, column] != MARROW).sum())
        ratios.append(heights[1] / heights[0])
    assert 1.7 < np.median(ratios) < 2.6


def test_where_a_vertebra_slips_the_corners_of_the_bodies_part_by_as_much():
    found = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        tips, tangent, _, slip = draw_chain(rng, 1.0)
        for level in np.flatnonzero(slip):
            found += 1
            front = np.array([tangent[level, 1], -tangent[level, 0]])
            # What the disc above is ahead of a straight line through the two below grows by the slip, half of it here.
            assert 2.5 <= slip[level] <= 11 and 22 <= level <= 25
            ahead = (tips[level - 1] - tips[level]) @ front
            straight = draw_straight(seed, level)
            assert abs(ahead - straight - slip[level] / 2) < 1e-9
    assert 2 <= found <= 16


def draw_straight(seed, level):
    """Return how far the disc above lies ahead in the same spine without its slip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "SLIP_SHARE", 0.0)
        tips, tangent, _, _ = draw_chain(np.random.default_rng(seed), 1.0)
    return (tips[level - 1] - tips[level]) @ np.array([tangent[level, 1], -tangent[level, 0]])


@pytest.mark.parametrize("seed", range(8))
def test_the_cord_runs_through_the_great_hole_without_a_gap(seed):
    anatomy = generate_anatomy(np.random.default_rng(seed))
    top, bottom = anatomy.points[1, 0] - 20, anatomy.points[4, 0]
    for row in np.arange(top, bottom, PIXEL_MM):
        column = np.interp(row, anatomy.points[1:5, 0], anatomy.points[1:5, 1])
        behind = anatomy.maps[CORD_MAP, round(row / PIXEL_MM), int(column / PIXEL_MM) :][: int(24 / PIXEL_MM)]
        assert 5 < (behind == CORD).sum() * PIXEL_MM < 20, row - anatomy.points[1, 0]


def test_the_cord_ends_near_l1_l2():
    ends = []
    for seed in range(12):
        anatomy = generate_anatomy(np.random.default_rng(seed))
        rows = np.flatnonzero((anatomy.maps[CORD_MAP] == CORD).any(1)) * PIXEL_MM
        ends.append(np.interp(rows.max(), anatomy.points[1:26, 0], np.arange(1, 26)))
    assert 20 < np.mean(ends) < 22 and np.ptp(ends) > 0.3


def test_labels_lie_where_the_drawing_has_its_discs():
    anatomy = generate_anatomy(np.random.default_rng(2))
    anatomy.shift[:] = 7.0
    field = (anatomy.points[20, 0] - 20, anatomy.points[25, 0] + 40)
    volume = generate_volume(np.random.default_rng(0), anatomy, "T2w", field, (1.0, 0.8, 0.8))
    assert volume.levels.tolist() == [20, 21, 22, 23, 24, 25]
    # Distances between voxels in mm are those between points of the drawing, to the rounding of two voxels.
    steps = np.diff(volume.voxels, axis=0) * [1.0, 0.8, 0.8]
    drawn = np.diff(anatomy.points[20:26], axis=0)
    assert np.abs(steps[:, 2] + drawn[:, 0]).max() <= 0.8  # head-foot runs upward
    assert np.abs(steps[:, 1] + drawn[:, 1]).max() <= 0.8  # front-back runs forward
    assert (steps[:, 0] == 0).all()


@pytest.mark.parametrize("voxel", [(1.0, 0.8, 0.8), (3.0, 1.0, 1.0)])
def test_labels_lie_where_the_image_shows_the_discs(voxel):
    """Nothing but a bright dot of 2 mm on each point, all through the body: the image shows it at the label."""
    anatomy = generate_anatomy(np.random.default_rng(2))
    anatomy.maps[:] = AIR
    rows, columns = np.indices(anatomy.maps.shape[1:]) * PIXEL_MM
    for row, column in anatomy.points[2:26]:
        anatomy.maps[:, (rows - row) ** 2 + (columns - column) ** 2 < 2.0**2] = CSF
    field = (anatomy.points[2, 0] - 40, anatomy.points[25, 0] + 40)
    volume = generate_volume(np.random.default_rng(0), anatomy, "T2w", field, voxel)
    assert volume.levels.tolist() == list(range(2, 26))
    for x, y, z in volume.voxels:
        part = volume.data[x, y - 5 : y + 6, z - 5 : z + 6].astype(float)
        part = np.clip(part - 0.5 * part.max(), 0, None)
        centre = [(np.arange(-5, 6) @ part.sum(axis)) / part.sum() for axis in (1, 0)]
        assert np.abs(centre).max() <= 0.75  # half a voxel is lost by the label's rounding


def test_a_tree_like_that_of_spine_generic_with_the_same_bytes_twice(tmp_path):
    for name, jobs in (("a", "1"), ("b", "2")):
        make_phantom.main(["--subjects", "2", "--out", str(tmp_path / name), "--seed", "7", "--jobs", jobs])
    first, second = (sorted(p for p in (tmp_path / name).rglob("*") if p.is_file()) for name in "ab")
    assert [p.name for p in first] == [p.name for p in second]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))
    scans = find_scans(tmp_path / "a")
    assert [scan.contrast for scan in scans] == ["T1w", "T2w"] * 2 and all(scan.label for scan in scans)
    assert set(participants(tmp_path / "a")) == {"sub-phantom001", "sub-phantom002"}
    for scan in scans:
        image, labels = nibabel.load(scan.image), nibabel.load(scan.label)
        assert image.shape == labels.shape
        np.testing.assert_array_equal(image.affine, labels.affine)
        levels, _, _ = read_discs(scan.label)
        assert len(levels) == np.count_nonzero(labels.dataobj) >= 5
    with pytest.raises(UserError, match="is not empty"):
        make_phantom.main(["--subjects", "1", "--out", str(tmp_path / "a")])


@pytest.mark.parametrize("codes", ["LAS", "PSR", "RPI"])
def test_the_order_of_axes_does_not_move_the_discs(codes, tmp_path):
    volume = generate_volume(
        np.random.default_rng(0), generate_anatomy(np.random.default_rng(1)), "T1w", (150, 400), (3, 1, 1), (9, 4, 4)
    )
    labels = np.zeros(volume.data.shape, np.uint8)
    labels[tuple(volume.voxels.T)] = volume.levels
    make_phantom.save_volume(tmp_path / "a.nii.gz", labels, volume.affine, codes)
    assert "".join(nibabel.aff2axcodes(nibabel.load(tmp_path / "a.nii.gz").affine)) == codes
    _, world, _ = read_discs(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(world, nibabel.affines.apply_affine(volume.affine, volume.voxels), atol=1e-3)
