"""What an evaluation shows: its figures, and its quality-control report."""

from pathlib import Path

import numpy as np

from utils.discs import name
from utils.evaluation.metrics import confusion, shifted_scans
from utils.report.charts import confusion_matrix, cumulative, error_by_group, error_by_level, reliability_diagram
from utils.report.figures import attention_rows, dark_panels, save, truth_and_prediction
from utils.report.report import Report, files_of
from utils.system.numbers import number
from utils.system.version import code_version

SHEET = 8  # scans on a sheet of overlays
WORST = 8
ATTENTION = 4
FIGURES = {
    "error_by_level.png": "error by level",
    "error_by_group.png": "error by group",
    "error_cumulative.png": "share of discs within a distance",
    "confusion.png": "which level was found at each true disc",
    "reliability.png": "how often discs of a confidence are right",
    "worst_cases.png": "the worst cases",
    "attention.png": "what the attention lets through",
}


def sheets_of(scans):
    """Return the names of the sheets of overlays of so many scans."""
    return [f"overlays/scans_{sheet + 1:02d}.png" for sheet in range(-(-scans // SHEET))]


def file_names(scans, pdf):
    """Return the names of all files that `draw` and `write_page` may write.

    Parameters
    ----------
    scans : list of str
        Their names.
    pdf : bool
        Whether each figure is written as PDF, too.
    """
    figures = [*FIGURES, *sheets_of(len(scans))]
    vector = [str(Path(figure).with_suffix(".pdf")) for figure in figures] if pdf else []
    return [*figures, *vector, *files_of(scans, FIGURES)]


def draw(out, cases, samples, predictions, rows, levels, groups, by):
    """Draw all figures.

    Parameters
    ----------
    out : Path
    cases, samples, predictions : lists
        One per scan, in the same order.
    rows : list of utils.evaluation.cases.Disc
    levels : list of int
    groups : dict
        Name of a scan to its group.
    by : str
        What the groups are.
    """
    error_by_level(rows, levels, out / "error_by_level.png")
    error_by_group(rows, lambda case: groups[case.name], f"error by {by}", out / "error_by_group.png")
    cumulative(rows, out / "error_cumulative.png")
    reliability_diagram(rows, out / "reliability.png")
    confusion_matrix(confusion(cases, levels), levels, out / "confusion.png")
    shown = list(zip(cases, samples, predictions, strict=True))
    title = "true discs (white crosses) and predicted ones (rings), with their distance"
    for index, sheet in enumerate(sheets_of(len(shown))):
        overlay_sheet(shown[index * SHEET : (index + 1) * SHEET], rows, out / sheet, title)
    cost = {case.name: badness([row for row in rows if row.case is case]) for case in cases}
    worst = sorted(shown, key=lambda item: -cost[item[0].name])[:WORST]
    overlay_sheet(worst, rows, out / "worst_cases.png", "the worst cases, worst first")
    panels = [
        (s.name, s.slabs[p.slab].astype(np.float32), p.attention, s.spacing)
        for s, p in zip(samples, predictions, strict=True)
        if p.attention is not None
    ]
    if panels:
        attention_rows(panels[:ATTENTION], out / "attention.png")


def badness(rows):
    """Return how bad a scan's result is: the number of wrong discs counts first, then the mean error."""
    wrong = sum(row.outcome in ("missed", "far", "extra", "wrong level") for row in rows)
    errors = [row.error for row in rows if np.isfinite(row.error)]
    return wrong * 1000 + (np.mean(errors) if errors else 0)


def overlay_sheet(shown, rows, path, title):
    """Draw scans with their true and predicted discs."""
    columns = min(4, len(shown))
    figure, axes = dark_panels(-(-len(shown) // columns), columns, 3.4, title, broad=1.25)
    for axis, (case, sample, prediction) in zip(axes.flat, shown, strict=False):
        own = [row for row in rows if row.case is case]
        right, true = sum(row.outcome == "identified" for row in own), sum(row.true is not None for row in own)
        truth_and_prediction(
            axis,
            case,
            sample.slabs[prediction.slab].astype(np.float32),
            sample.spacing,
            own,
            f"{case.name}: {right} of {true}",
        )
    save(figure, path)


def write_page(out, metrics, cases, samples, predictions, rows, by):
    """Write the quality-control report.

    Parameters
    ----------
    out : Path
        With the figures.
    metrics : dict
        As in ``metrics.json``.
    cases, samples, predictions : lists
        One per scan, in the same order.
    rows : list of utils.evaluation.cases.Disc
    by : str
        What the groups are.
    """
    report, levels = Report(out), metrics["levels"]
    weights = f"{metrics['weights']}, epoch {metrics['epoch']}, {metrics['digest'][:8]}"
    shifted = shifted_scans(cases, levels)
    for case, sample, prediction in zip(cases, samples, predictions, strict=True):
        texts = {
            "place": case.name, "name": case.name, "subject": case.subject, "contrast": case.contrast,
            "source": case.source, "weights": weights,
        }  # fmt: skip
        image = sample.slabs[prediction.slab].astype(np.float32)
        own = [row for row in rows if row.case is case]
        remarks = ["shifted chain"] if case.name in shifted else []
        report.add(texts, image, prediction, sample.spacing, case, own, remarks)
    facts = [
        ("weights", weights),
        ("data", f"{metrics['split']} split of {metrics['data']}"),
        ("levels", f"{name(levels[0])} to {name(levels[-1])}"),
        ("protocol", metrics["protocol"]),
        ("software", code_version()),
    ]
    captions = {**FIGURES, "error_by_group.png": f"error by {by}"}
    shown = [(caption, out / file) for file, caption in captions.items() if (out / file).is_file()]
    report.write("Disc labels: evaluation", facts, headline(metrics["overall"]), shown)


def headline(scores):
    """Return the figures that matter most, with their intervals, as (label, text)."""
    distance = ("distance to target, mean (SD)", f"{number(scores['dtt_mean'])} ({number(scores['dtt_sd'])}) mm")
    if "identified" not in scores or not scores["n_true"]:
        return [distance, ("true discs", str(scores["n_true"]))]
    low, high = (number(100 * limit, 1) for limit in scores["interval_95"]["identified"])
    return [
        (
            f"identified, 95 % interval {low} to {high} %",
            f"{100 * scores['identified']:.1f} % ({scores['n_identified']}/{scores['n_true']})",
        ),
        distance,
        ("scans without an error", f"{scores['n_all_right']} of {scores['n_scans']}"),
        ("scans whose labels are shifted", str(len(scores["shifted_scans"]))),
    ]
