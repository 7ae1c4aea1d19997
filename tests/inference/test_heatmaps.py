"""Heatmaps: values worked out by hand, and places that come back."""

import numpy as np
import pytest

from utils.inference.heatmaps import candidates, render, to_heatmap, to_pixel


def test_grids_cover_the_same_rectangle():
    # The edges of a slice of 8 pixels are at -0.5 and 7.5, those of its 2 cells at -0.5 and 1.5.
    np.testing.assert_allclose(to_heatmap([-0.5, 1.5, 7.5]), [-0.5, 0.0, 1.5])
    np.testing.assert_allclose(to_pixel(to_heatmap([0.0, 3.3, 100.0])), [0.0, 3.3, 100.0])


def test_gaussian_is_one_on_its_point_and_falls_with_sigma_in_mm():
    # Pixel (5.5, 9.5) is the cell (1, 2). With 2 mm pixels a cell is 8 mm, and sigma 16 mm is two cells.
    heatmaps = render([[5.5, 9.5]], [1], 3, (30, 42), 16.0, 2.0)
    assert heatmaps.shape == (3, 8, 11)
    assert heatmaps[1, 1, 2] == pytest.approx(1.0)
    assert heatmaps[1, 3, 2] == pytest.approx(np.exp(-0.5))
    assert heatmaps[1, 1, 4] == pytest.approx(np.exp(-0.5))
    assert not heatmaps[[0, 2]].any()


def test_a_point_at_the_corner_is_a_point_like_any_other():
    assert render([[0.0, 0.0]], [0], 1, (16, 16), 4.0, 1.0)[0, 0, 0] > 0.8
    points, _ = candidates(render([[1.5, 1.5]], [0], 1, (16, 16), 4.0, 1.0))[0]
    np.testing.assert_allclose(points, [[1.5, 1.5]])


def test_decoding_is_unbiased_to_a_tenth_of_a_millimetre():
    rng = np.random.default_rng(0)
    points = rng.uniform(20, 230, (200, 2))
    heatmaps = render(points, np.arange(200), 200, (256, 256), 4.0, 1.0)
    error = np.array([found[0][0] for found in candidates(heatmaps)]) - points
    assert np.linalg.norm(error, axis=1).mean() < 0.1
    assert np.abs(error.mean(0)).max() < 0.01


def test_maxima_come_strongest_first_and_a_plateau_gives_one():
    heatmap = np.zeros((1, 10, 10))
    heatmap[0, 2, 2], heatmap[0, 7, 7:9] = 0.5, 0.9
    points, evidence = candidates(heatmap)[0]
    np.testing.assert_allclose(evidence, [0.9, 0.5])
    np.testing.assert_allclose(to_heatmap(points[1]), [2, 2])
    assert len(candidates(heatmap, most=1)[0][0]) == 1


def test_empty_and_non_finite_heatmaps_have_no_candidates():
    assert [len(points) for points, _ in candidates(np.stack([np.zeros((8, 8)), np.full((8, 8), np.nan)]))] == [0, 0]
