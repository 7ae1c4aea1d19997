"""The picture of a labelled scan and the maps of the report, and that neither needs Matplotlib."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageColor

from utils.report.markers import INK, PAPER, colour
from utils.report.pictures import EDGE, HEIGHT, NAMES, TITLE, WIDTH, heat_map, prediction_picture


def draw(path, shape, levels=(), points=(), confidence=()):
    found = SimpleNamespace(
        levels=np.array(levels, int), points=np.reshape(points, (-1, 2)), confidence=np.array(confidence, float)
    )
    prediction_picture(np.full(shape, 0.5), found, 1.0, path, "sub-1_T2w")
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize(("shape", "scale"), [((305, 122), 2), ((122, 350), 2), ((1220, 610), 0.5)])
def test_discs_have_the_colour_of_their_region_in_the_place_where_they_are(shape, scale, tmp_path):
    levels, points = [3, 10, 22, 25], [[20, 30], [40, 60], [60, 50], [80, 40]]
    picture = draw(tmp_path / "a.png", shape, levels, points, [0.9, 0.8, 0.7, np.nan])
    width, height = round(scale * shape[1]), round(scale * shape[0])
    top, right = TITLE + (HEIGHT - height) // 2, 2 * EDGE + width
    assert width <= WIDTH and top + height <= TITLE + HEIGHT
    for level, (row, column) in zip(levels, points, strict=True):
        at = int(top + scale * (row + 0.5)), int(right + scale * (column + 0.5))
        assert np.abs(picture[at] - np.int64(ImageColor.getrgb(colour(level, dark=True)))).max() <= 2
        assert (picture[at[0], at[1] - right + EDGE] == 128).all()  # the slice beside it shows the anatomy alone


def test_a_bar_of_fifty_millimetres_is_as_long_as_that(tmp_path):
    picture = draw(tmp_path / "a.png", (305, 122))
    ink = (picture == ImageColor.getrgb(INK)).all(-1)
    assert np.bincount(ink[:, : EDGE + 244].sum(1)).nonzero()[0].max() in (100, 101)  # pixels, at a scale of 2


def test_names_lie_beside_the_slice_with_room_between_them(tmp_path):
    points, shown = np.stack([np.linspace(5, 300, 24), np.full(24, 60)], -1), []
    for n in (0, 1, 24):
        picture = draw(tmp_path / "a.png", (305, 122), range(2, 2 + n), points[:n], [1.0] * n)
        names = picture[:, 2 * (EDGE + 2 * 122) + NAMES :]
        shown.append((names != ImageColor.getrgb(PAPER)).any((1, 2)))
    assert not shown[0].any()
    assert 8 <= shown[1].sum() <= 16  # one line of letters
    assert np.count_nonzero(np.diff(shown[2].astype(int)) == 1) == 24  # as many lines, with empty rows between them


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (900, 1)])
def test_any_shape_and_any_name_can_be_drawn(shape, tmp_path):
    found = SimpleNamespace(levels=np.array([2]), points=np.zeros((1, 2)), confidence=np.ones(1))
    prediction_picture(np.ones(shape), found, 0.3, tmp_path / "a.png", "sub-\udcff_$x$_\u0416" + 200 * "a")
    assert Image.open(tmp_path / "a.png").size[1] == TITLE + HEIGHT + EDGE


def test_a_map_is_the_more_opaque_and_the_brighter_the_higher_it_is(tmp_path):
    heat_map(np.array([[0.0, 0.5, 1.0]])).save(tmp_path / "a.png")
    low, middle, high = np.asarray(Image.open(tmp_path / "a.png").convert("RGBA")).astype(int)[0]
    assert (low[3], high[3]) == (0, 220) and abs(middle[3] - 110) <= 2
    np.testing.assert_allclose(high[:3], (252, 255, 164))  # the brightest of inferno
    np.testing.assert_allclose(middle[:3], (188, 55, 84), atol=5)  # Matplotlib's inferno at 0.5


def test_predictions_and_corrections_are_written_without_matplotlib():
    code = "import sys, predict, correct; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
