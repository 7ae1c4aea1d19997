"""Synthetic subjects: sizes, points on their discs, and the same bytes for the same seed."""

import nibabel
import numpy as np
import pytest

import make_phantom
from utils.discs import TYPICAL_GAP_MM
from utils.scans.bids import find_scans, participants
from utils.scans.labels import read_discs
from utils.synthesis import degeneration
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.canvas import AIR, CANAL_MAP, CORD, CORD_MAP, CSF, FAT, FIBRE, MARROW, NUCLEUS, PIXEL_MM, WORN
from utils.synthesis.curves import draw_spine, front_of
from utils.synthesis.volumes import generate_volume
from utils.system.files import UserError


@pytest.fixture
def healthy(monkeypatch):
    """Synthetic spines without degeneration."""
    for name in ("COLLAPSE_SHARE", "FUSED_SHARE", "FRACTURE_SHARE", "TUMOUR_SHARE", "SLIP_SHARE"):
        monkeypatch.setattr(degeneration, name, 0.0)
    monkeypatch.setattr(degeneration, "WEAR_SHARES", 4 * (0.0,))


@pytest.mark.parametrize("seed", range(8))
def test_discs_run_down_at_typical_distances(seed, healthy):
    anatomy = generate_anatomy(np.random.default_rng(seed))
    gaps = np.linalg.norm(np.diff(anatomy.points[1:], axis=0), axis=1)
    typical = np.array([TYPICAL_GAP_MM[level] for level in range(1, 26)])
    assert (np.diff(anatomy.points[1:26, 0]) > 0).all()
    ratio = gaps / typical
    assert 0.8 < ratio.mean() < 1.2
    assert np.abs(ratio / ratio.mean() - 1).max() < 0.25


@pytest.mark.parametrize("seed", range(16))
def test_a_point_lies_between_its_disc_and_the_canal(seed):
    rng = np.random.default_rng(seed)
    fused = draw_spine(np.random.default_rng(seed)).state.fused
    anatomy = generate_anatomy(rng)
    narrowed = 0
    for level in np.setdiff1d(np.arange(3, 26), np.flatnonzero(fused)):
        row, column = np.round(anatomy.points[level] / PIXEL_MM).astype(int)
        front = anatomy.maps[CORD_MAP, row, column - int(9 / PIXEL_MM) : column]
        behind = anatomy.maps[CANAL_MAP, row, column : column + int(9 / PIXEL_MM)]
        assert {NUCLEUS, WORN, FIBRE, AIR} & set(front.tolist()), level
        narrowed += not {CSF, FAT, CORD} & set(behind.tolist())
    assert narrowed <= 8  # of which four in the cervical and four in the lumbar spine are as many as there are


def test_lordoses_lie_in_discs_and_kyphoses_in_bones(healthy):
    angle = lambda a, b: np.degrees(np.arctan2(a[1], a[0]) - np.arctan2(b[1], b[0]))  # noqa: E731
    for seed in range(20):
        spine = draw_spine(np.random.default_rng(seed))
        share = {}
        for level in range(9, 29):
            bend = angle(spine.tips[level + 1] - spine.tips[level], spine.tips[level] - spine.tips[level - 1])
            if abs(bend) > 3:
                share[level] = angle(spine.lower[level], spine.upper[level]) / bend
        assert all(0.35 < part < 0.9 for level, part in share.items() if 21 <= level <= 25), share
        assert all(0 <= part < 0.2 for level, part in share.items() if 10 <= level <= 17), share
        assert all(abs(part) < 1e-6 for level, part in share.items() if level >= 26), share


def tissue_beside(anatomy, index, ahead, reach=20.0):
    """Return tissues along a line through the disc of a level, ``ahead`` mm in front of its point."""
    down = anatomy.points[index + 1] - anatomy.points[index - 1]
    down /= np.linalg.norm(down)
    line = anatomy.points[index] + ahead * front_of(down) + np.arange(-reach, reach, 0.25)[:, None] * down
    row, column = np.round(line / PIXEL_MM).astype(int).T
    return anatomy.maps[CORD_MAP, row, column]


def test_the_disc_l5_s1_is_twice_as_high_in_front_as_behind(healthy):
    ratios = []
    for seed in range(40):
        anatomy = generate_anatomy(np.random.default_rng(seed))
        heights = [(tissue_beside(anatomy, 25, ahead) != MARROW).sum() for ahead in (5.0, 24.0)]
        ratios.append(heights[1] / heights[0])
    assert 1.6 < np.median(ratios) < 2.6


def slopes(count):
    """Return the sacral slopes of subjects in degrees: the angle of the upper end plate of S1 to the horizontal."""
    spines = [draw_spine(np.random.default_rng(seed)) for seed in range(count)]
    return np.degrees([np.arctan2(*spine.lower[25][::-1]) for spine in spines])


def test_the_sacrum_lies_level_to_steep():
    found = slopes(300)
    assert found.min() > -10 and 62 < found.max() < 80
    assert 0.1 < (found > 50).mean() < 0.35 and 25 < np.median(found) < 45


def test_the_cervical_spine_bends_both_ways():
    # The bend between the discs C2-C3 and C7-T1, positive in a lordosis.
    spines = [draw_spine(np.random.default_rng(seed)) for seed in range(100)]
    bends = np.array([np.degrees(np.subtract(*(np.arctan2(*s.tangent[k][::-1]) for k in (7, 3)))) for s in spines])
    assert (bends > 15).mean() > 0.15 and (bends < -5).mean() > 0.1 and np.abs(bends).max() < 60


def test_a_slipped_vertebra_is_displaced_by_the_share_of_the_end_plate_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(degeneration, "SLIP_SHARE", 1.0)
    for seed in range(30):
        spine = draw_spine(np.random.default_rng(seed))
        (index,) = np.flatnonzero(spine.slip)
        assert 22 <= index <= 25 and 0.08 <= spine.state.slip[index] <= 0.7
        assert abs(spine.slip[index] - spine.state.slip[index] * spine.depth[index]) < 1e-9
        with monkeypatch.context() as patch:  # the same spine, with the vertebra in its place
            patch.setattr(
                degeneration.Degeneration, "slip", property(lambda _: np.zeros(34), lambda *_: None), raising=False
            )
            straight = draw_spine(np.random.default_rng(seed))
        ahead = [(s.tips[index - 1] - s.tips[index + 1]) @ front_of(s.tangent[index]) for s in (spine, straight)]
        assert abs(ahead[0] - ahead[1] - spine.slip[index]) < 1e-9


def test_fused_bodies_have_no_disc_between_them(monkeypatch):
    monkeypatch.setattr(degeneration, "FUSED_SHARE", 1.0)
    remnants = 0
    for seed in range(20):
        index = np.flatnonzero(draw_spine(np.random.default_rng(seed)).state.fused)[0]
        anatomy = generate_anatomy(np.random.default_rng(seed))
        tissues = tissue_beside(anatomy, index, 5.0, 4.0)
        assert NUCLEUS not in tissues
        remnants += (tissues != MARROW).mean() > 0.3
    assert remnants <= 10  # a line at most is left, where nothing else was drawn over it


def test_a_collapsed_disc_l5_s1_is_a_line(monkeypatch):
    monkeypatch.setattr(degeneration, "COLLAPSE_SHARE", 1.0)
    for seed in range(10):
        spine = draw_spine(np.random.default_rng(seed))
        assert spine.state.worn[25] and 0.6 <= spine.state.lost[25] <= 0.9
        assert spine.height[25] < 0.5 * 10 * spine.size
        # L5 lies lower by half the height that is lost, and S1 higher by the other half.
        assert np.linalg.norm(spine.tips[26] - spine.tips[25]) < 1.12 * 29 * spine.size * (1 - 0.3 * 10 / 29)


@pytest.mark.parametrize(("lumbar", "lowest", "remnant"), [(4, 24, 0.2), (5, 25, 0.2), (6, 26, 0.2), (5, 25, 1.0)])
def test_the_lowest_mobile_disc_is_l5_s1_however_many_lumbar_vertebrae_there_are(lumbar, lowest, remnant):
    anatomy = generate_anatomy(np.random.default_rng(1), lumbar=lumbar, remnant=remnant)
    assert anatomy.points.shape == (27, 2) and anatomy.discs.shape == (lowest + 1, 2)
    np.testing.assert_array_equal(anatomy.points[25], anatomy.discs[-1])
    np.testing.assert_array_equal(anatomy.points[24], anatomy.discs[-2])
    np.testing.assert_array_equal(anatomy.points[1:20], anatomy.discs[1:20])  # counted from C2
    # A disc too many, between 19 and 20, or one that is both.
    between = np.linalg.norm(anatomy.points[20] - anatomy.points[19])
    typical = 32.0 * np.mean(np.linalg.norm(np.diff(anatomy.points[10:19], axis=0), axis=1)) / 25.25
    assert abs(between - (lumbar - 4) * typical) < 0.15 * typical


def test_a_lumbarised_s1_has_a_disc_below_it(healthy):
    heights = []
    for remnant in (0.2, 1.0):
        spine = draw_spine(np.random.default_rng(3), remnant=remnant)
        heights.append((spine.height[26] / spine.size, spine.depth[26]))
    assert 1.6 < heights[0][0] < 2.4 and 8 < heights[1][0] < 12
    assert heights[1][1] > 1.2 * heights[0][1]  # deeper


@pytest.mark.parametrize("seed", range(8))
def test_the_cord_runs_through_the_foramen_magnum_without_a_gap(seed):
    anatomy = generate_anatomy(np.random.default_rng(seed))
    top, bottom = anatomy.points[1, 0] - 20, anatomy.points[4, 0]
    for row in np.arange(top, bottom, PIXEL_MM):
        column = np.interp(row, anatomy.points[1:5, 0], anatomy.points[1:5, 1])
        behind = anatomy.maps[CORD_MAP, round(row / PIXEL_MM), int(column / PIXEL_MM) :][: int(24 / PIXEL_MM)]
        assert 3 < np.isin(behind, (CORD, NUCLEUS)).sum() * PIXEL_MM < 24, row - anatomy.points[1, 0]


def test_the_cord_ends_near_l1_l2():
    ends = []
    for seed in range(12):
        anatomy = generate_anatomy(np.random.default_rng(seed))
        rows = np.flatnonzero((anatomy.maps[CORD_MAP] == CORD).any(1)) * PIXEL_MM
        ends.append(np.interp(rows.max(), anatomy.points[1:26, 0], np.arange(1, 26)))
    assert 20 < np.mean(ends) < 22 and np.ptp(ends) > 0.3


def test_labels_lie_where_the_anatomy_has_its_discs():
    anatomy = generate_anatomy(np.random.default_rng(2))
    anatomy.shift[:] = 7.0
    field = (anatomy.points[20, 0] - 20, anatomy.points[25, 0] + 40)
    volume = generate_volume(np.random.default_rng(0), anatomy, "T2w", field, (1.0, 0.8, 0.8))
    assert volume.levels.tolist() == [20, 21, 22, 23, 24, 25]
    # Distances between voxels in mm are those between points of the anatomy, to the rounding of two voxels.
    steps = np.diff(volume.voxels, axis=0) * [1.0, 0.8, 0.8]
    within = np.diff(anatomy.points[20:26], axis=0)
    assert np.abs(steps[:, 2] + within[:, 0]).max() <= 0.8  # head-foot runs upward
    assert np.abs(steps[:, 1] + within[:, 1]).max() <= 0.8  # front-back runs forward
    assert (steps[:, 0] == 0).all()


def test_discs_that_a_curved_spine_has_outside_of_the_volume_are_not_labelled():
    anatomy = generate_anatomy(np.random.default_rng(2))
    below = (anatomy.points[23, 0] + anatomy.points[24, 0]) / 2
    # A volume reaches 22 to 30 mm to either side.
    anatomy.shift[:] = np.where(np.arange(len(anatomy.shift)) * PIXEL_MM < below, 7.0, 40.0)
    field = (anatomy.points[20, 0] - 20, anatomy.points[25, 0] + 40)
    volume = generate_volume(np.random.default_rng(0), anatomy, "T2w", field, (1.0, 0.8, 0.8), off_centre=0.0)
    assert volume.levels.tolist() == [20, 21, 22, 23]
    middle = (volume.data.shape[0] - 1) / 2
    assert np.abs(volume.voxels[:, 0] - middle - 7).max() <= 1  # the voxels are centred to one of them


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
        levels = read_discs(scan.label).levels
        assert len(levels) == np.count_nonzero(labels.dataobj) >= 5
    with pytest.raises(UserError, match="is not empty"):
        make_phantom.main(["--subjects", "1", "--out", str(tmp_path / "a")])
    (tmp_path / "a" / "dataset_description.json").unlink()  # which is written last
    with pytest.raises(UserError, match="holds what an interrupted run left: remove it, or give a new folder"):
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
    world = read_discs(tmp_path / "a.nii.gz").world
    np.testing.assert_allclose(world, nibabel.affines.apply_affine(volume.affine, volume.voxels), atol=1e-3)
