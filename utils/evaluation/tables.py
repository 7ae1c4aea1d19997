"""Tables of scores, as Markdown and as the rows of discs.csv."""

import contextlib
import csv
import json

import numpy as np

from utils.discs import name
from utils.evaluation.metrics import CONFIDENT
from utils.system.files import UserError
from utils.system.numbers import number

DISC_COLUMNS = (
    "scan", "subject", "group", "contrast", "source", "level", "name", "outcome", "error_mm", "error_si_mm",
    "error_lr_mm", "confidence", "true_row_mm", "true_col_mm", "row_mm", "col_mm",
)  # fmt: skip


def markdown(head, rows):
    """Return a table as Markdown."""
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def share(part, whole):
    """Format a share in percent with its numerator and denominator."""
    return f"{100 * part / whole:.1f} ({part}/{whole})" if whole else "-"


def labelled_table(groups):
    """Return the table of scores by the labelled protocol.

    Parameters
    ----------
    groups : dict
        Label of a row to the scores of `utils.evaluation.metrics.labelled_scores`.
    """
    head = ["", "scans", "discs", "DTT mean (SD), mm", "median", "95th", "FN %", "FP %", "identified %"]
    rows = []
    for label, s in groups.items():
        false = s["n_far"] + s["n_extra"] + s["n_wrong_level"]
        rows.append([
            *_distance_cells(label, s),
            share(s["n_missed"] + s["n_far"], s["n_true"]), share(false, s["n_pred"]),
            share(s["n_identified"], s["n_true"]),
            f"{s['n_all_right']}/{s['n_scans']}" if s["n_scans"] else "-",
        ])  # fmt: skip
    return markdown([*head, "scans all right"], rows)


def published_table(groups):
    """Return the table of scores by the published protocol.

    Parameters
    ----------
    groups : dict
        Label of a row to the scores of `utils.evaluation.scores.score`.
    """
    head = ["", "scans", "discs", "DTT mean (SD), mm", "median", "95th", "FN %", "FP %"]
    head += ["FN, FP % without the leak", "FN, FP % of all predictions"]
    rows = []
    for label, s in groups.items():
        fair = [
            f"{number(100 * part['fn_rate'], 1)}, {number(100 * part['fp_rate'], 1)}"
            for part in (s["without_leak"], s["all_predictions"])
        ]
        rows.append([
            *_distance_cells(label, s), share(s["n_missed"], s["n_true"]), share(s["n_false"], s["n_true"]), *fair,
        ])  # fmt: skip
    return markdown(head, rows)


def _distance_cells(label, s):
    spread = f"{number(s['dtt_mean'])} ({number(s['dtt_sd'])}), N={s['dtt_n']}"
    return [label, s["n_scans"], s["n_true"], spread, number(s["dtt_median"]), number(s["dtt_p95"])]


def windows_table(found):
    """Return the table of partial fields of view.

    Parameters
    ----------
    found : dict
        (place, discs per window) to the rows of `utils.evaluation.cases.compare`.
    """
    head = ["window", "discs", "scans", "identified %", "FP %", "confidence where right", "where wrong"]
    table = []
    for (place, count), rows in found.items():
        right = [row.confidence for row in rows if row.outcome == "identified"]
        wrong = [row.confidence for row in rows if row.outcome in ("far", "extra", "wrong level")]
        table.append([
            place, count, len({row.case.name for row in rows}),
            share(len(right), sum(row.true is not None for row in rows)), share(len(wrong), len(right) + len(wrong)),
            number(np.mean(right)) if right else "-", number(np.mean(wrong)) if wrong else "-",
        ])  # fmt: skip
    return markdown(head, table)


def interval_line(scores):
    """Return the intervals of a whole split, its errors in space, its calibration and its levels, in three lines."""
    limits = scores["interval_95"]
    labels = {"identified": "identified", "fn_rate": "FN", "fp_rate": "FP"}
    spans = [f"{label} {span(np.multiply(limits[key], 100), 1, '%')}" for key, label in labels.items()]
    spans.append(f"DTT {span(limits['dtt_mean'], 2, 'mm')}")
    subjects = "1 subject" if scores["n_subjects"] == 1 else f"{scores['n_subjects']} subjects"
    return (
        f"95 % intervals over {subjects} (bootstrap): {', '.join(spans)}\n"
        f"in space {number(scores['mean_3d'])} ({number(scores['sd_3d'])}) mm; expected calibration error of the "
        f"confidence {number(scores['calibration_error'], 3)}, N={scores['n_pred']}\n"
        f"levels of the chain right in {scores['levels_right']} of {scores['levels_n']} scans; wrong with a level "
        f"confidence of {CONFIDENT} or more: {len(scores['confident_wrong'])}; calibration error "
        f"{number(scores['level_calibration_error'], 3)}"
    )


def span(limits, digits, unit):
    """Format an interval; one that is not defined becomes a dash."""
    low, high = (f"{limit:.{digits}f}" for limit in limits)
    return f"{low} to {high} {unit}" if np.isfinite(limits).all() else "-"


def disc_rows(rows):
    """Return the rows of discs.csv, its head first, in mm."""

    def cells(values):
        return ["" if not np.isfinite(value) else f"{value:.3f}" for value in values]

    nowhere = (np.nan, np.nan)
    return [DISC_COLUMNS] + [
        [
            row.case.name, row.case.subject, row.case.group, row.case.contrast, row.case.source,
            row.level, name(row.level), row.outcome,
            *cells([row.error, row.error_si, row.error_lr, row.confidence]),
            *cells(nowhere if row.true is None else row.true), *cells(nowhere if row.found is None else row.found),
        ]
        for row in rows
    ]  # fmt: skip


def read_discs_csv(run):
    """Read the discs that an evaluation listed.

    Returns
    -------
    discs : list of (scan, outcome, error in mm)
    true : set of (scan, level)
        The true discs.
    groups : dict
        Scan to its group of subjects who are the same participant; to its subject in evaluations of earlier versions.

    Raises
    ------
    UserError
        If the run was not evaluated, or its table was changed.
    """
    path = next((p for p in (run / "evaluation" / "discs.csv", run / "discs.csv") if p.is_file()), None)
    if path is None:
        raise UserError(f"{run} holds no evaluation: run evaluate.py --weights {run} first")
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as table:
        reader = csv.DictReader(table)
        rows = list(reader)
    if "outcome" not in (reader.fieldnames or ()):
        raise UserError(f"{path} holds predictions without a truth: give the folder of an evaluation")
    # Evaluations of versions before 2026-11-26 have no group, and may call the subject "person".
    column = next((name for name in ("group", "subject", "person") if name in reader.fieldnames), "subject")
    try:
        if any(None in row.values() for row in rows):  # a row that was cut short
            raise ValueError
        found = [(row["scan"], row["outcome"], float(row["error_mm"] or "nan")) for row in rows]
        true = {(row["scan"], row["level"]) for row in rows if row["outcome"] in ("identified", "far", "missed")}
        return found, true, {row["scan"]: row[column] for row in rows}
    except (KeyError, ValueError):
        raise UserError(f"{path} was changed since evaluate.py wrote it: run evaluate.py again") from None


def scored_levels(run):
    """Return the levels that an evaluation scored, as a list; None where its metrics do not say."""
    for path in (run / "evaluation" / "metrics.json", run / "metrics.json"):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            return list(json.loads(path.read_text(encoding="utf-8"))["levels"])
    return None


def comparison_table(first, second, found):
    """Return the table of `utils.evaluation.intervals.differences` between two runs."""
    rows = []
    for key, (one, two, change, (low, high)) in found.items():
        scale, unit = (1, "mm") if key == "dtt_mean" else (100, "%")
        interval = f"{scale * low:+.2f} to {scale * high:+.2f}" if np.isfinite(low) else "-"
        change = f"{scale * change:+.2f}" if np.isfinite(change) else "-"
        rows.append([f"{key}, {unit}", number(scale * one), number(scale * two), change, interval])
    return markdown(["", first, second, "difference", "95 % interval"], rows)
