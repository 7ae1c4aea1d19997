"""Augmentation: one map moves image and points alike."""

import numpy as np
import pytest
from scipy import ndimage

from utils.training.augment import crop_map, sample_map, sample_window


def dot(shape, place):
    """Return an image with a smooth bright dot on a point."""
    rows, columns = np.indices(shape)
    return np.exp(-((rows - place[0]) ** 2 + (columns - place[1]) ** 2) / (2 * 3.0**2)).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
def test_a_bright_dot_stays_on_its_point(seed):
    rng = np.random.default_rng(seed)
    place = rng.uniform([60, 40], [200, 130])
    moving = sample_map(rng, (260, 170), place[None], (256, 256))
    image = moving.image(dot((260, 170), place))
    (row, column) = moving.points(place[None])[0]
    if not (15 < row < 240 and 15 < column < 240):
        pytest.skip("the dot left the image")
    centre = np.array(ndimage.center_of_mass(np.where(image > 0.05, image, 0) ** 2))
    # A local zoom of the elastic field shifts the centre of mass of a wide dot a little, so its top is compared.
    top = np.array(ndimage.center_of_mass(np.where(image > 0.9 * image.max(), image, 0)))
    assert np.abs(centre - [row, column]).max() < 0.35
    assert np.abs(top - [row, column]).max() < 0.5
    peak = np.unravel_index(image.argmax(), image.shape)
    fit = [_vertex(image, peak, axis) for axis in (0, 1)]
    assert np.abs(np.array(fit) - [row, column]).max() < 0.1


def _vertex(image, peak, axis):
    """Return where a parabola through the logarithm of the peak and its neighbours has its vertex."""
    step = np.eye(2, dtype=int)[axis]
    before, at, after = (np.log(image[tuple(np.array(peak) + k * step)]) for k in (-2, 0, 2))
    return peak[axis] + (before - after) / (before - 2 * at + after)


def test_rotation_alone_turns_points_as_worked_out_by_hand():
    from utils.training.augment import Map

    quarter = Map(np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([10.0, 10.0]), np.array([5.0, 5.0]), None, (11, 11))
    # source = M (out - 5) + 10: the output (5, 8) is read from (10 - 3, 10 + 0).
    np.testing.assert_allclose(quarter.points([[7.0, 10.0]]), [[5.0, 8.0]])


def test_a_crop_moves_by_whole_pixels_and_does_not_blur():
    image = np.random.default_rng(0).random((100, 61)).astype(np.float32)
    cropped = crop_map(image.shape, (64, 64)).image(image)
    assert np.array_equal(cropped[:, 2:63], image[18:82]) or np.array_equal(cropped[:, 1:62], image[18:82])
    assert not cropped[:, 63].any()


def test_windows_of_a_long_spine_hold_discs_that_the_output_shows():
    points = np.stack([np.linspace(-300, 560, 24), np.full(24, 128.0)], 1)  # 6 of them within the output
    shown = points[(points[:, 0] >= 0) & (points[:, 0] < 256)]
    for seed in range(200):
        top, bottom, _, _ = sample_window(np.random.default_rng(seed), (256, 256), points)
        assert ((shown[:, 0] >= top) & (shown[:, 0] < bottom)).sum() >= 2


def test_windows_keep_some_disc_in_view():
    points = np.stack([np.linspace(20, 230, 8), np.full(8, 128.0)], 1)
    for seed in range(50):
        top, bottom, front, back = sample_window(np.random.default_rng(seed), (256, 256), points)
        assert ((points[:, 0] >= top) & (points[:, 0] < bottom)).sum() >= 2
        assert front <= 108 and back >= 148
