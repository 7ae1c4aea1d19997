"""The second pass over a scan: what it shows, and that both passes count."""

from dataclasses import replace

import numpy as np
import torch

from models import build_model
from utils.discs import LEVELS
from utils.inference.labeller import Labeller
from utils.inference.second_pass import mask_to_spine


def test_what_lies_before_and_behind_the_spine_is_black_between_its_discs():
    slabs = np.ones((2, 200, 120))
    points = np.array([[50.0, 60.0], [90.0, 70.0]])  # from one to the other the tips run ten columns back
    shown = mask_to_spine(slabs, points, spacing=2.0)
    assert shown.dtype == np.float32 and shown.shape == slabs.shape
    # 48 mm before the tips and 26 mm behind them are 24 and 13 pixels; at row 70 they are at column 65.
    assert np.flatnonzero(shown[1, 50]).tolist() == list(range(37, 73))
    assert np.flatnonzero(shown[0, 70]).tolist() == list(range(42, 78))
    # 10 mm above the first and below the last all is shown again.
    assert (shown[:, :45] == 1).all() and (shown[:, 96:] == 1).all()
    assert set(shown[:, 45:96].sum(2).ravel()) == {36.0, 37.0}  # 37 where the tips lie between two columns


def test_both_passes_count_half(monkeypatch):
    checkpoint = {"levels": list(LEVELS), "resolution": 1.0, "prior": None, "output": "logits", "passes": 2}
    labeller = Labeller(checkpoint, "none", torch.device("cpu"), build_model("hourglass", 24, stacks=1, features=16))
    first, second = (np.full((1, 24, 60, 40), 1e-3, np.float32) for _ in range(2))
    for level, row in ((22, 20), (23, 29), (24, 38)):
        first[0, level - 2, row, 20] = 0.8
        second[0, level - 2, row, 20] = 0.4
    asked = []

    def heatmaps(slabs):
        asked.append(slabs)
        return (first if len(asked) == 1 else second), None

    monkeypatch.setattr(labeller, "heatmaps", heatmaps)
    found = labeller.label(np.ones((1, 240, 160), np.float32))
    assert found.levels.tolist() == [22, 23, 24]
    np.testing.assert_allclose(found.heatmaps[22 - 2 : 25 - 2].max((1, 2)), 0.6, atol=1e-6)
    # The second time the front was black at the discs, and the whole width above them was not.
    assert len(asked) == 2 and asked[0].all()
    assert asked[1][0, 116, 10] == 0 and asked[1][0, 116, 60] == 1 and asked[1][0, 10].all()
    # Without the search the strongest place of each level is all there is: no second pass, and nothing is left out.
    labeller.searching, labeller.calibration = False, replace(labeller.calibration, threshold=0.95)
    asked.clear()
    alone = labeller.label(np.ones((1, 240, 160), np.float32))
    assert len(asked) == 1 and alone.levels.tolist() == [22, 23, 24]
    np.testing.assert_allclose(alone.confidence, 0.8, atol=1e-6)
    labeller.searching = True
    labeller.passes, labeller.calibration = 1, replace(labeller.calibration, threshold=0.0)
    asked.clear()
    labeller.label(np.ones((1, 240, 160), np.float32))
    assert len(asked) == 1


def test_every_channel_except_that_of_the_sacrum_is_reported():
    checkpoint = {"resolution": 1.0, "prior": None, "output": "logits"}
    network = build_model("hourglass", 26, stacks=1, features=16)
    labeller = Labeller({**checkpoint, "levels": list(range(1, 27))}, "none", torch.device("cpu"), network)
    assert labeller.levels == tuple(range(1, 26))
