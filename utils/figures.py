"""Slices with their discs: previews, overlays, attention and the animation. One style for all.

Discs are drawn on their points, with their names beside the spine, on the posterior side; the colour
tells the region of the spine, from a palette that colour-blind people can tell apart (Okabe and Ito 2008).
"""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.patheffects as effects  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from utils.discs import name, region  # noqa: E402
from utils.files import replace_file  # noqa: E402

COLOURS = {"cervical": "#56B4E9", "thoracic": "#E69F00", "lumbar": "#009E73", "sacral": "#CC79A7"}
TRUTH = "#FFFFFF"
INK, PAPER = "#E8E8E8", "#101214"
OUTLINE = [effects.withStroke(linewidth=1.8, foreground=PAPER)]  # names stay readable on bright fat
_formats = {"pdf": False}
NAME_GAP = 0.036  # of a panel's height, between names


def colour(level):
    """Return the colour of a level: that of its region."""
    return COLOURS[region(int(level))]


def save(figure, path, dpi=110):
    """Write a figure whole, and close it; as a PDF beside the PNG too if `also_pdf` was called."""
    for file in (path, path.with_suffix(".pdf")) if _formats["pdf"] else (path,):
        with replace_file(file) as temporary:
            figure.savefig(temporary, dpi=dpi, facecolor=figure.get_facecolor())
    plt.close(figure)


def also_pdf(wanted=True):
    """Let `save` write a vector PDF beside each PNG, for print."""
    _formats["pdf"] = wanted


def dark_panels(rows, columns, size, title=None):
    """Return a figure and its axes (rows, columns) for slices, on a dark ground, without ticks."""
    height = size * rows + (0.45 if title else 0.1)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, height), squeeze=False, layout="constrained")
    figure.set_facecolor(PAPER)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    for axis in axes.flat:
        axis.set_axis_off()
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    return figure, axes


def show_slice(axis, image, spacing, title=None):
    """Show a slice (H, W) in 0..1 with a scale bar of 50 mm and marks of front and back."""
    height, width = image.shape
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    axis.set_axis_off()
    length = 50 / spacing
    if length < 0.6 * width:
        left, bottom = 0.04 * width, 0.965 * height
        axis.plot([left, left + length], [bottom, bottom], color=INK, lw=2, solid_capstyle="butt")
        axis.text(left, bottom - 0.015 * height, "50 mm", color=INK, fontsize=6, va="bottom")
    axis.text(0.02, 0.5, "A", color=INK, fontsize=7, transform=axis.transAxes, va="center")
    axis.text(0.98, 0.5, "P", color=INK, fontsize=7, transform=axis.transAxes, va="center", ha="right")
    if title:
        axis.set_title(title, color=INK, fontsize=7, pad=2)
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)


def spread(places, gap):
    """Move names apart: return the nearest places (N,), ascending like the input, at least ``gap`` from each other."""
    places = np.asarray(places, float)
    if len(places) == 0:
        return places
    # Isotonic regression (pool adjacent violators) of the places less the room that they need.
    blocks = []
    for value in places - gap * np.arange(len(places)):
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (above, n), (below, m) = blocks[-2], blocks[-1]
            blocks[-2:] = [[(above * n + below * m) / (n + m), n + m]]
    return np.repeat([b[0] for b in blocks], [b[1] for b in blocks]) + gap * np.arange(len(places))


def overlay(axis, points, levels, shape, notes=None, marker="o", fill=True):
    """Draw discs on a slice that is shown already, with their names on the posterior side.

    Parameters
    ----------
    axis : matplotlib axes
    points : (N, 2) array
        Row and column in pixels, from top to bottom.
    levels : (N,) int array
    shape : (H, W)
        Of the slice.
    notes : list of str, optional
        Written behind each name.
    marker : str
    fill : bool
        Filled marks, or rings.
    """
    height, width = shape
    points = np.reshape(points, (-1, 2))
    order = np.argsort(points[:, 0]) if len(points) else []
    rows = spread(points[order, 0], NAME_GAP * height) if len(points) else []
    for row, index in zip(rows, order, strict=True):
        (place_row, place_col), level = points[index], int(levels[index])
        text = name(level) + (f"  {notes[index]}" if notes else "")
        axis.plot(place_col, place_row, marker, ms=3.6, mec=colour(level), mfc=colour(level) if fill else "none", mew=1)
        room = width - place_col > 0.3 * width
        column, align = (place_col + 0.09 * width, "left") if room else (place_col - 0.12 * width, "right")
        axis.plot([place_col, column], [place_row, row], color=colour(level), lw=0.7)
        axis.text(column, row, text, color=colour(level), fontsize=7, va="center", ha=align, path_effects=OUTLINE)


def preview(samples, path, title):
    """Draw prepared slices with discs, names and heatmaps.

    Parameters
    ----------
    samples : list of (Sample, heatmaps (C, H / 4, W / 4))
    path : path-like
    title : str
    """
    columns = min(4, len(samples))
    figure, axes = dark_panels(-(-len(samples) // columns), columns, 3.6, title)
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


def prediction_picture(image, prediction, spacing, path, title):
    """Draw one slice (H, W) beside itself with its predicted discs, their names and confidences."""
    figure, axes = dark_panels(1, 2, 4.6, title)
    show_slice(axes[0, 0], image, spacing)
    show_slice(axes[0, 1], image, spacing)
    overlay(
        axes[0, 1],
        prediction.points,
        prediction.levels,
        image.shape,
        [f"{100 * c:.0f} %" for c in prediction.confidence],
    )
    save(figure, path, dpi=130)


def truth_and_prediction(axis, case, image, spacing, rows, title):
    """Draw true discs (white crosses) and predicted ones with their error in mm, on a slice (H, W)."""
    show_slice(axis, image, spacing, title)
    true = case.true_points / spacing
    axis.plot(true[:, 1], true[:, 0], "+", color=TRUTH, ms=6, mew=0.9)
    error = {row.level: row.error for row in rows}
    notes = [f"{error[level]:.1f} mm" if np.isfinite(error.get(level, np.nan)) else "" for level in case.levels]
    overlay(axis, case.points / spacing, case.levels, image.shape, notes, fill=False)


def attention_rows(panels, path):
    """Draw slice, attention map and both together, a row each.

    Parameters
    ----------
    panels : list of (name, image (H, W), attention (h, w), spacing)
    path : path-like
    """
    figure, axes = dark_panels(len(panels), 3, 3.2, "what the attention lets through")
    for row, (title, image, attention, spacing) in zip(axes, panels, strict=True):
        span = attention.max() - attention.min()
        map_ = (attention - attention.min()) / (span if span > 0 else 1)
        show_slice(row[0], image, spacing, title)
        row[1].imshow(map_, cmap="magma", vmin=0, vmax=1, interpolation="bilinear")
        row[1].set_title(f"attention, {attention.min():.2f} to {attention.max():.2f}", color=INK, fontsize=7, pad=2)
        show_slice(row[2], image, spacing, "overlay")
        glow(row[2], map_, image.shape, "magma", 0.8)
    save(figure, path)


def convergence(frames, images, path, most=60):
    """Write the animation of the heatmaps on the same validation slices, epoch after epoch.

    Parameters
    ----------
    frames : list of (epoch, error in mm or NaN, list of heatmaps (h, w) in 0..1, one an image)
    images : list of (H, W) arrays in 0..1
    path : path-like
        A GIF.
    most : int
        Frames at the most; spread evenly over a longer training, with its last epoch.
    """
    chosen = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int))]
    pictures = []
    for epoch, error, maps in chosen:
        figure, axes = dark_panels(1, len(images), 2.6, " ")
        for axis, image, heatmap in zip(axes.flat, images, maps, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            glow(axis, heatmap, image.shape, "autumn", 1.0)
        told = f"mean error {error:.1f} mm" if np.isfinite(error) else "no disc identified yet"
        figure.suptitle(f"epoch {epoch}    {told}", color=INK, fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=70, facecolor=PAPER)
        plt.close(figure)
        pictures.append(
            Image.open(buffer).convert("RGB").quantize(200, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        )
    with replace_file(path) as temporary:
        times = [160] * (len(pictures) - 1) + [2500]
        pictures[0].save(temporary, save_all=True, append_images=pictures[1:], duration=times, loop=0, optimize=True)
