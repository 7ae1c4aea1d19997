"""Score a trained network on a prepared split: distance to target, missed and false discs, share identified.

Writes metrics, a table of discs, figures and a quality-control report to ``evaluation/`` in the run's folder.
"""

from pathlib import Path

from utils.discs import name, parse_levels
from utils.inference.shipped import SHIPPED
from utils.system.flags import natural_number, new_parser, output_folder


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python evaluate.py --weights output/RUN")
    network = parser.add_argument_group("network")
    network.add_argument("--weights", type=Path, help="a run's folder, or a checkpoint file (default: those shipped)")
    network.add_argument(
        "--compare", type=Path, nargs=2, metavar="RUN", help="only print the differences of two evaluated runs"
    )
    network.add_argument("--no-search", action="store_true", help="take each heatmap's maximum, of one pass")
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
        "--windows", type=natural_number, nargs="+", default=[], metavar="DISCS",
        help="also score scans cut to so many discs of the cervical, the thoracic and the lumbar spine",
    )  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", type=output_folder,
        help="folder of the results (default: evaluation/ in the run's folder, or in output/)",
    )  # fmt: skip
    output.add_argument("--pdf", action="store_true", help="write every figure as a vector PDF too")
    return parser


def parse(argv=None):
    """Read the command line; beside ``--compare``, which reads what was evaluated, no other flag has an effect."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.compare:
        parser.set_defaults(**dict.fromkeys(vars(args)))  # so that only what is given has a value
        for flag, value in vars(parser.parse_args(argv)).items():
            if value is not None and flag != "compare":
                parser.error(f"argument --{flag.replace('_', '-')}: not allowed with argument --compare")
    return args


if __name__ == "__main__":  # --help, misspelt flags and --compare are answered before the slow imports below
    if given := parse().compare:
        from utils.evaluation.comparison import compare_runs
        from utils.system.files import run

        run(lambda: compare_runs(*given))

# ruff: noqa: E402
import numpy as np

from utils.evaluation.cases import Case, compare
from utils.evaluation.comparison import compare_runs
from utils.evaluation.scores import groups_of, score, scores_by
from utils.evaluation.tables import (
    disc_rows,
    interval_line,
    labelled_table,
    published_table,
    windows_table,
)
from utils.evaluation.windows import check_windows, label_windows
from utils.inference.checkpoint import data_of
from utils.inference.labeller import load_labeller
from utils.report.evaluation import Page, file_names
from utils.report.figures import also_pdf
from utils.scans.prepared import load_split
from utils.system.device import choose_device
from utils.system.files import UserError, run, save_json, save_table, save_text, sweep, warn
from utils.system.manifest import Manifest
from utils.system.progress import progress
from utils.training.data import check_resolution, unchanged


def settle(args, labeller):
    """Return data folder, output folder and levels, filled in from the run where a flag was not given.

    Raises
    ------
    UserError
        If the data is neither given nor known, or does not fit the network.
    """
    known = data_of(labeller.checkpoint)
    if len(known) > 1 and not args.data:
        raise UserError(f"{labeller.source} was trained on {', '.join(known)}: name the one to score with --data")
    data = args.data or (known[0] if known else None)
    if data is None:
        raise UserError(f"it is not known on which data {labeller.source} was trained: name what to score with --data")
    folder = labeller.source if labeller.source.is_dir() else labeller.source.parent
    out = folder / "evaluation" if args.weights else Path("output/evaluation")
    check_resolution(data, labeller.resolution)
    levels = [level for level in labeller.levels if args.levels is None or level in args.levels]
    if not levels:
        raise UserError(f"the network knows none of these levels: give --levels within {list(labeller.levels)}")
    return Path(data), args.out or out, levels


def check_scores(args, samples, levels):
    """Refuse scores of no disc, and groups whose scores would take the place of others in ``metrics.json``.

    Raises
    ------
    UserError
    """
    if args.levels and not any(np.isin(sample.levels, levels).any() for sample in samples):
        raise UserError(f"no scan of the {args.split} split has a disc of these levels: give others with --levels")
    if args.by == "level":
        raise UserError("--by level: every level is scored by itself already: give another column, or rename it")


def warn_of_changes(data, labeller):
    """Warn where a run was trained on other samples than its data hold now, since a split may hold some of them."""
    known = data_of(labeller.checkpoint)
    if data.resolve() in {Path(folder).resolve() for folder in known}:
        try:
            same = unchanged(labeller.checkpoint)
        except UserError:  # one of its data sets is gone
            same = False
        if not same:
            warn(f"{', '.join(known)} changed since {labeller.source} was trained, which may have seen what is scored")


def main(argv=None):
    """Evaluate, as the flags say."""
    args = parse(argv)
    if args.compare:
        compare_runs(*args.compare)
        return
    labeller = load_labeller(args.weights or SHIPPED, choose_device(args.device))
    data, out, levels = settle(args, labeller)
    warn_of_changes(data, labeller)
    labeller.searching = not args.no_search
    also_pdf(args.pdf)
    samples = load_split(data, args.split)
    known = samples.without_pixels()
    check_scores(args, known, levels)
    groups = groups_of(data, known, args.by)
    check_windows(known, args.windows)
    sweep(out)
    manifest, files = Manifest(out), file_names([sample.name for sample in known], args.pdf)
    files += ["discs.csv", "table.md", "metrics.json", *(["windows.md"] if args.windows else [])]
    manifest.refuse(["scans.csv", "scans.tsv"], "predictions")
    manifest.check(files)  # before the work

    manifest.clear()
    manifest.claim(files)
    weights, checkpoint, cases, on_plane = str(args.weights or SHIPPED.name), labeller.checkpoint, [], []
    page = Page(out, samples, levels, f"{weights}, epoch {checkpoint['epoch']}, {checkpoint['digest'][:8]}")
    for sample in progress(samples, len(samples), "scan"):
        prediction = labeller.label(sample.slabs, sample.offsets)
        flat = sample.in_plane()
        on_plane.append(Case.of(flat, labeller.label(flat.image[None])))
        cases.append(Case.of(sample, prediction))
        page.add(sample, prediction, cases[-1], compare(cases[-1], levels))
    windows = windows_table(label_windows(labeller, samples, args.windows, levels)) if args.windows else None

    how = args.protocol, labeller.resolution
    by_group = scores_by(cases, lambda case: groups[case.name], levels, *how)
    metrics = {
        "weights": weights,
        "epoch": checkpoint["epoch"],
        "digest": checkpoint["digest"],
        "data": str(data),
        "split": args.split,
        "protocol": args.protocol,
        "levels": levels,
        "search": labeller.searching,
        "threshold": labeller.calibration.threshold,
        "overall": score(cases, levels, *how),
        "on_labels_plane": score(on_plane, levels, *how),
        f"by_{args.by}": by_group,
        "by_contrast": scores_by(cases, lambda case: case.contrast, levels, *how),
        "by_level": {str(level): score(cases, [level], *how) for level in levels},
    }
    table = (published_table if args.protocol == "published" else labelled_table)(
        {**by_group, "all": metrics["overall"], "all, on the labels' plane": metrics["on_labels_plane"]}
    )

    save_table(out / "discs.csv", disc_rows([row for own in page.rows for row in own]))
    save_text(out / "table.md", f"{table}\n")
    save_json(out / "metrics.json", metrics)
    if windows:
        save_text(out / "windows.md", f"{windows}\n")
    page.draw(groups, args.by)
    page.write(metrics, args.by)
    manifest.record()

    print(f"{args.split} split of {data}, levels {name(levels[0])} to {name(levels[-1])}, protocol {args.protocol}")
    print(table)
    if args.protocol == "labelled":
        print(interval_line(metrics["overall"]))
    if windows:
        print(f"scans cut to a few discs:\n{windows}")
    print(f"metrics, discs and figures are in {out}")


if __name__ == "__main__":
    run(main)
