"""Charts of a training and of an evaluation."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np

from utils.discs import name, region
from utils.evaluation.cases import NEAR_MM
from utils.inference.confidence import reliability
from utils.report.figures import save
from utils.report.markers import COLOURS, colour
from utils.system.numbers import number

GREY = "#5A6068"


def axes_of(width=6.5, height=3.6, columns=1):
    """Return a figure and its axes in the style of all charts."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#DDDDDD", lw=0.6)
        axis.set_axisbelow(True)
    return figure, axes[0]


def curves(log, path):
    """Draw loss, share identified and mean error over the epochs of a training.

    Parameters
    ----------
    log : list of dict
        With the keys epoch, loss, val_loss, identified, dtt_mean.
    path : path-like
    """
    epochs = [line["epoch"] for line in log]
    figure, (left, middle, right) = axes_of(11, 3.2, 3)
    left.plot(epochs, [line["loss"] for line in log], color=GREY, label="training")
    left.plot(epochs, [line["val_loss"] for line in log], color=COLOURS["thoracic"], label="validation")
    left.set(title="loss", xlabel="epoch", yscale="log")
    left.legend(frameon=False)
    middle.plot(epochs, [100 * line["identified"] for line in log], color=COLOURS["lumbar"])
    middle.set(title="discs identified on validation, %", xlabel="epoch", ylim=(-2, 102))
    right.plot(epochs, [line["dtt_mean"] for line in log], color=COLOURS["cervical"])
    right.set(title="mean distance of those, mm", xlabel="epoch", ylim=(0, None))
    save(figure, path)


def error_by_level(rows, levels, path):
    """Draw the distance in mm of every prediction to the true disc of its level, by level."""
    figure, (axis,) = axes_of(max(5.0, 0.42 * len(levels) + 2))
    rng = np.random.default_rng(0)
    for place, level in enumerate(levels):
        errors = np.array([row.error for row in rows if row.level == level and np.isfinite(row.error)])
        beside = rng.uniform(-0.16, 0.16, len(errors))
        axis.plot(place + beside, errors, "o", ms=4, alpha=0.7, color=colour(level), mew=0)
        if len(errors):
            axis.plot([place - 0.28, place + 0.28], [np.median(errors)] * 2, color="black", lw=1.6)
    counts = [sum(row.level == level and row.true is not None for row in rows) for level in levels]
    labels = [f"{name(level)}\nN={count}" for level, count in zip(levels, counts, strict=True)]
    axis.set_xticks(range(len(levels)), labels, fontsize=7, rotation=90 if len(levels) > 12 else 0)
    axis.set(ylabel="distance to target, mm", title="error by level (bars: medians)", ylim=(0, None))
    axis.set_xlim(-0.6, len(levels) - 0.4)
    if axis.get_ylim()[1] > NEAR_MM:  # small errors fill the chart, and need no such line
        axis.axhline(NEAR_MM, color=GREY, lw=0.8, ls="--")
        axis.text(-0.5, NEAR_MM, f"identified below {NEAR_MM:.0f} mm", color=GREY, fontsize=7, va="bottom")
    for part in dict.fromkeys(region(level) for level in levels):
        axis.plot([], [], "o", ms=5, mew=0, color=COLOURS[part], label=part)
    axis.legend(frameon=False, fontsize=7, ncols=4, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    save(figure, path)


def error_by_group(rows, group_of, title, path):
    """Draw the distances in mm as boxes, by a group of the scans such as their contrast."""
    groups = sorted({group_of(row.case) for row in rows})
    errors = [[r.error for r in rows if group_of(r.case) == group and np.isfinite(r.error)] for group in groups]
    labels = [f"{textwrap.shorten(group, 70)}, N={len(values)}" for group, values in zip(groups, errors, strict=True)]
    figure, (axis,) = axes_of(7.5, 0.6 * len(groups) + 1.4)
    # Lying boxes leave room for long names.
    axis.boxplot(
        errors,
        orientation="horizontal",
        widths=0.5,
        medianprops={"color": "black", "lw": 1.4},
        flierprops={"marker": "o", "ms": 3, "mec": GREY},
    )
    axis.set_yticks(range(1, len(groups) + 1), [textwrap.fill(label, 34) for label in labels], fontsize=8)
    axis.grid(axis="x", color="#DDDDDD", lw=0.6)
    axis.grid(axis="y", visible=False)
    axis.axvline(NEAR_MM, color=GREY, lw=0.8, ls="--")
    axis.set(xlabel="distance to target, mm", title=title, xlim=(0, None))
    axis.invert_yaxis()
    save(figure, path)


def cumulative(rows, path):
    """Draw the share of true discs whose own level was found within a distance, over that distance."""
    true = [row for row in rows if row.true is not None]
    errors = np.sort([row.error for row in true if np.isfinite(row.error)])
    figure, (axis,) = axes_of(5.2)
    share = 100 * np.arange(len(errors) + 1) / max(len(true), 1)
    axis.step(np.concatenate([[0], errors]), share, where="post", color=COLOURS["cervical"], lw=2)
    axis.axvline(NEAR_MM, color=GREY, lw=0.8, ls="--")
    within = 100 * np.mean(np.array([row.error for row in true]) <= NEAR_MM) if true else 0
    axis.text(NEAR_MM + 0.2, 4, f"identified within {NEAR_MM:.0f} mm: {within:.1f} %", color=GREY, fontsize=8)
    axis.set(
        xlabel="distance to target, mm",
        ylabel=f"true discs, % (N={len(true)})",
        xlim=(0, 20),
        ylim=(0, 102),
        title="discs found at their own level, within a distance",
    )
    save(figure, path)


def reliability_diagram(rows, path):
    """Draw the share of discs that are right over the confidence that they were given with."""
    judged = [row for row in rows if row.found is not None and row.outcome != "unknown"]
    bins, error = reliability([row.confidence for row in judged], [row.outcome == "identified" for row in judged])
    figure, (axis,) = axes_of(4.6, 4.2)
    axis.plot([0, 100], [0, 100], color=GREY, lw=0.8, ls="--")
    chance, right, counts = (np.array(column) for column in zip(*bins, strict=True)) if bins else ([], [], [])
    axis.plot(100 * np.array(chance), 100 * np.array(right), "o-", color=COLOURS["cervical"], lw=1.6, ms=5)
    for x, y, count in zip(chance, right, counts, strict=True):
        # Above a low point, below a high one: never on the axis.
        shift, align = ((0, 7), "center") if y < 0.1 else ((5, -10), "left")
        axis.annotate(f"N={count}", (100 * x, 100 * y), xytext=shift, textcoords="offset points", fontsize=7, ha=align)
    axis.set(
        xlabel="confidence, %",
        ylabel="discs that are right, %",
        xlim=(0, 110),
        ylim=(-4, 104),
        title=f"calibration error {number(error, 3)}, N={len(judged)}",
    )
    save(figure, path)


def confusion_matrix(table, levels, path):
    """Draw which level was found at each true disc; ``table`` is that of `utils.evaluation.metrics.confusion`."""
    size = max(4.0, 0.32 * len(levels) + 1.8)
    figure, axis = plt.subplots(figsize=(size, size), layout="constrained")
    total = table.sum(1, keepdims=True)
    axis.imshow(table / np.maximum(total, 1), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(table):
        dark = table[row, column] > 0.5 * total[row, 0]
        axis.text(
            column, row, table[row, column], ha="center", va="center", fontsize=7, color="white" if dark else "black"
        )
    names = [name(level) for level in levels]
    axis.set_xticks(range(len(levels) + 1), [*names, "none"], rotation=90, fontsize=7)
    axis.set_yticks(range(len(levels)), names, fontsize=7)
    axis.set(xlabel="level found within 10 mm", ylabel="true level", title="confusion of levels (counts)")
    save(figure, path)
