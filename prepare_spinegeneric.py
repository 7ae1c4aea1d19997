"""Turn the scans and disc labels of spine-generic, or of any tree laid out like it, into slices to train on.

Each scan becomes upright sagittal slices in mm, side by side, with its discs and their heatmaps, in
``dataset/NAME/samples``. Scans that cannot be used are listed in ``skipped.tsv``, with the reason.
"""

from pathlib import Path

from utils.discs import LEVELS, parse_levels
from utils.scans.limits import MAX_VOXELS
from utils.system.flags import natural_number, new_parser, output_folder, whole_number


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python prepare_spinegeneric.py --data TREE --out dataset/NAME")
    tree = parser.add_argument_group("input")
    tree.add_argument("--data", type=Path, required=True, help="root of the tree, with sub-* and derivatives/labels")
    tree.add_argument("--contrasts", nargs="+", default=["T1w", "T2w"], help="images to take, as their names end")
    tree.add_argument(
        "--labels", type=Path, action="append", default=[], metavar="DIR",
        help="folder with sub-*/anat to take labels from instead of derivatives/labels; may be given several times, "
        "and the first one that has labels of a scan counts",
    )  # fmt: skip
    tree.add_argument(
        "--only-corrected", action="store_true", help="take scans whose labels a reviewer corrected or set to good"
    )
    tree.add_argument("--exclude", type=Path, help="list of subjects or scans to leave out (text, one per line)")
    tree.add_argument("--max-voxels", type=natural_number, default=MAX_VOXELS, help="larger volumes are refused unread")
    slices = parser.add_argument_group("slices")
    slices.add_argument(
        "--levels", type=parse_levels, default=LEVELS, metavar="LEVELS",
        help="discs to learn; 2-25 is C1-C2 to L5-S1, and 3,21-25 is possible, too",
    )  # fmt: skip
    slices.add_argument("--resolution", type=float, default=1.0, help="size of a slice's pixel in mm")
    slices.add_argument("--sigma", type=float, default=4.0, help="standard deviation of a disc's heatmap in mm")
    splits = parser.add_argument_group("splits")
    splits.add_argument(
        "--split", type=float, nargs=3, default=[0.75, 0.10, 0.15], metavar=("TRAIN", "VAL", "TEST"),
        help="shares of the subjects",
    )  # fmt: skip
    splits.add_argument("--split-file", type=Path, help="JSON file with the subjects of train, val and test instead")
    splits.add_argument("--seed", type=whole_number, default=0, help="random seed of the split")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", type=output_folder, required=True, help="folder of the prepared data, such as dataset/NAME"
    )
    output.add_argument("--jobs", type=natural_number, default=1, help="processes")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import contextlib
import math
import os
from collections import Counter
from dataclasses import dataclass
from functools import partial

from utils.inference.heatmaps import render
from utils.report.figures import preview
from utils.scans.bids import find_scans, list_folder
from utils.scans.counts import counts_table, summarise
from utils.scans.ignored import ignored_images, ignored_labels, ignored_summary
from utils.scans.labelled import labelled_sample
from utils.scans.labels import read_discs
from utils.scans.nifti import ScanError, read_scan
from utils.scans.outputs import digest, image_digest
from utils.scans.prepared import load_summary
from utils.scans.sample import load_sample, save_sample
from utils.scans.selection import apart, check_tree, excluded_by, records_of, select
from utils.scans.splits import SPLITS, check_together, draw_split, match_split, participant_groups, read_split_file
from utils.system.files import UserError, run, save_bytes, save_json, save_table, sweep, warn
from utils.system.journal import Journal, fingerprint, read_journal
from utils.system.lock import FILE as LOCK
from utils.system.lock import locked
from utils.system.pool import processes
from utils.system.progress import progress
from utils.system.version import code_version

PROGRESS = "progress.jsonl"  # exists while a data set is not complete
PREVIEWED = 12  # slices per preview sheet
SOURCE_COLUMNS = ("source", "institution_id", "institution")
SAMPLE_COLUMNS = (
    "file", "name", "subject", "group", "contrast", "source", "split", "levels", "height", "width", "landmarks", "note",
)  # fmt: skip
SKIPPED_COLUMNS = ("name", "subject", "contrast", "reason")


@dataclass
class Settings:
    """What every slice is made with."""

    folder: Path
    levels: tuple
    resolution: float
    sigma: float
    max_voxels: int = MAX_VOXELS


def check(args):
    """Refuse flags that make no sense, in a sentence."""
    check_tree(args.data)
    for folder in args.labels:
        if not any(list_folder(folder, "sub-")):
            raise UserError(f"{folder} holds no labels: give a folder that has sub-*/anat below it with --labels")
    if not (min(args.split) >= 0 and 0 < sum(args.split) < math.inf):  # false for NaN, too
        raise UserError("--split takes three finite shares that are not negative and not all zero")
    if not 0.1 <= args.resolution <= 10 or not 0.5 <= args.sigma <= 50:
        raise UserError("--resolution takes 0.1 to 10 mm, and --sigma 0.5 to 50 mm")
    begun = any((args.out / file).exists() for file in ("summary.json", PROGRESS))
    if args.out.exists() and any(path.name != LOCK for path in args.out.iterdir()) and not begun:
        raise UserError(f"{args.out} holds other files: give an empty or a new folder with --out")
    held = held_tree(args.out)
    if held not in (None, tree_seen_from(args.out, args.data)) and any((args.out / "samples").glob("*.npz")):
        raise UserError(
            f"{args.out} was prepared from another tree, or one of the two was moved: give another --out, or remove "
            f"{args.out}"
        )


def tree_seen_from(out, tree):
    """Return the path of a tree as seen from a folder, so that both can move together, however it was typed."""
    return Path(os.path.relpath(tree.resolve(), out.resolve())).as_posix()


def held_tree(out):
    """Return the tree that a folder was prepared from, as seen from there; None where it is not stated."""
    with contextlib.suppress(UserError):
        return load_summary(out).get("tree")
    return read_journal(out / PROGRESS).get("tree")  # of a run that did not come to its end


def heatmaps_of(sample, levels, sigma):
    """Render the heatmaps (C, H / 4, W / 4) of a sample, one per level."""
    channels = [levels.index(level) for level in sample.levels]
    return render(sample.points, channels, len(levels), sample.image.shape, sigma, sample.spacing)


def prepare_scan(scan, source, settings):
    """Make the slice of one scan and save it.

    Parameters
    ----------
    scan : utils.scans.bids.ScanFile
    source : str
        Where it comes from, for tables.
    settings : Settings

    Returns
    -------
    dict or str
        The scan's row of ``samples.tsv``, or the reason why it cannot be used.
    """
    part = "labels"
    try:
        discs = read_discs(scan.label, settings.max_voxels)
        part = "image"
        image = read_scan(scan.image, settings.max_voxels)
        labelled = scan.sidecar.get("ImageDigest")  # labels of other origin have none
        if labelled and labelled != image_digest(scan.image):
            raise ScanError("it has changed since its labels were made: label and review it again")
        part = "labels"
        sample, notes = labelled_sample(scan, image, discs, source, settings.levels, settings.resolution)
    except ScanError as error:
        return f"{part}: {error}"
    file = Path("samples") / f"{scan.name}.npz"
    save_sample(settings.folder / file, sample, heatmaps_of(sample, settings.levels, settings.sigma))
    return {
        "digest": digest((settings.folder / file).read_bytes()),
        "file": str(file), "name": scan.name, "subject": scan.subject, "contrast": scan.contrast, "source": source,
        "levels": ",".join(map(str, sample.levels)), "height": sample.plane.shape[0], "width": sample.plane.shape[1],
        "landmarks": discs.landmarks, "note": "; ".join(notes),
    }  # fmt: skip


def prepare_all(scans, sources, settings, jobs, journal):
    """Prepare scans in ``jobs`` processes, except those done before; returns their results in the same order.

    The cause of a refusal may go away, such as a missing permission: such scans are tried again.
    """
    version = code_version()
    keys = [
        fingerprint(version, settings, scan, source, files=[scan.image, scan.label])
        for scan, source in zip(scans, sources, strict=True)
    ]
    all_results = [journal.results.get(key) for key in keys]
    todo = [index for index, result in enumerate(all_results) if not is_done(result, settings.folder)]
    work = partial(prepare_scan, settings=settings)
    own = [scans[index] for index in todo], [sources[index] for index in todo]
    with processes(jobs) if jobs > 1 else contextlib.nullcontext() as pool:
        results = (pool.map if pool else map)(work, *own)
        for index, result in zip(todo, progress(results, len(todo), "scan"), strict=True):
            all_results[index] = result
            if isinstance(result, dict):
                journal.add(keys[index], result)
    return all_results


def is_done(result, folder):
    """Return whether the sample that a scan's row is of is there: not one that was made with other settings since."""
    if not isinstance(result, dict) or not {"digest", *SAMPLE_COLUMNS} - {"split", "group"} <= set(result):
        return False
    file = folder / str(result["file"])
    return file.is_file() and digest(file.read_bytes()) == result["digest"]


def cells_of(rows, columns):
    """Return dicts as the rows of a table, its head first."""
    return [columns, *([row[column] for column in columns] for row in rows)]


def first_reason(skipped):
    """Return why no scan is left, for a message: the reason of the first one that was left out."""
    return f"the first one: {skipped[0][1]}" if skipped else "it has no sub-*/anat images of these contrasts"


def write(args, rows, listed, records, unmatched):
    """Write tables, summary and previews, and remove what an earlier run left that is not part of this one."""
    left_out = [row for row in listed if row["name"]]
    splits = summarise(rows, args.levels)
    keep = {row["name"] for row in rows}
    for stale in (args.out / "samples").glob("*.npz"):
        if stale.stem not in keep:
            stale.unlink()
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split][:PREVIEWED]
        shown = [load_sample(args.out / row["file"]) for row in chosen]
        sheet = args.out / f"preview_{split}.png"
        if shown:
            title = f"{split}: {len(shown)} of {splits[split]['scans']} scans"
            preview([(sample, heatmaps_of(sample, args.levels, args.sigma)) for sample in shown], sheet, title)
        else:
            sheet.unlink(missing_ok=True)
    if records:
        columns = list(
            dict.fromkeys(column for row in records.values() for column in row if column != "participant_id")
        )
        cells = [[subject, *(row.get(column, "n/a") for column in columns)] for subject, row in records.items()]
        save_table(args.out / "participants.tsv", [["participant_id", *columns], *cells], "\t")
    else:
        (args.out / "participants.tsv").unlink(missing_ok=True)
    save_table(args.out / "samples.tsv", cells_of(rows, SAMPLE_COLUMNS), "\t")
    facts = {key: getattr(args, key) for key in ("resolution", "sigma", "contrasts", "seed")}
    dropped = sum(row["landmarks"] for row in rows)
    counts = {"scans": len(rows), "skipped": len(left_out), "landmarks_dropped": dropped, "splits": splits}
    facts["tree"] = tree_seen_from(args.out, args.data)
    save_json(args.out / "summary.json", {"levels": list(args.levels), **facts, **counts, "unmatched": unmatched})
    print(counts_table(splits, args.contrasts))
    print(f"{len(rows)} scans prepared, {len(left_out)} left out (skipped.tsv says why), in {args.out}")
    for reason, count in Counter(row["reason"] for row in left_out).most_common(5):
        print(f"  {count:4} {reason}")


def main(argv=None):
    """Prepare the data, as the flags say."""
    args = build_parser().parse_args(argv)
    check(args)
    with locked(args.out, "a preparation"):
        prepare(args)


def prepare(args):
    """Prepare the data into a folder that no other process prepares into."""
    found = find_scans(args.data, args.contrasts, args.labels)
    scans, namesakes = apart(found)
    subjects = list(dict.fromkeys(scan.subject for scan in scans))
    records = records_of(args.data, subjects)
    groups, chosen, excluded, unmatched = participant_groups(records, subjects), None, set(), []
    if args.split_file:
        chosen, unknown = match_split(read_split_file(args.split_file), subjects, args.split_file)
        check_together(groups, chosen, args.split_file)
        unmatched += [(entry, "split file") for entry in unknown]
    if args.exclude:
        excluded, unknown = excluded_by(args.exclude, scans)
        unmatched += [(entry, "list to exclude") for entry in unknown]
    folders = " or ".join(map(str, args.labels)) or "derivatives/labels"
    todo, skipped = select(scans, chosen, excluded, folders, args.only_corrected)
    skipped += [(scan, "another image of the tree has the same name: rename one of the two") for scan in namesakes]
    ignored = ignored_images(args.data, args.contrasts, found) + ignored_labels(args.data, args.labels, found)
    if ignored:
        warn(f"{ignored_summary(ignored, args.contrasts)} (ignored.tsv lists all)")
    if unmatched:
        names = ", ".join(f"{entry} ({where})" for entry, where in unmatched[:5])
        warn(f"{len(unmatched)} entries match no subject and no scan: {names}{', ...' if len(unmatched) > 5 else ''}")

    settings = Settings(args.out, args.levels, args.resolution, args.sigma, args.max_voxels)
    sources = [
        next((records[s.subject][c] for c in SOURCE_COLUMNS if c in records.get(s.subject, {})), "") for s in todo
    ]
    sweep(args.out)
    journal = Journal(args.out / PROGRESS)
    journal.add("tree", tree_seen_from(args.out, args.data))  # stated here as long as there is no summary
    summary = args.out / "summary.json"
    before = summary.read_bytes() if summary.exists() else None
    summary.unlink(missing_ok=True)  # no training reads half of one data set and half of another
    results = prepare_all(todo, sources, settings, args.jobs, journal)
    skipped += [(scan, result) for scan, result in zip(todo, results, strict=True) if isinstance(result, str)]
    rows = [result for result in results if isinstance(result, dict)]
    if not rows and before:  # a flag is wrong: no sample has changed
        save_bytes(summary, before)
        journal.finish()
        raise UserError(f"no scan of {args.data} can be used ({first_reason(skipped)}); {args.out} stays as it was")
    listed = [{"name": s.name, "subject": s.subject, "contrast": s.contrast, "reason": reason} for s, reason in skipped]
    for entry, where in unmatched:
        reason = f"named in the {where}, but has no scan"
        listed.append({"name": "", "subject": entry, "contrast": "", "reason": reason})
    save_table(args.out / "skipped.tsv", cells_of(listed, SKIPPED_COLUMNS), "\t")
    save_table(args.out / "ignored.tsv", [("file", "reason"), *((f.as_posix(), why) for f, why in ignored)], "\t")
    if not rows:
        raise UserError(f"no scan of {args.data} can be used ({first_reason(skipped)}); see {args.out / 'skipped.tsv'}")

    used = {row["subject"]: groups[row["subject"]] for row in rows}
    split_of = chosen if chosen is not None else draw_split(used, args.split, args.seed)
    for row in rows:
        row["split"], row["group"] = split_of[row["subject"]], groups[row["subject"]]
    write(args, rows, listed, records, [entry for entry, _ in unmatched])
    if not any(row["split"] == "val" for row in rows):
        warn(
            "the val split is empty, and train.py needs it to select the epoch: prepare again with a second share of "
            "--split above 0, more subjects, or subjects under val in --split-file"
        )
    sweep(args.out)  # processes of a run that was killed may have ended since
    journal.finish()


if __name__ == "__main__":
    run(main)
