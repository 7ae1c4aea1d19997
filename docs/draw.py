"""Draw the README's pictures from a run on synthetic people: ``python docs/draw.py --weights output/demo``."""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon

sys.path.insert(0, str(Path(__file__).parents[1]))

from utils.figures import dark_panels, glow, overlay, save, show_slice  # noqa: E402
from utils.files import run  # noqa: E402
from utils.labeller import load_labeller  # noqa: E402
from utils.sample import load_split  # noqa: E402

DOCS = Path(__file__).parent
BLUE, ORANGE, GREEN, PINK, GREY = "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#5A6068"


def draw_example(samples, predictions, path):
    """Draw slices, and beside each the discs that were found on it."""
    figure, axes = dark_panels(1, 2 * len(samples), 3.4)
    for place, (sample, prediction) in enumerate(zip(samples, predictions, strict=True)):
        show_slice(axes[0, 2 * place], sample.image, sample.spacing)
        show_slice(axes[0, 2 * place + 1], sample.image, sample.spacing)
        overlay(axes[0, 2 * place + 1], prediction.points, prediction.levels, sample.image.shape)
    save(figure, path, dpi=120)


def box(axis, x, y, width, height, text, colour):
    """Draw a labelled box about (x, y)."""
    patch = FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, "round,pad=0.02,rounding_size=0.08", fc=colour, ec="none"
    )
    axis.add_patch(patch)
    axis.text(x, y, text, ha="center", va="center", fontsize=8.5, color="white" if colour == GREY else "black")


def arrow(axis, start, end, bend=0.0):
    """Draw an arrow between two points."""
    style = f"arc3,rad={bend}"
    axis.add_patch(
        FancyArrowPatch(start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=9, color=GREY, lw=1.1)
    )


def hourglass(axis, x, y, text):
    """Draw an hourglass about (x, y)."""
    corners = [(-0.55, 0.6), (0, 0.2), (0.55, 0.6), (0.55, -0.6), (0, -0.2), (-0.55, -0.6)]
    axis.add_patch(Polygon([(x + dx, y + dy) for dx, dy in corners], fc=BLUE, ec="none"))
    axis.text(x, y - 0.85, text, ha="center", va="center", fontsize=8.5)


def picture(figure, bounds, image, heatmap=None, prediction=None):
    """Show a slice in a part of the figure, with heatmaps or discs on it."""
    axis = figure.add_axes(bounds)
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.set_axis_off()
    if heatmap is not None:
        glow(axis, heatmap, image.shape, strength=1.0)
    if prediction is not None:
        overlay(axis, prediction.points, prediction.levels, image.shape)


def draw_method(sample, prediction, path):
    """Draw the method: slice, stem, stacks, attention, heatmaps, search."""
    figure = plt.figure(figsize=(12.5, 4.1), facecolor="white")
    axis = figure.add_axes([0, 0, 1, 1])
    axis.set(xlim=(0, 12.5), ylim=(0, 4.1))
    axis.set_axis_off()
    picture(figure, [0.008, 0.24, 0.125, 0.62], sample.image)
    axis.text(0.88, 0.6, "slice, 1 mm,\nmean over 6 mm", ha="center", fontsize=8.5)
    box(axis, 2.35, 2.2, 0.75, 1.1, "stem\n1/4", "#DDDDDD")
    hourglass(axis, 3.6, 2.2, "stack 1")
    box(axis, 4.75, 2.2, 0.8, 0.8, "features", "#DDDDDD")
    hourglass(axis, 5.95, 2.2, "stack 2")
    box(axis, 7.1, 2.2, 0.8, 0.8, "features", "#DDDDDD")
    box(axis, 5.95, 3.65, 1.9, 0.5, "multi-level attention", ORANGE)
    box(axis, 4.75, 0.75, 1.0, 0.5, "heatmaps", GREEN)
    axis.text(8.0, 2.2, "×", ha="center", va="center", fontsize=17)
    for start, end in (
        ((1.72, 2.2), (1.95, 2.2)),
        ((2.75, 2.2), (3.03, 2.2)),
        ((4.17, 2.2), (4.33, 2.2)),
        ((5.17, 2.2), (5.38, 2.2)),
        ((6.52, 2.2), (6.68, 2.2)),
        ((7.52, 2.2), (7.87, 2.2)),
        ((4.75, 1.78), (4.75, 1.03)),
        ((8.13, 2.2), (8.5, 2.2)),
        ((10.15, 2.2), (10.6, 2.2)),
    ):
        arrow(axis, start, end)
    arrow(axis, (4.75, 2.63), (5.1, 3.37), -0.2)
    arrow(axis, (7.1, 2.63), (6.8, 3.37), 0.2)
    arrow(axis, (6.92, 3.65), (8.0, 2.42), -0.35)
    arrow(axis, (5.27, 0.75), (5.95, 1.2), 0.3)
    axis.text(3.95, 0.28, "the loss looks at the heatmaps of every stack", fontsize=8, color=GREY)
    picture(figure, [0.685, 0.24, 0.125, 0.62], sample.image, prediction.heatmaps.max(0))
    axis.text(9.35, 0.6, "one heatmap\na level", ha="center", fontsize=8.5)
    axis.text(10.38, 2.35, "exact\nsearch", ha="center", fontsize=8)
    picture(figure, [0.853, 0.24, 0.14, 0.62], sample.image, None, prediction)
    axis.text(11.5, 0.6, "named discs, in mm", ha="center", fontsize=8.5)
    save(figure, path, dpi=120)


def main(argv=None):
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="a run's folder")
    labeller = load_labeller(parser.parse_args(argv).weights)
    samples = load_split(labeller.checkpoint["data"], "test")
    # A neck and a loin, so that all regions are seen.
    neck = next((s for s in samples if s.levels.min() <= 3 and len(s.levels) < 16), samples[0])
    loin = next((s for s in samples if s.levels.max() == 25 and len(s.levels) < 16), samples[-1])
    predictions = [labeller.label(sample.slabs, sample.offsets) for sample in (neck, loin)]
    draw_example([neck, loin], predictions, DOCS / "example.png")
    draw_method(loin, predictions[1], DOCS / "method.png")
    print(f"example.png and method.png are in {DOCS}")


if __name__ == "__main__":
    run(main)
