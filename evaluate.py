"""Score a trained network on a prepared split: distance to target, missed and false discs, share identified.

Writes metrics, a table of discs and figures to ``evaluation/`` in the run's folder.
"""

from pathlib import Path

import numpy as np

from utils.discs import name, parse_levels
from utils.evaluation.intervals import differences, intervals
from utils.evaluation.metrics import (
    Case,
    compare,
    confusion,
    id_verse,
    labelled_scores,
    published_scores,
    shifted_scans,
)
from utils.evaluation.tables import (
    comparison_table,
    disc_rows,
    interval_line,
    labelled_table,
    published_table,
    read_discs_csv,
    windows_table,
)
from utils.evaluation.windows import PLACES, windows_of
from utils.inference.checkpoint import SHIPPED
from utils.inference.labeller import load_labeller
from utils.report.charts import confusion_matrix, cumulative, error_by_group, error_by_level, reliability_diagram
from utils.report.figures import also_pdf, attention_rows, dark_panels, save, truth_and_prediction
from utils.report.report import Report
from utils.scans.bids import participants
from utils.scans.sample import load_split, load_summary, load_table
from utils.system.device import choose_device
from utils.system.files import UserError, run, save_json, save_table, save_text, sweep
from utils.system.flags import new_parser
from utils.system.numbers import number
from utils.system.progress import progress
from utils.system.version import code_version

A_SHEET = 8  # scans on a sheet of overlays
WORST = 8
ATTENTION = 4
FIGURES = (
    ("error by level", "error_by_level.png"),
    ("share of discs within a distance", "error_cumulative.png"),
    ("which level was found at each true disc", "confusion.png"),
    ("how often discs of a confidence are right", "reliability.png"),
    ("the worst cases", "worst_cases.png"),
    ("what the attention lets through", "attention.png"),
)


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python evaluate.py --weights output/RUN")
    network = parser.add_argument_group("network")
    what = network.add_mutually_exclusive_group()
    what.add_argument("--weights", type=Path, help="a run's folder, or a checkpoint file (default: those shipped)")
    what.add_argument(
        "--compare", type=Path, nargs=2, metavar="RUN", help="print the differences of two runs that were evaluated"
    )
    network.add_argument("--no-search", action="store_true", help="take each heatmap's maximum, without the search")
    network.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)")
    data = parser.add_argument_group("input")
    data.add_argument("--data", type=Path, help="prepared data (default: what the run was trained on)")
    data.add_argument("--split", default="test", choices=("train", "val", "test"), help="samples to score")
    data.add_argument(
        "--levels", type=parse_levels, metavar="LEVELS", help="discs to score, such as 21-25 (default: the network's)"
    )
    scores = parser.add_argument_group("scores")
    scores.add_argument(
        "--protocol", choices=("labelled", "published"), default="labelled",
        help="labelled: by level, in mm; published: as the paper's code, which ignores levels",
    )  # fmt: skip
    scores.add_argument(
        "--by", default="contrast", metavar="COLUMN",
        help="group scans by contrast, source or a column of participants.tsv",
    )  # fmt: skip
    scores.add_argument(
        "--windows", type=int, nargs="+", default=[], metavar="DISCS",
        help="also score scans cut to so many discs of the cervical, the thoracic and the lumbar spine",
    )  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", type=Path, help="folder of the results (default: evaluation/ in the run's folder, or in output/)"
    )
    output.add_argument("--pdf", action="store_true", help="write every figure as a vector PDF too")
    return parser


def settle(args, labeller):
    """Return data folder, output folder and levels, filled in from the run where a flag was not given.

    Raises
    ------
    UserError
        If the data is not named and not known, or does not fit the network.
    """
    known = labeller.checkpoint["data"] or []
    known = [known] if isinstance(known, str) else known  # runs of versions before 2026-11-26 have one data set
    if len(known) > 1 and not args.data:
        raise UserError(f"{labeller.source} was trained on {', '.join(known)}: name the one to score with --data")
    data = args.data or (known[0] if known else None)
    if data is None:
        raise UserError(f"{labeller.source} was not trained on prepared data: name what to score with --data")
    folder = labeller.source if labeller.source.is_dir() else labeller.source.parent
    out = folder / "evaluation" if args.weights else Path("output/evaluation")
    summary = load_summary(data)
    if not np.isclose(summary["resolution"], labeller.resolution):
        raise UserError(
            f"{data} has pixels of {summary['resolution']} mm, the network {labeller.resolution}: "
            f"prepare it with --resolution {labeller.resolution}"
        )
    if min(args.windows, default=1) < 1:
        raise UserError(f"--windows {min(args.windows)}: give 1 or more discs")
    levels = [level for level in labeller.levels if args.levels is None or level in args.levels]
    if not levels:
        raise UserError(f"the network knows none of these levels: give --levels within {list(labeller.levels)}")
    return Path(data), args.out or out, levels


def groups_of(data, samples, column):
    """Return {name of a scan: its group} by a column of samples.tsv or participants.tsv.

    Raises
    ------
    UserError
        If neither has that column.
    """
    rows = {row["name"]: row for row in load_table(data)}
    people = participants(data)
    groups = {s.name: rows[s.name].get(column) or people.get(s.subject, {}).get(column) for s in samples}
    if not any(groups.values()):
        raise UserError(
            f"neither samples.tsv nor participants.tsv of {data} has a column {column!r}: give another --by"
        )
    return {scan: str(group or "not told") for scan, group in groups.items()}


def score(cases, levels, protocol, spacing):
    """Return the scores of scans by a protocol, as a dict."""
    if protocol == "published":
        scores = published_scores(cases, levels, spacing)
        return {**scores, "without_leak": published_scores(cases, levels, spacing, leak=False)}
    rows = [row for case in cases for row in compare(case, levels)]
    hits, total = id_verse(cases, levels)
    limits = intervals((row.case.subject, row.outcome, row.error) for row in rows)
    verse = {"id_verse": hits / total if total else float("nan"), "id_verse_n": total}
    return {
        **labelled_scores(rows),
        **verse,
        "n_subjects": len({case.subject for case in cases}),
        "interval_95": limits,
        "shifted_scans": shifted_scans(cases, levels),
    }


def by_level(cases, levels, protocol, spacing):
    """Return the scores of each level by itself."""
    return {str(level): score(cases, [level], protocol, spacing) for level in levels}


def compare_runs(first, second):
    """Print how two runs differ on the same subjects, with 95 % intervals."""
    (one, discs), (two, others) = read_discs_csv(first), read_discs_csv(second)
    if discs != others:
        raise UserError(
            f"{first} and {second} cannot be compared: they were not scored on the same discs; evaluate both with "
            "the same --data, --split and --levels"
        )
    print(comparison_table(str(first), str(second), differences(one, two)))


def draw(out, cases, samples, predictions, rows, levels, groups, by):
    """Draw all figures; those of an earlier evaluation in the folder go."""
    vector = [out / f"{Path(file).stem}.pdf" for _, file in FIGURES]
    for stale in (*vector, *out.glob("attention.*"), *out.glob("error_by_*"), *out.glob("overlays/scans_*")):
        stale.unlink(missing_ok=True)
    error_by_level(rows, levels, out / "error_by_level.png")
    error_by_group(rows, lambda case: groups[case.name], f"error by {by}", out / f"error_by_{by}.png")
    cumulative(rows, out / "error_cumulative.png")
    reliability_diagram(rows, out / "reliability.png")
    confusion_matrix(confusion(cases, levels), levels, out / "confusion.png")
    shown = list(zip(cases, samples, predictions, strict=True))
    for first in range(0, len(shown), A_SHEET):
        overlay_sheet(
            shown[first : first + A_SHEET],
            rows,
            out / "overlays" / f"scans_{first // A_SHEET + 1:02d}.png",
            "true discs (white crosses) and predicted ones (rings), with their distance",
        )
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
    """Tell how bad a scan's result is: what is wrong first, then the mean error."""
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


def main(argv=None):
    """Evaluate, as the flags say."""
    args = build_parser().parse_args(argv)
    if args.compare:
        compare_runs(*args.compare)
        return
    labeller = load_labeller(args.weights or SHIPPED, choose_device(args.device))
    data, out, levels = settle(args, labeller)
    labeller.searching = not args.no_search
    also_pdf(args.pdf)
    samples = load_split(data, args.split)
    sweep(out)
    groups = groups_of(data, samples, args.by)
    shown = progress(samples, len(samples), "scan")
    predictions = [labeller.label(sample.slabs, sample.offsets) for sample in shown]
    cases = [Case.of(sample, prediction) for sample, prediction in zip(samples, predictions, strict=True)]
    on_plane = [Case.of(sample, labeller.label(sample.image[None])) for sample in samples]
    rows = [row for case in cases for row in compare(case, levels)]

    def scores_by(group_of):
        chosen = {}
        for case in cases:
            chosen.setdefault(group_of(case), []).append(case)
        return {group: score(chosen[group], levels, args.protocol, labeller.resolution) for group in sorted(chosen)}

    metrics = {
        "weights": str(args.weights or SHIPPED.name),
        "epoch": labeller.checkpoint["epoch"],
        "digest": labeller.checkpoint["digest"],
        "data": str(data),
        "split": args.split,
        "protocol": args.protocol,
        "levels": levels,
        "search": labeller.searching,
        "threshold": labeller.calibration.threshold,
        "overall": score(cases, levels, args.protocol, labeller.resolution),
        "on_labels_plane": score(on_plane, levels, args.protocol, labeller.resolution),
        "by_contrast": scores_by(lambda case: case.contrast),
        "by_level": by_level(cases, levels, args.protocol, labeller.resolution),
        f"by_{args.by}": scores_by(lambda case: groups[case.name]),
    }
    table = (published_table if args.protocol == "published" else labelled_table)(
        {**metrics[f"by_{args.by}"], "all": metrics["overall"], "all, on the labels' plane": metrics["on_labels_plane"]}
    )
    save_table(out / "discs.csv", disc_rows(rows))
    save_text(out / "table.md", f"{table}\n")
    save_json(out / "metrics.json", metrics)
    draw(out, cases, samples, predictions, rows, levels, groups, args.by)
    write_report(args, out, metrics, cases, samples, predictions, rows)
    print(f"{args.split} split of {data}, levels {name(levels[0])} to {name(levels[-1])}, protocol {args.protocol}")
    print(table)
    if args.protocol == "labelled":
        print(interval_line(metrics["overall"]))
    (out / "windows.md").unlink(missing_ok=True)  # of an earlier evaluation
    if args.windows:
        windows = windows_table(label_windows(labeller, samples, args.windows, levels))
        save_text(out / "windows.md", f"{windows}\n")
        print(f"scans cut to a few discs:\n{windows}")
    print(f"metrics, discs and figures are in {out}")


def write_report(args, out, metrics, cases, samples, predictions, rows):
    """Write the page to look through."""
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
    scores = metrics["overall"]
    facts = [
        ("weights", weights),
        ("data", f"{metrics['split']} split of {metrics['data']}"),
        ("levels", f"{name(levels[0])} to {name(levels[-1])}"),
        ("protocol", args.protocol),
        ("software", code_version()),
    ]
    figures = (*FIGURES[:1], (f"error by {args.by}", f"error_by_{args.by}.png"), *FIGURES[1:])
    shown = [(caption, out / file) for caption, file in figures if (out / file).is_file()]
    report.write("Disc labels: evaluation", facts, headline(scores), shown)
    report.tidy()


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
        ("scans all right", f"{scores['n_all_right']} of {scores['n_scans']}"),
        ("scans with a shifted chain", str(len(scores["shifted_scans"]))),
    ]


def label_windows(labeller, samples, counts, levels):
    """Label scans cut to a few discs; returns {(place, count): rows} where there is such a window."""
    found = {}
    for place in PLACES:
        for count in counts:
            cuts = windows_of(samples, count, place)
            cases = [Case.of(sample, labeller.label(sample.slabs, sample.offsets)) for sample in cuts]
            if cases:
                found[place, count] = [row for case in cases for row in compare(case, levels)]
    return found


if __name__ == "__main__":
    run(main)
