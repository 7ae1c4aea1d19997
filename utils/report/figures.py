"""Slices with their discs: previews, overlays, attention and the animation. One style for all.

Discs are drawn on their points, with their names in a margin on the posterior side, so that no letter covers
anatomy; the colour is that of the region of the spine, from a palette that colour-blind people can tell apart (Okabe
and Ito 2008).
"""

import io
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["text.parse_math"] = False  # a name with dollars in it is no formula
warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in another script is drawn as boxes

import matplotlib.patheffects as effects  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from utils.discs import name  # noqa: E402
from utils.report.markers import BARS_MM, INK, PAPER, colour, drawable, spread, standing_out  # noqa: E402
from utils.system.files import replace_file  # noqa: E402

TRUTH = "#FFFFFF"
OUTLINE = [effects.withStroke(linewidth=1.8, foreground=PAPER)]  # names stay readable on bright fat
_formats = {"pdf": False}
LETTERS = 7.5  # points, of the names of discs


def save(figure, path, dpi=110):
    """Write a figure whole, and close it; as a PDF beside the PNG too if `also_pdf` was called."""
    # Level 3 takes half the time of the default and 3 % more room; a PNG is most of what writing a scan takes.
    for file, flags in ((path, {"pil_kwargs": {"compress_level": 3}}), (path.with_suffix(".pdf"), {})):
        if file == path or _formats["pdf"]:
            with replace_file(file) as temporary:
                figure.savefig(temporary, dpi=dpi, facecolor=figure.get_facecolor(), **flags)
    plt.close(figure)


def also_pdf(wanted=True):
    """Let `save` write a vector PDF beside each PNG, for print."""
    _formats["pdf"] = wanted


def dark_panels(rows, columns, size, title=None, broad=1.0):
    """Return a figure and its axes (rows, columns) for slices, on a dark ground, without ticks.

    Each is ``size`` inches high, and ``broad`` times as wide.
    """
    shape = (size * broad * columns, size * rows + (0.45 if title else 0.1))
    figure, axes = plt.subplots(rows, columns, figsize=shape, squeeze=False, layout="constrained")
    figure.set_facecolor(PAPER)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    for axis in axes.flat:
        axis.set_axis_off()
    if title:
        figure.suptitle(drawable(title), color=INK, fontsize=11)
    return figure, axes


def show_slice(axis, image, spacing, title=None):
    """Show a slice (H, W) in 0..1 with a scale bar in mm and marks of front and back."""
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    axis.set_axis_off()
    frame(axis, image.shape, spacing, title)


def frame(axis, shape, spacing, title=None):
    """Draw scale bar, A and P on whatever is shown of a slice (H, W), and keep to its edges."""
    height, width = shape
    millimetres = next((bar for bar in BARS_MM if bar / spacing < 0.6 * width), BARS_MM[-1])
    left, bottom, style = 0.03 * height, 0.965 * height, {"color": INK, "path_effects": OUTLINE}
    axis.plot([left, left + millimetres / spacing], [bottom, bottom], color=INK, lw=2, solid_capstyle="butt")
    axis.text(left, bottom - 0.015 * height, f"{millimetres} mm", fontsize=6.5, va="bottom", **style)
    for text, column, align in (("A", 0.02 * height, "left"), ("P", width - 1 - 0.02 * height, "right")):
        axis.text(column, 0.5 * height, text, color=INK, fontsize=7.5, va="center", ha=align, path_effects=OUTLINE)
    if title:
        axis.set_title(drawable(title), color=INK, fontsize=8, pad=3, loc="left")
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)


def overlay(axis, points, levels, shape, notes=None, fill=True):
    """Draw discs on a slice that is shown already, with their names in a margin on the posterior side.

    Parameters
    ----------
    axis : matplotlib axes
        Grows by the margin.
    points : (N, 2) array
        Row and column in pixels, from top to bottom.
    levels : (N,) int array
    shape : (H, W)
        Of the slice.
    notes : list of str, optional
        Written behind each name.
    fill : bool
        Filled marks, or rings.
    """
    height, width = shape
    points = np.reshape(points, (-1, 2))
    order = np.argsort(points[:, 0]) if len(points) else []
    margin = width + 0.03 * height
    right = margin + (0.3 if notes else 0.16) * height
    gap = 1.25 * LETTERS / (72 * inches_a_pixel(axis, (height, right)))
    rows = spread(points[order, 0], gap, (0, height - 1)) if len(points) else []
    for row, index in zip(rows, order, strict=True):
        (place_row, place_col), level = points[index], int(levels[index])
        text = name(level) + (f"  {notes[index]}" if notes else "")
        ink = colour(level, dark=True)
        axis.plot([place_col, margin - 0.01 * height], [place_row, row], color=ink, lw=0.6, alpha=0.7)
        axis.plot(place_col, place_row, "o", ms=4, mec=ink, mfc=ink if fill else "none", mew=1.1)
        axis.text(margin, row, text, color=ink, fontsize=LETTERS, va="center", ha="left")
    axis.set_xlim(-0.5, right)


def inches_a_pixel(axis, shape):
    """Return the size of a pixel of a picture (H, W) that fills axes, which are laid out only when they are drawn."""
    across, down = axis.figure.get_size_inches()
    if axis.get_subplotspec():
        rows, columns = axis.get_subplotspec().get_gridspec().get_geometry()
        across, down = across / columns, down / rows - 0.25  # less a title
    else:
        across, down = across * axis.get_position().width, down * axis.get_position().height
    return min(across / shape[1], down / shape[0])


def preview(samples, path, title):
    """Draw prepared slices with discs, names and heatmaps.

    Parameters
    ----------
    samples : list of (Sample, heatmaps (C, H / 4, W / 4))
    path : path-like
    title : str
    """
    columns = min(4, len(samples))
    figure, axes = dark_panels(-(-len(samples) // columns), columns, 3.6, title, broad=1.1)
    for axis, (sample, heatmaps) in zip(axes.flat, samples, strict=False):
        show_slice(axis, sample.image, sample.spacing, sample.name)
        glow(axis, heatmaps.max(0), sample.image.shape)
        overlay(axis, sample.points, sample.levels, sample.image.shape)
    save(figure, path)


def glow(axis, heatmap, shape, cmap="inferno", strength=0.75):
    """Lay a map (h, w) in 0..1 over a slice (H, W) that is shown already: the higher, the less see-through."""
    rows, columns = heatmap.shape
    extent = (-0.5, 4 * columns - 0.5, 4 * rows - 0.5, -0.5)
    value = np.sqrt(np.clip(heatmap, 0, 1).astype(float))  # narrow peaks stay visible
    axis.imshow(value, cmap=cmap, vmin=0, vmax=1, alpha=strength * value, extent=extent, interpolation="bilinear")
    axis.set_xlim(-0.5, shape[1] - 0.5)
    axis.set_ylim(shape[0] - 0.5, -0.5)


def truth_and_prediction(axis, case, image, spacing, rows, title):
    """Draw true discs (white crosses) and predicted ones with their error in mm, on a slice (H, W).

    Where a true disc was not identified, its name stands in white on the anterior side: without it, labels that are
    shifted by one level appear right.
    """
    show_slice(axis, image, spacing, title)
    true = case.true_points / spacing
    axis.plot(true[:, 1], true[:, 0], "+", color=TRUTH, ms=6, mew=0.9)
    lost = {row.level for row in rows if row.outcome in ("missed", "far")}
    for level, (row, column) in zip(case.true_levels, true, strict=True):
        if level in lost:
            style = {"color": TRUTH, "fontsize": 7, "va": "center", "ha": "right", "path_effects": OUTLINE}
            axis.text(column - 0.03 * image.shape[0], row, name(int(level)), **style)
    error = {row.level: row.error for row in rows}
    notes = [f"{error[level]:.1f} mm" if np.isfinite(error.get(level, np.nan)) else "" for level in case.levels]
    overlay(axis, case.points / spacing, case.levels, image.shape, notes, fill=False)


def attention_rows(panels, path):
    """Draw slice, attention map and what stands out of it on the slice, in a row; two scans side by side.

    Parameters
    ----------
    panels : list of (name, image (H, W), attention (h, w), spacing)
    path : path-like
    """
    across = min(2, len(panels))
    figure, axes = dark_panels(-(-len(panels) // across), 3 * across, 2.7, "what the attention lets through")
    for place, (title, image, attention, spacing) in enumerate(panels):
        left, middle, right = axes[place // across, 3 * (place % across) :][:3]
        show_slice(left, image, spacing, title)
        rows, columns = attention.shape
        extent = (-0.5, 4 * columns - 0.5, 4 * rows - 0.5, -0.5)
        middle.imshow(attention, cmap="magma", interpolation="bilinear", extent=extent)
        frame(middle, image.shape, spacing, f"attention, {attention.min():.2f} to {attention.max():.2f}")
        show_slice(right, image, spacing, "where it is above its median")
        glow(right, standing_out(attention), image.shape, "inferno", 1.0)
    save(figure, path)


def convergence(frames, images, path, spacing, most=60, limit=4_900_000):
    """Write the animation of the heatmaps on the same validation slices, epoch after epoch.

    Parameters
    ----------
    frames : list of (epoch, error in mm or NaN, list of heatmaps (h, w) in 0..1, one per image)
    images : list of (H, W) arrays in 0..1
    path : path-like
        A GIF.
    spacing : float
        Of a pixel in mm, for the scale bar.
    most : int
        Frames at the most; spread evenly over a longer training, with its last epoch.
    limit : int
        Bytes of the file; every second frame is left out until it is smaller.
    """
    chosen = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int))]
    pictures = []
    for epoch, error, maps in chosen:
        figure, axes = dark_panels(1, len(images), 2.8, " ", broad=0.85)
        for axis, image, heatmap in zip(axes.flat, images, maps, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            glow(axis, heatmap, image.shape, "autumn", 1.0)
            frame(axis, image.shape, spacing)
        score = f"mean error {error:.1f} mm" if np.isfinite(error) else "no disc identified yet"
        figure.suptitle(f"epoch {epoch}    {score}", color=INK, fontsize=12)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=80, facecolor=PAPER)
        plt.close(figure)
        pictures.append(
            Image.open(buffer).convert("RGB").quantize(200, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        )
    with replace_file(path) as temporary:
        while True:
            times = [160] * (len(pictures) - 1) + [2500]
            options = {"save_all": True, "append_images": pictures[1:], "duration": times, "loop": 0, "optimize": True}
            pictures[0].save(temporary, **options)
            if len(pictures) == 1 or Path(temporary).stat().st_size <= limit:
                break
            pictures = pictures[::-2][::-1]  # the last one stays
