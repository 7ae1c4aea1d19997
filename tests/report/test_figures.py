"""Figures: names never overlap, files are whole and small enough."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from utils.discs import LEVELS
from utils.evaluation.cases import Case, Disc, compare
from utils.inference.labeller import Prediction
from utils.report.charts import confusion_matrix, curves, error_by_level, reliability_diagram
from utils.report.figures import (
    also_pdf,
    attention_rows,
    convergence,
    dark_panels,
    overlay,
    show_slice,
    truth_and_prediction,
)
from utils.report.markers import colour, spread, standing_out
from utils.report.pictures import prediction_picture


@pytest.mark.parametrize("seed", range(5))
def test_names_keep_their_distance_and_their_order(seed):
    places = np.sort(np.random.default_rng(seed).uniform(0, 100, 20))
    moved = spread(places, 6.0)
    assert (np.diff(moved) >= 6.0 - 1e-9).all()


def test_names_with_room_stay_and_two_that_clash_share_the_way():
    np.testing.assert_allclose(spread([0.0, 10.0, 20.0], 5.0), [0, 10, 20])
    np.testing.assert_allclose(spread([0.0, 10.0, 12.0], 6.0), [0, 8, 14])
    assert len(spread([], 5.0)) == 0


def test_names_stay_within_the_slice():
    np.testing.assert_allclose(spread([1.0, 2.0, 3.0], 6.0, (0, 100)), [0, 6, 12])
    np.testing.assert_allclose(spread([97.0, 98.0, 99.0], 6.0, (0, 99)), [87, 93, 99])


@pytest.mark.parametrize("shape", [(512, 160), (300, 300), (180, 420)])
def test_names_in_a_picture_do_not_overlap_and_cover_no_anatomy(shape):
    figure, axes = dark_panels(2, 2, 3.4, "title", broad=1.25)
    points = np.stack([np.linspace(5, shape[0] - 5, 24), np.full(24, shape[1] / 2)], -1)
    levels = np.arange(2, 26)
    show_slice(axes[0, 0], np.zeros(shape), 1.0)
    overlay(axes[0, 0], points, levels, shape, ["31.4 mm"] * 24)
    figure.canvas.draw()
    texts = [text for text in axes[0, 0].texts if "31.4" in text.get_text()]
    boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: -box.y0)
    edge = axes[0, 0].transData.transform((shape[1], 0))[0]
    assert len(boxes) == 24 and min(box.x0 for box in boxes) > edge
    if shape[0] >= shape[1]:  # a flat slice has no room for a whole spine, nor does one hold it
        assert all(above.y0 > below.y1 - 2.5 for above, below in zip(boxes[:-1], boxes[1:], strict=True))
    plt.close(figure)


@pytest.mark.parametrize(("width", "expected"), [(300, "50 mm"), (60, "20 mm"), (25, "10 mm")])
def test_every_slice_has_a_scale_bar_and_its_sides(width, expected):
    figure, axes = dark_panels(1, 1, 3.0)
    show_slice(axes[0, 0], np.zeros((200, width)), 1.0)
    assert {text.get_text() for text in axes[0, 0].texts} == {expected, "A", "P"}
    bar = axes[0, 0].lines[0].get_xdata()
    assert bar[1] - bar[0] == int(expected.split()[0])
    plt.close(figure)


def test_true_names_stand_where_discs_were_not_identified(tmp_path):
    points = np.stack([[10.0, 40, 70], [30.0] * 3], -1)
    certain, none = np.ones(3), np.zeros(3)
    case = Case("a", "a", "", "", np.array([21, 22, 23]), points, np.array([22, 23, 24]), points, certain, np.zeros(26),
                none, none)  # fmt: skip
    figure, axes = dark_panels(1, 1, 3.0)
    truth_and_prediction(axes[0, 0], case, np.zeros((100, 60)), 1.0, compare(case, list(range(2, 26))), "a")
    white = [text.get_text() for text in axes[0, 0].texts if text.get_color() == "#FFFFFF"]
    assert white == ["L1-L2", "L2-L3", "L3-L4"]
    plt.close(figure)


def test_attention_stands_out_above_its_median():
    np.testing.assert_allclose(standing_out(np.array([[0.2, 0.4, 0.9]])), [[0, 0, 1]])
    assert standing_out(np.full((3, 3), 0.5)).max() == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("error", [0.7, 30.0])
def test_errors_by_level_are_drawn_whether_small_or_large(tmp_path, error):
    row = Disc(None, 21, np.zeros(2), np.zeros(2), 0.9, error, 0.0, 0.0, "identified")
    error_by_level([row], [20, 21, 22], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_vector_pdf_is_written_beside_the_png(tmp_path):
    also_pdf()
    try:
        confusion_matrix(np.eye(3, 4, dtype=int), [3, 4, 5], tmp_path / "a.png")
    finally:
        also_pdf(False)
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"/Font" in content  # letters stay letters


def test_one_colour_a_region():
    assert len({colour(level) for level in LEVELS}) == len({colour(level, dark=True) for level in LEVELS}) == 4


def test_the_animation_is_small_and_ends_with_the_last_epoch(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.random((200, 150)) for _ in range(4)]
    frames = [(epoch, np.nan if epoch < 3 else 2.0, [rng.random((50, 38)) for _ in images]) for epoch in range(1, 101)]
    convergence(frames, images, tmp_path / "a.gif", 1.0, most=10)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 10
    assert (tmp_path / "a.gif").stat().st_size < 5e6


def test_frames_are_left_out_of_an_animation_that_would_be_too_large(tmp_path):
    rng = np.random.default_rng(0)
    frames = [(epoch, 2.0, [rng.random((25, 20))]) for epoch in range(1, 9)]
    convergence(frames, [rng.random((100, 80))], tmp_path / "whole.gif", 1.0)
    limit = (tmp_path / "whole.gif").stat().st_size // 2
    convergence(frames, [rng.random((100, 80))], tmp_path / "a.gif", 1.0, limit=limit)
    assert (tmp_path / "a.gif").stat().st_size <= limit
    with Image.open(tmp_path / "a.gif") as animation:
        assert 1 < animation.n_frames < 8


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
