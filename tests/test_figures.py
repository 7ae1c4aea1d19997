"""Figures: names never overlap, files are whole and small enough."""

import numpy as np
import pytest
from PIL import Image

from utils.charts import confusion_matrix, curves, reliability_diagram
from utils.discs import LEVELS
from utils.figures import attention_rows, colour, convergence, prediction_picture, spread
from utils.labeller import Prediction


@pytest.mark.parametrize("seed", range(5))
def test_names_keep_their_distance_and_their_order(seed):
    places = np.sort(np.random.default_rng(seed).uniform(0, 100, 20))
    moved = spread(places, 6.0)
    assert (np.diff(moved) >= 6.0 - 1e-9).all()


def test_names_with_room_stay_and_two_that_clash_share_the_way():
    np.testing.assert_allclose(spread([0.0, 10.0, 20.0], 5.0), [0, 10, 20])
    np.testing.assert_allclose(spread([0.0, 10.0, 12.0], 6.0), [0, 8, 14])
    assert len(spread([], 5.0)) == 0


def test_one_colour_a_region():
    assert len({colour(level) for level in LEVELS}) == 4


def test_the_animation_is_small_and_ends_with_the_last_epoch(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.random((200, 150)) for _ in range(4)]
    frames = [(epoch, np.nan if epoch < 3 else 2.0, [rng.random((50, 38)) for _ in images]) for epoch in range(1, 101)]
    convergence(frames, images, tmp_path / "a.gif", most=20)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 20
    assert (tmp_path / "a.gif").stat().st_size < 5e6


def test_every_figure_can_be_drawn_with_nothing_found(tmp_path):
    none = np.zeros(0)
    nothing = Prediction(
        np.zeros(0, int), np.zeros((0, 2)), none, none, none, none, np.nan, np.zeros((2, 25, 20)), None, 0
    )
    prediction_picture(np.zeros((100, 80)), nothing, 1.0, tmp_path / "a.png", "none found")
    attention_rows([("flat", np.zeros((100, 80)), np.full((25, 20), 0.5), 1.0)], tmp_path / "b.png")
    confusion_matrix(np.zeros((3, 4), int), [3, 4, 5], tmp_path / "c.png")
    line = {"epoch": 1, "loss": 1.0, "val_loss": 1.0, "identified": 0.0, "dtt_mean": float("nan")}
    curves([line], tmp_path / "d.png")
    reliability_diagram([], tmp_path / "e.png")
    assert all((tmp_path / f"{letter}.png").stat().st_size > 1000 for letter in "abcde")
    assert not list(tmp_path.glob(".part-*"))
