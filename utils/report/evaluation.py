"""What an evaluation shows: its figures, and its quality-control report."""

from pathlib import Path

import numpy as np

from utils.discs import name
from utils.evaluation.metrics import confusion, shifted_scans
from utils.evaluation.tables import span
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
    """Return the names of all files that a `Page` may write.

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


class Page:
    """The figures and the quality-control report of an evaluation.

    Each scan goes into the report as soon as it was labelled, so that its heatmaps need not be kept; the figures read
    the images of a few scans at a time again.

    Parameters
    ----------
    out : Path
    samples : sequence of utils.scans.sample.Sample
        In the order in which they are added.
    levels : list of int
    weights : str
        What the report calls them.
    """

    def __init__(self, out, samples, levels, weights):
        self.out, self.samples, self.levels, self.weights = out, samples, levels, weights
        self.report, self.cases, self.rows, self.slabs, self.panels = Report(out), [], [], [], []

    def add(self, sample, prediction, case, rows):
        """Write a scan's part of the report.

        Parameters
        ----------
        sample : utils.scans.sample.Sample
        prediction : utils.inference.labeller.Prediction
        case : utils.evaluation.cases.Case
        rows : list of utils.evaluation.cases.Disc
        """
        texts = {
            "place": case.name, "name": case.name, "subject": case.subject, "contrast": case.contrast,
            "source": case.source, "weights": self.weights,
        }  # fmt: skip
        image = sample.slabs[prediction.slab].copy()  # a view would keep the others in memory
        remarks = ["shifted chain"] if shifted_scans([case], self.levels) else []
        self.report.add(texts, image, prediction, sample.spacing, case, rows, remarks)
        self.report.scans.clear()  # the entry is in its file
        self.cases.append(case)
        self.rows.append(rows)
        self.slabs.append(prediction.slab)
        if prediction.attention is not None and len(self.panels) < ATTENTION:
            self.panels.append((sample.name, image, prediction.attention, sample.spacing))

    def draw(self, groups, by):
        """Draw all figures.

        Parameters
        ----------
        groups : dict
            Name of a scan to its group.
        by : str
            What the groups are.
        """
        out, rows = self.out, [row for own in self.rows for row in own]
        error_by_level(rows, self.levels, out / "error_by_level.png")
        error_by_group(rows, lambda case: groups[case.name], f"error by {by}", out / "error_by_group.png")
        cumulative(rows, out / "error_cumulative.png")
        reliability_diagram(rows, out / "reliability.png")
        confusion_matrix(confusion(self.cases, self.levels), self.levels, out / "confusion.png")
        scans = range(len(self.cases))
        title = "true discs (white crosses) and predicted ones (rings), with their distance"
        for index, sheet in enumerate(sheets_of(len(scans))):
            self._overlays(scans[index * SHEET : (index + 1) * SHEET], out / sheet, title)
        worst = sorted(scans, key=lambda scan: -badness(self.rows[scan]))[:WORST]
        self._overlays(worst, out / "worst_cases.png", "the worst cases, worst first")
        if self.panels:
            attention_rows(self.panels, out / "attention.png")

    def _overlays(self, scans, path, title):
        """Draw scans, by their numbers, with their true and predicted discs."""
        columns = min(4, len(scans))
        figure, axes = dark_panels(-(-len(scans) // columns), columns, 3.4, title, broad=1.25)
        for axis, scan in zip(axes.flat, scans, strict=False):
            sample, case, rows = self.samples[scan], self.cases[scan], self.rows[scan]
            right, true = sum(row.outcome == "identified" for row in rows), sum(row.true is not None for row in rows)
            truth_and_prediction(
                axis,
                case,
                sample.slabs[self.slabs[scan]],
                sample.spacing,
                rows,
                f"{case.name}: {right} of {true}",
            )
        save(figure, path)

    def write(self, metrics, by):
        """Write the page, with the figures.

        Parameters
        ----------
        metrics : dict
            As in ``metrics.json``.
        by : str
            What the groups are.
        """
        facts = [
            ("weights", self.weights),
            ("data", f"{metrics['split']} split of {metrics['data']}"),
            ("levels", f"{name(self.levels[0])} to {name(self.levels[-1])}"),
            ("protocol", metrics["protocol"]),
            ("software", code_version()),
        ]
        captions = {**FIGURES, "error_by_group.png": f"error by {by}"}
        shown = [(caption, self.out / file) for file, caption in captions.items() if (self.out / file).is_file()]
        entries = self.report.entries(case.name for case in self.cases)
        self.report.write("Disc labels: evaluation", facts, headline(metrics["overall"]), shown, entries)


def badness(rows):
    """Return how bad a scan's result is: the number of wrong discs counts first, then the mean error."""
    wrong = sum(row.outcome in ("missed", "far", "extra", "wrong level") for row in rows)
    errors = [row.error for row in rows if np.isfinite(row.error)]
    return wrong * 1000 + (np.mean(errors) if errors else 0)


def headline(scores):
    """Return the figures that matter most, with their intervals, as (label, text)."""
    distance = ("distance to target, mean (SD)", f"{number(scores['dtt_mean'])} ({number(scores['dtt_sd'])}) mm")
    if "identified" not in scores or not scores["n_true"]:
        return [distance, ("true discs", str(scores["n_true"]))]
    interval = span(np.multiply(scores["interval_95"]["identified"], 100), 1, "%")
    return [
        (
            f"identified, 95 % interval {interval}",
            f"{100 * scores['identified']:.1f} % ({scores['n_identified']}/{scores['n_true']})",
        ),
        distance,
        ("scans without an error", f"{scores['n_all_right']} of {scores['n_scans']}"),
        ("scans whose labels are shifted", str(len(scores["shifted_scans"]))),
    ]
