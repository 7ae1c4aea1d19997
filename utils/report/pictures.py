"""The picture of a labelled scan, and the maps that the QC report lays over it: by Pillow, as one is made per scan.

Matplotlib takes ten times as long for the same, and half a second to load. Names and colours are those of the figures:
discs on their points, names in a margin on the posterior side, and a colour for each region of the spine.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.discs import name
from utils.report.markers import BARS_MM, INK, PAPER, colour, drawable, spread
from utils.system.files import replace_file

HEIGHT, WIDTH = 610, 700  # pixels of the larger of both, of a slice as it is drawn
EDGE, TITLE = 10, 40  # pixels about the slices, and above them
NAMES, CONFIDENCES = 24, 134  # where names begin and confidences end, in pixels behind the slice
FINE = 3  # marks are drawn so many times larger, and reduced: Pillow draws no smooth lines
# Matplotlib's inferno, at ten places.
INFERNO = ("000004", "1b0c42", "4b0c6b", "781c6d", "a52c60", "cf4446", "ed6925", "fb9a06", "f7d03c", "fcffa4")
OPAQUE = 220  # of 255: what lies below the highest values stays visible
COLOURS = 64  # of a map


@cache
def font(size):
    """Return the font of the figures in a size in pixels: Matplotlib brings it, and is found but not loaded."""
    folder = Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(folder / "DejaVuSans.ttf", size)


def grey(image):
    """Return an image (H, W) in 0..1 as a picture of 256 greys."""
    return Image.fromarray(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8))


def prediction_picture(image, prediction, spacing, path, title):
    """Draw one slice (H, W) beside itself with its discs, their levels and confidences; NaN is a disc set by hand.

    Parameters
    ----------
    image : (H, W) array in 0..1
    prediction : utils.inference.labeller.Prediction
        Or what else has points in pixels of the slice, levels and confidence.
    spacing : float
        Of a pixel in mm.
    path : path-like
        A PNG.
    title : str
    """
    scale = min(HEIGHT / image.shape[0], WIDTH / image.shape[1])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, right = EDGE, 2 * EDGE + size[0]
    picture = Image.new("RGB", (right + size[0] + CONFIDENCES + EDGE, TITLE + HEIGHT + EDGE), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((EDGE, TITLE / 2), drawable(title), INK, font(17), "lm")
    top = TITLE + (HEIGHT - size[1]) // 2
    shown = grey(image).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    for side in (left, right):
        picture.paste(shown, (side, top))
        frame(draw, (side, top), size, scale / spacing)
    order = np.argsort(prediction.points[:, 0])
    # A pixel's centre is at its integer index.
    places = (prediction.points[order] + 0.5) * scale + (top, right)
    levels, confidence = prediction.levels[order], prediction.confidence[order]
    margin = right + size[0] + NAMES
    rows = spread(places[:, 0], 16, (TITLE + 8, TITLE + HEIGHT - 8))
    marks(picture, places, rows, margin - 4, [colour(level, dark=True) for level in levels])
    for row, level, chance in zip(rows, levels, confidence, strict=True):
        draw.text((margin, row), name(int(level)), colour(level, dark=True), font(13), "lm")
        said = f"{100 * chance:.0f} %" if np.isfinite(chance) else "by hand"
        draw.text((right + size[0] + CONFIDENCES, row), said, INK, font(12), "rm")
    with replace_file(path) as temporary:
        picture.save(temporary, compress_level=3)  # a third of the time of the default, and little more room


def frame(draw, corner, size, pixels_per_mm):
    """Draw a scale bar and the anterior and posterior side on a slice of a size (W, H) at a corner (x, y)."""
    (x, y), (width, height) = corner, size
    outlined = {"fill": INK, "stroke_width": 1, "stroke_fill": PAPER}
    millimetres = next((bar for bar in BARS_MM if bar * pixels_per_mm < 0.6 * width), BARS_MM[-1])
    bottom = y + height - 18
    draw.line((x + 14, bottom, x + 14 + millimetres * pixels_per_mm, bottom), INK, 4)
    draw.text((x + 14, bottom - 6), f"{millimetres} mm", font=font(12), anchor="ls", **outlined)
    draw.text((x + 8, y + height / 2), "A", font=font(14), anchor="lm", **outlined)
    draw.text((x + width - 8, y + height / 2), "P", font=font(14), anchor="rm", **outlined)


def marks(picture, places, rows, end, inks):
    """Draw discs at places (N, 2) of row and column, each with a line to its name in a row that begins at ``end``."""
    if not len(places):
        return
    x = int(places[:, 1].min()) - 8
    fine = Image.new("RGBA", (FINE * (end - x), FINE * picture.height))
    draw = ImageDraw.Draw(fine)
    for (row, column), name_row, ink in zip(places, rows, inks, strict=True):
        centre = FINE * (column - x), FINE * row
        draw.line((*centre, FINE * (end - x), FINE * name_row), f"{ink}B3", FINE)
        draw.circle(centre, FINE * 5.5, ink, PAPER, FINE)
    fine = fine.reduce(FINE)
    picture.paste(fine, (x, 0), fine)


def heat_map(values):
    """Return a map (h, w) in 0..1 as a picture that is the brighter, and the more opaque, the higher it is."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in INFERNO])
    share = np.linspace(0, 1, COLOURS)
    columns = [np.interp(share, np.linspace(0, 1, len(stops)), channel) for channel in stops.T]
    palette = np.stack([*columns, OPAQUE * share], -1).round().astype(np.uint8)
    picture = Image.fromarray(np.round((COLOURS - 1) * values).astype(np.uint8), "P")
    picture.putpalette(palette.tobytes(), "RGBA")
    return picture
