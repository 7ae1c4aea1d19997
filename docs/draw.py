"""Draw the pictures of the documentation from prepared synthetic subjects.

With ``--report`` the screenshots of the QC report are taken too, by docs/screenshots.py.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from utils.discs import name
from utils.inference.heatmaps import candidates
from utils.inference.labeller import load_labeller
from utils.inference.shipped import SHIPPED
from utils.report.figures import PAPER, dark_panels, overlay, save, show_slice
from utils.report.markers import colour
from utils.scans.prepared import load_split
from utils.system.files import run
from utils.system.flags import new_parser

DOCS = Path(__file__).parent
WIDTH, HEIGHT = 13.9, 4.3
BLUE, GREEN, GREY, PALE = "#56B4E9", "#009E73", "#5A6068", "#DDE1E5"
MIDDLE = 2.1  # height of the row of arrows
BARS = (1.3, 1.0, 0.7, 0.42, 0.7, 1.0, 1.3)  # sizes of the feature maps through an hourglass


def draw_example(samples, predictions, path):
    """Draw each slice beside the same slice with the discs that were found in it."""
    figure, axes = dark_panels(1, 2 * len(samples), 3.6)
    for place, (sample, found) in enumerate(zip(samples, predictions, strict=True)):
        image = sample.slabs[found.slab]
        show_slice(axes[0, 2 * place], image, sample.spacing)
        show_slice(axes[0, 2 * place + 1], image, sample.spacing)
        overlay(axes[0, 2 * place + 1], found.points, found.levels, image.shape)
        axes[0, 2 * place].set_xlim(axes[0, 2 * place + 1].get_xlim())  # both at one scale
    save(figure, path, dpi=120)


def arrow(axis, start, end, bend=0.0):
    """Draw an arrow between two points."""
    style = f"arc3,rad={bend}"
    axis.add_patch(
        FancyArrowPatch(start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=10, color=GREY, lw=1.2)
    )


def box(axis, x, y, width, height, text, colour, ink="black"):
    """Draw a labelled box about (x, y)."""
    corner = (x - width / 2, y - height / 2)
    axis.add_patch(FancyBboxPatch(corner, width, height, "round,pad=0,rounding_size=0.08", fc=colour, ec="none"))
    axis.text(x, y, text, ha="center", va="center", fontsize=9, color=ink)


def hourglass(axis, x, text):
    """Draw an hourglass about x: feature maps that shrink and grow again."""
    for place, size in enumerate(BARS):
        left = x + 0.16 * (place - 3) - 0.05
        style = "round,pad=0,rounding_size=0.04"
        axis.add_patch(FancyBboxPatch((left, MIDDLE - size / 2), 0.1, size, style, fc=BLUE, ec="none"))
    axis.text(x, MIDDLE - 0.85, text, ha="center", va="center", fontsize=9)


def panel(figure, left, bottom, width, shape, border=None):
    """Return axes for a picture of shape (H, W), placed in inches."""
    height = width * shape[0] / shape[1]
    axis = figure.add_axes([left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT])
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=border is not None, color=border or "white", linewidth=1.2)
    return axis


def pile(figure, left, pictures, width, cmaps, border="white"):
    """Draw pictures (h, w) in 0..1 one behind another, the last in front, about the middle; returns the right edge."""
    step = 0.13
    tall = width * pictures[0].shape[0] / pictures[0].shape[1]
    bottom = MIDDLE - tall / 2 + step * (len(pictures) - 1) / 2
    for place, (picture, cmap) in enumerate(zip(pictures, cmaps, strict=True)):
        axis = panel(figure, left + step * place, bottom - step * place, width, picture.shape, border)
        axis.imshow(picture, cmap=cmap, vmin=0, vmax=1, aspect="auto")
    return left + width + step * (len(pictures) - 1)


def ramp(level):
    """Return a colour map from black to the colour of a level."""
    return LinearSegmentedColormap.from_list("", [PAPER, colour(level, dark=True)])


def draw_search(axis, shape, spots, found):
    """Draw all candidates in grey, and the chain that the search takes in the colours of the regions."""
    axis.set_facecolor(PAPER)
    axis.plot(spots[:, 1], spots[:, 0], "o", ms=2.6, color="#7A828B", mew=0)
    axis.plot(found.points[:, 1], found.points[:, 0], color="#E8E8E8", lw=1)
    for level, (row, column) in zip(found.levels, found.points, strict=True):
        axis.plot(column, row, "o", ms=4.5, color=colour(level, dark=True), mew=0)
    axis.set(xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))


def thick(heatmap):
    """Return a heatmap (h, w) with its peak at 1 and broad enough to be seen in a small picture."""
    near = [np.roll(heatmap, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return np.max(near, 0) / heatmap.max()


def draw_labels(figure, left, slab, found, height):
    """Draw the slice with its labels, as wide as these need, about the middle."""
    rows, columns = slab.shape
    shape = (rows, columns + 0.24 * rows)
    axis = panel(figure, left, MIDDLE - height / 2, height * shape[1] / shape[0], shape)
    axis.set_facecolor(PAPER)
    axis.imshow(slab, cmap="gray", vmin=0, vmax=1, aspect="auto")
    overlay(axis, found.points, found.levels, slab.shape)
    axis.set_xlim(-0.5, shape[1] - 0.5)


def draw_method(labeller, sample, found, path):
    """Draw the method: slices, stacks, attention, heatmaps, search."""
    figure = plt.figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    axis = figure.add_axes([0, 0, 1, 1])
    axis.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axis.set_axis_off()
    slab = sample.slabs[found.slab]
    shape = slab.shape
    wide = min(1.45, 2.3 * shape[1] / shape[0])

    around = [sample.slabs[i] for i in np.linspace(0, len(sample.slabs) - 1, 3).astype(int)]
    edge = pile(figure, 0.12, [*around[:2], slab], wide, ["gray"] * 3)
    x = edge + 0.6
    box(axis, x, MIDDLE, 0.55, 1.3, "stem\n1/4", PALE)
    arrow(axis, (edge + 0.04, MIDDLE), (x - 0.3, MIDDLE))
    first, second = x + 1.15, x + 3.25
    kept = [place + 1.05 for place in (first, second)]
    hourglass(axis, first, "hourglass 1")
    hourglass(axis, second, "hourglass 2")
    for place in kept:
        box(axis, place, MIDDLE, 0.62, 0.62, "features", PALE)
        arrow(axis, (place - 0.48, MIDDLE), (place - 0.33, MIDDLE))
    arrow(axis, (x + 0.3, MIDDLE), (first - 0.56, MIDDLE))
    arrow(axis, (kept[0] + 0.33, MIDDLE), (second - 0.56, MIDDLE))
    box(axis, kept[0], 0.72, 0.9, 0.4, "heatmaps", GREEN, "white")
    arrow(axis, (kept[0], MIDDLE - 0.33), (kept[0], 0.95))
    arrow(axis, (kept[0] + 0.48, 0.72), (second - 0.3, MIDDLE - 1.0), 0.25)
    axis.text(kept[0], 0.36, "a loss on the heatmaps of every stack", ha="center", fontsize=8, color=GREY)

    times = kept[1] + 0.72
    axis.text(times, MIDDLE, "×", ha="center", va="center", fontsize=19)
    arrow(axis, (kept[1] + 0.33, MIDDLE), (times - 0.13, MIDDLE))
    if found.attention is not None:
        centre = (kept[0] + kept[1]) / 2
        half = 0.5 * found.attention.shape[1] / found.attention.shape[0]
        map_ = panel(figure, centre - half, 2.95, 2 * half, found.attention.shape)
        axis.text(centre, 4.02, "attention", ha="center", fontsize=10.5, weight="bold")
        map_.imshow(found.attention, cmap="magma", aspect="auto")
        arrow(axis, (kept[0], MIDDLE + 0.33), (centre - half - 0.04, 3.4), -0.3)
        arrow(axis, (kept[1], MIDDLE + 0.33), (centre + half + 0.04, 3.2), 0.3)
        arrow(axis, (centre + half + 0.04, 3.6), (times, MIDDLE + 0.2), -0.35)

    left = times + 0.45
    arrow(axis, (times + 0.13, MIDDLE), (left - 0.05, MIDDLE))
    small = min(0.8, 1.2 * shape[1] / shape[0])
    tall = small * shape[0] / shape[1]
    levels = found.levels[np.linspace(0, len(found.levels) - 1, 4).astype(int)]
    for place, level in enumerate(levels):
        across, down = left + (place % 2) * (small + 0.08), MIDDLE + 0.04 - (place // 2) * (tall + 0.08)
        map_ = panel(figure, across, down, small, shape)
        heatmap = thick(found.heatmaps[labeller.levels.index(level)])
        map_.imshow(heatmap, cmap=ramp(level), aspect="auto", interpolation="bilinear")
        map_.text(0.06, 0.94, name(int(level)), transform=map_.transAxes, fontsize=6.5, color=PALE, va="top")
    edge = left + 2 * small + 0.08

    spots = np.concatenate([points for points, _ in candidates(found.heatmaps)])
    search = panel(figure, edge + 0.4, MIDDLE - tall * 0.85, 1.7 * small, shape)
    draw_search(search, shape, spots, found)
    arrow(axis, (edge + 0.04, MIDDLE), (edge + 0.36, MIDDLE))
    last = edge + 0.4 + 1.7 * small
    arrow(axis, (last + 0.04, MIDDLE), (last + 0.36, MIDDLE))
    draw_labels(figure, last + 0.4, slab, found, 2 * tall + 0.08)
    for place, title, under in (
        (0.12 + wide / 2 + 0.13, "slices", "1 mm, mean over 6 mm,\nside by side"),
        (left + small + 0.04, "heatmaps", "one per level,\nfrom the last stack"),
        (last - 0.85 * small, "search", "all maxima, and the\nbest chain of discs"),
        (last + 0.4 + 1.3 * small, "labels", "levels, in mm"),
    ):
        axis.text(place, 0.58, title, ha="center", fontsize=10.5, weight="bold")
        axis.text(place, 0.5, under, ha="center", va="top", fontsize=8.5, color=GREY)
    axis.text(first, MIDDLE + 0.85, "stacks", ha="center", fontsize=10.5, weight="bold")
    save(figure, path, dpi=130)


def narrowness(sample):
    """Return the width of a sample's image over its height."""
    return sample.image.shape[1] / sample.image.shape[0]


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python -m docs.draw --data dataset/unseen", "python -m docs.draw")
    parser.add_argument("--data", type=Path, required=True, help="prepared synthetic subjects; the test split is drawn")
    parser.add_argument("--weights", type=Path, help="a run's folder, or a checkpoint file (default: those shipped)")
    parser.add_argument("--report", type=Path, help="report.html of an evaluation, for screenshots")
    parser.add_argument("--out", type=Path, help="folder of the pictures (default: docs/)")
    return parser


def main(argv=None):
    """Draw the pictures, as the flags say."""
    args = build_parser().parse_args(argv)
    out, labeller = args.out or DOCS, load_labeller(args.weights or SHIPPED)
    samples = load_split(args.data, "test")
    # One cervical and one lumbar view, so that all regions are seen.
    cervical = next((s for s in samples if s.levels.min() <= 3 and len(s.levels) < 16), samples[0])
    with_sacrum = (s for s in samples if s.levels.max() == 25 and 7 < len(s.levels) < 16)
    # A narrow one, which leaves room for the labels.
    lumbar = min(with_sacrum, key=narrowness, default=None) or min(samples, key=narrowness)
    predictions = [labeller.label(sample.slabs, sample.offsets) for sample in (cervical, lumbar)]
    draw_example([cervical, lumbar], predictions, out / "example.png")
    draw_method(labeller, lumbar, predictions[1], out / "method.png")
    print(f"example.png and method.png are in {out}")
    if args.report:
        from docs import screenshots  # needs playwright and a browser, as this script alone does not

        screenshots.main([str(args.report), "--out", str(out)])


if __name__ == "__main__":
    run(main)
