"""Test-time augmentation: views that map back, and a mean over passes and views that is worked out by hand."""

import numpy as np
import pytest
import torch

from utils.inference.heatmaps import candidates, render
from utils.inference.labeller import load_labeller
from utils.inference.level_confidence import LevelCalibration
from utils.inference.shipped import SHIPPED
from utils.inference.test_time_augmentation import SCALE, carry_back, views


def test_views_are_inverted_darker_and_smaller():
    slab = np.full((120, 90), 0.25, np.float32)
    slab[60, 40], slab[:, :10] = 1.0, 0.0
    inverted, darker, smaller = views(slab)
    assert inverted[60, 40] == 0.0 and inverted[5, 5] == 0.0  # what is empty stays empty
    assert inverted[0, 50] == pytest.approx(0.75**0.8) and darker[0, 50] == pytest.approx(0.25**1.6)
    assert smaller.shape == (104, 78)  # 120 and 90 times 0.87
    place = (np.array(np.unravel_index(smaller.argmax(), smaller.shape)) + 0.5) / [104 / 120, 78 / 90]
    assert np.abs(place - [60.5, 40.5]).max() < 0.7 / SCALE


@pytest.mark.parametrize("shape", [(240, 120), (233, 119), (7, 5)])
def test_the_heatmap_of_a_smaller_view_has_its_maximum_on_the_same_point(shape):
    point = np.array([0.8, 0.3]) * shape
    seen = views(np.zeros(shape, np.float32))[2].shape
    there = (point + 0.5) * np.divide(seen, shape) - 0.5
    heatmaps = carry_back(render([there], [0], 2, seen, 8.0, 1.0), seen, shape)
    assert heatmaps.shape == (2, -(-shape[0] // 4), -(-shape[1] // 4)) and not heatmaps[1].any()
    if min(shape) > 100:  # in a few cells there is no maximum but at the border
        assert np.abs(candidates(heatmaps)[0][0][0] - point).max() < 0.2
        assert heatmaps[0].max() == pytest.approx(1, abs=0.03)


def test_views_of_the_same_size_are_taken_as_they_are():
    heatmaps = np.random.default_rng(0).random((2, 5, 4), np.float32)
    assert carry_back(heatmaps, (20, 16), (20, 16)) is heatmaps


@pytest.mark.parametrize("evidence", [(0.8, 0.1, 0.2, 0.3), (0.8, 0.6, 0.1, 0.2, 0.3)])
def test_passes_and_views_of_a_slab_all_count_the_same(evidence, monkeypatch):
    """L2-L3 and L3-L4 at the same places in each of one or two passes and three views, with the evidence given."""
    labeller = load_labeller(SHIPPED, torch.device("cpu"))
    labeller.passes, labeller.level_calibration = len(evidence) - 3, LevelCalibration()
    points, channels = np.array([[41.5, 61.5], [77.5, 61.5]]), [labeller.channels.index(level) for level in (22, 23)]
    left = iter(evidence)

    def answer(slabs):
        scale = len(slabs[0]) / 128
        there = (points + 0.5) * scale - 0.5
        drawn = render(there, channels, len(labeller.channels), slabs.shape[1:], 6.0 * scale, 1.0)
        return next(left) * drawn[None], None

    monkeypatch.setattr(labeller, "heatmaps", answer)
    found = labeller.label(np.full((1, 128, 128), 0.5, np.float32))
    assert found.levels.tolist() == [22, 23] and next(left, None) is None
    assert found.evidence == pytest.approx([np.mean(evidence)] * 2, abs=0.002)  # the points are centres of cells
    np.testing.assert_allclose(found.points, points, atol=0.1)
