"""Sagittal slabs side by side: where they lie, what a disc is in each, and the curve through them."""

import nibabel
import numpy as np
import pytest
import torch
from builders import lumbar

from models import build_model
from utils.inference.labeller import Labeller
from utils.inference.lateral import lateral_positions
from utils.scans.nifti import Scan
from utils.scans.sagittal import sagittal, slab_offsets
from utils.scans.sample import OUTSIDE, PRESENT, UNKNOWN


@pytest.mark.parametrize(
    ("voxels", "width", "expected"),
    # Slabs of 6 mm have to lie within the volume, and as many as reach 30 mm on either side: of 4.4 mm these are seven.
    # They are made of whole slices: of 5 of 4 mm two make a slab, and the middle one lies 2 mm beside.
    [
        (192, 1.0, range(-30, 31, 6)),
        (1, 4.0, [0]),
        (5, 4.0, [-6, 2]),
        (15, 5.0, range(-30, 31, 5)),
        (3, 1.0, [0]),
        (17, 4.4, 4.4 * np.arange(-7, 8)),
        (192, 0.9, 6.3 * np.arange(-5, 6) + 0.45),
        (80, 4.0, range(-32, 33, 8)),
    ],  # fmt: skip
)
@pytest.mark.parametrize("side", [1, -1])
def test_slabs_lie_within_the_volume(voxels, width, expected, side):
    scan = Scan(np.zeros((voxels, 20, 30), np.float32), np.diag([side * width, 1, 1, 1.0]))
    np.testing.assert_allclose(slab_offsets(scan), np.sort(side * np.array(expected)))


@pytest.mark.parametrize("codes", ["RAS", "LPI", "ASL"])
@pytest.mark.parametrize(("count", "width"), [(61, 1.0), (15, 5.0), (11, 5.5), (16, 4.0), (7, 9.0), (2, 3.3)])
def test_each_slab_shows_its_own_part_of_the_volume(codes, count, width):
    # The value of a voxel is its distance to the right of the middle, in mm.
    right = np.broadcast_to(width * (np.arange(count) - (count - 1) / 2)[:, None, None], (count, 20, 30))
    image = nibabel.Nifti1Image(right.astype(np.float32), np.diag([width, 1, 1, 1]))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    image = image.as_reoriented(turn)
    scan = Scan(np.asarray(image.dataobj), image.affine)
    slabs, plane = sagittal(scan, 1.0, offsets=slab_offsets(scan))
    np.testing.assert_allclose(slabs[:, 15, 10], slab_offsets(scan), atol=1e-4)
    # No slice is left out between them, or shown twice.
    np.testing.assert_allclose(np.diff(slab_offsets(scan)), min(max(1, round(6 / width)), count) * width)
    assert np.abs(slab_offsets(scan)).min() <= 0.5 * width + 1e-9
    np.testing.assert_allclose(plane.to_world([[3, 4]], 12.0)[0, 0] - plane.to_world([[3, 4]])[0, 0], 12.0)


def test_slices_that_an_affine_lets_slide_along_each_other_are_put_back():
    # A line from left to right through the patient, in an affine that moves each slice 0.3 mm back and 0.2 mm down.
    affine = np.diag([2.0, 1, 1, 1])
    affine[:3, 0] = 2.0, -0.3, -0.2
    scan = Scan(np.zeros((33, 60, 80), np.float32), affine)
    line = scan.to_voxel([[2.0 * index, 20, 30] for index in range(33)])
    near = np.round(line).astype(int)
    scan.data[tuple(near.T)] = 1
    slabs, plane = sagittal(scan, 1.0, offsets=slab_offsets(scan))
    brightest = [np.unravel_index(slab.argmax(), slab.shape) for slab in slabs]
    world = plane.to_world(brightest, slab_offsets(scan))
    assert len(slabs) == 11
    np.testing.assert_allclose(world[:, 1:], np.broadcast_to([20, 30], (11, 2)), atol=1.0)
    # A slab beside the middle has its pixels at the same places of the sagittal plane.
    beside, other = sagittal(scan, 1.0, through=world[:1])
    assert np.unravel_index(beside[0].argmax(), beside[0].shape) == brightest[0]
    np.testing.assert_allclose(other.origin[1:], plane.origin[1:], atol=1e-9)


def test_a_disc_is_present_in_the_slabs_near_it_alone():
    sample = lumbar()
    sample.across = np.array([0.0, 4.0, 8.0, 13.0, 20.0])
    sample.slabs, sample.offsets = np.zeros((2, 240, 120), np.float16), np.array([0.0, 18.0])
    here, beside = sample.in_slab(0), sample.in_slab(1)
    assert here.states[21:26].tolist() == [PRESENT, PRESENT, UNKNOWN, UNKNOWN, OUTSIDE]
    assert here.levels.tolist() == [21, 22]
    assert beside.states[21:26].tolist() == [OUTSIDE, UNKNOWN, UNKNOWN, PRESENT, PRESENT]
    np.testing.assert_array_equal(beside.points, sample.points[3:])
    plane = sample.in_plane()  # at 0, as the first slab
    assert plane.levels.tolist() == [21, 22] and plane.states.tolist() == here.states.tolist()
    np.testing.assert_array_equal(plane.image, sample.image)


def test_the_curve_follows_a_scoliosis_and_not_a_slip():
    rows = 25.0 * np.arange(12)
    truth = 10 * np.sin(np.pi * rows / 400)
    offsets = np.arange(-30.0, 31, 6)
    evidence = np.exp(-0.5 * ((truth[:, None] - offsets) / 6) ** 2)
    np.testing.assert_allclose(lateral_positions(evidence, offsets, rows), truth, atol=0.8)
    # One disc with weak evidence in the wrong slab is pulled back to the curve.
    evidence[6] = 0.1 * (offsets == -30)
    found = lateral_positions(evidence, offsets, rows)
    assert abs(found[6] - truth[6]) < 3
    # In any order, and many in one place, as without a search.
    np.testing.assert_allclose(lateral_positions(evidence[::-1], offsets, rows[::-1])[::-1], found)
    together = lateral_positions(np.zeros((12, 11)), offsets, np.full(12, 50.0))
    assert (np.abs(together) <= 30).all()


def test_any_number_of_discs_has_a_position():
    offsets = np.array([-6.0, 0, 6])
    assert lateral_positions(np.zeros((0, 3)), offsets, []).shape == (0,)
    np.testing.assert_allclose(lateral_positions([[0, 0, 0.5]], offsets, [10]), [6], atol=1e-3)
    # Two discs lie on a line of their own: the mean, by evidence.
    np.testing.assert_allclose(lateral_positions([[0, 0, 0.5], [0, 1, 0]], offsets, [10, 40]), [2, 2], atol=1e-3)
    assert np.isfinite(lateral_positions(np.zeros((4, 3)), offsets, [1, 2, 3, 4])).all()


@pytest.mark.parametrize("name", ["hourglass_attention", "unet"])
def test_large_scans_are_looked_at_in_several_passes_with_the_same_result(name, monkeypatch):
    model = {"name": name, "levels": 2, "stacks": 1, "blocks": 1, "features": 8, "in_channels": 1}
    torch.manual_seed(0)
    state = {"model": model, "state_dict": build_model(**model).state_dict(), "levels": [24, 25], "resolution": 1.0,
             "output": "logits", "prior": None, "args": {"amp": False}}  # fmt: skip
    labeller = Labeller(state, "nowhere", torch.device("cpu"))
    slabs = np.random.default_rng(0).random((5, 100, 70)).astype(np.float32)
    whole = labeller.heatmaps(slabs)
    monkeypatch.setattr("utils.inference.labeller.MOST_PIXELS", 2 * 128 * 128)
    for one, other in zip(whole, labeller.heatmaps(slabs), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, atol=1e-5)
