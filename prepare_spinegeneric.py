"""Turn the scans and disc labels of spine-generic, or of any tree laid out like it, into slices to train on.

Each scan becomes upright sagittal slices in mm, side by side, with its discs and their heatmaps, in
``dataset/NAME/samples``. Scans that cannot be used are listed in ``skipped.tsv``, with the reason.
"""

import contextlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from utils.discs import LEVELS, name, parse_levels
from utils.inference.heatmaps import render
from utils.report.figures import preview
from utils.scans.bids import find_scans, participants, read_names
from utils.scans.labels import read_discs
from utils.scans.nifti import MAX_VOXELS, ScanError, read_scan
from utils.scans.sagittal import normalise, sagittal, slabs_of
from utils.scans.sample import UNKNOWN, Sample, level_states, load_sample, save_sample
from utils.system.files import UserError, run, save_bytes, save_json, save_table, sweep
from utils.system.flags import new_parser, whole_number
from utils.system.journal import Journal, fingerprint
from utils.system.pool import processes
from utils.system.progress import progress
from utils.system.version import code_version

SPLITS = ("train", "val", "test")
PROGRESS = "progress.jsonl"  # there while a data set is not complete
PREVIEWED = 12  # slices a preview sheet
SOURCE_COLUMNS = ("source", "institution_id", "institution")
SAMPLE_COLUMNS = ("file", "name", "subject", "contrast", "source", "split", "levels", "height", "width", "landmarks")
SKIPPED_COLUMNS = ("name", "subject", "contrast", "reason")


@dataclass
class Settings:
    """What every slice is made with."""

    folder: Path
    levels: tuple
    resolution: float
    sigma: float
    max_voxels: int = MAX_VOXELS


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python prepare_spinegeneric.py --data TREE --out dataset/NAME")
    tree = parser.add_argument_group("input")
    tree.add_argument("--data", type=Path, required=True, help="root of the tree, with sub-* and derivatives/labels")
    tree.add_argument("--contrasts", nargs="+", default=["T1w", "T2w"], help="images to take")
    tree.add_argument("--exclude", type=Path, help="text file with a subject or an image a line to leave out")
    tree.add_argument("--max-voxels", type=int, default=MAX_VOXELS, help="larger volumes are refused unread")
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
    splits.add_argument("--seed", type=whole_number, default=0, help="of the split")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, required=True, help="folder of the prepared data, such as dataset/NAME")
    output.add_argument("--jobs", type=int, default=1, help="processes")
    return parser


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
    if scan.label is None:
        return "it has no disc labels under derivatives/labels"
    try:
        levels, world, landmarks = read_discs(scan.label, settings.max_voxels)
    except ScanError as error:
        return f"labels: {error}"
    try:
        image = read_scan(scan.image, settings.max_voxels)
    except ScanError as error:
        return f"image: {error}"
    images, plane = sagittal(image, settings.resolution, through=world)
    points, across = plane.to_pixel(world)
    if (np.diff(points[:, 0]) <= 0).any():
        below = int(np.argmax(np.diff(points[:, 0]) <= 0))
        return f"labels: {name(levels[below + 1])} does not lie below {name(levels[below])}"
    inside = ((points > -1) & (points < plane.shape)).all(1)
    if not inside.all():
        return f"labels: {name(levels[~inside][0])} lies outside of the image"
    states = level_states(points, levels, plane.shape, plane.spacing)
    wanted = np.isin(levels, settings.levels)
    if not wanted.any():
        return "labels: none of its discs is among the levels asked for"
    states[levels[~wanted]] = UNKNOWN  # it is in view, but without a point there is nothing to judge it by
    # What a prediction sees, which has no labels to find the plane by.
    slabs, offsets, middle = slabs_of(image, settings.resolution)
    offsets = offsets + (middle.origin - plane.origin) @ plane.across
    sample = Sample(
        scan.name, scan.subject, scan.contrast, source, normalise(images[0]), points[wanted], levels[wanted], states,
        across[wanted], plane, slabs, offsets,
    )  # fmt: skip
    file = Path("samples") / f"{scan.name}.npz"
    save_sample(settings.folder / file, sample, heatmaps_of(sample, settings.levels, settings.sigma))
    shape = {"height": plane.shape[0], "width": plane.shape[1]}
    return {
        "file": str(file),
        "name": scan.name,
        "subject": scan.subject,
        "contrast": scan.contrast,
        "source": source,
        "levels": ",".join(map(str, sample.levels)),
        **shape,
        "landmarks": landmarks,
    }


def heatmaps_of(sample, levels, sigma):
    """Render the heatmaps (C, H / 4, W / 4) of a sample, one a level."""
    channels = [levels.index(level) for level in sample.levels]
    return render(sample.points, channels, len(levels), sample.image.shape, sigma, sample.spacing)


def read_split_file(path):
    """Return {subject: split} from a JSON file {"train": [subjects], "val": [...], "test": [...]}."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        split_of = {}
        for split in SPLITS:
            subjects = content.get(split, [])
            if not isinstance(subjects, list):
                raise ValueError
            for subject in map(str, subjects):
                if subject in split_of:
                    raise UserError(f"{path} names {subject} twice: keep one of the two")
                split_of[subject] = split
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        raise UserError(f'{path} is no split: write JSON like {{"train": ["sub-01"], "val": [], "test": []}}') from None
    strange = set(content) - set(SPLITS)
    if strange:
        raise UserError(f"{path} has a split called {sorted(strange)[0]!r}: name them train, val and test")
    return split_of


def draw_split(groups, shares, seed):
    """Deal subjects into splits.

    Parameters
    ----------
    groups : dict
        Subject to a group whose subjects must stay together (the same one scanned under several names).
    shares : three floats
        Of the groups, for train, val and test.
    seed : int

    Returns
    -------
    dict
        Subject to split.
    """
    names = sorted(set(groups.values()))
    order = np.random.default_rng(seed).permutation(len(names))
    ends = np.round(np.cumsum(shares) / np.sum(shares) * len(names)).astype(int)
    if len(names) >= 3:  # none of the three is empty if it is wanted and there are subjects enough
        ends[0] = np.clip(ends[0], shares[0] > 0, len(names) - (shares[1] > 0) - (shares[2] > 0))
        ends[1] = np.clip(ends[1], ends[0] + (shares[1] > 0), len(names) - (shares[2] > 0))
    split_of = {
        names[index]: SPLITS[int(np.searchsorted(ends, place, side="right"))] for place, index in enumerate(order)
    }
    return {subject: split_of[group] for subject, group in groups.items()}


def cells_of(rows, columns):
    """Return dicts as the rows of a table, its head first."""
    return [columns, *([row[column] for column in columns] for row in rows)]


def summarise(rows, skipped, args):
    """Return what `summary.json` holds: the settings, and counts by split, contrast and level."""
    splits = {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        levels = Counter(level for row in chosen for level in row["levels"].split(","))
        splits[split] = {
            "subjects": len({row["subject"] for row in chosen}),
            "scans": len(chosen),
            "discs": sum(levels.values()),
            "by_contrast": dict(sorted(Counter(row["contrast"] for row in chosen).items())),
            "by_level": {str(level): levels[str(level)] for level in args.levels},
        }
    return {
        "levels": list(args.levels),
        "resolution": args.resolution,
        "sigma": args.sigma,
        "contrasts": args.contrasts,
        "seed": args.seed,
        "scans": len(rows),
        "skipped": len(skipped),
        "landmarks_dropped": sum(row["landmarks"] for row in rows),
        "splits": splits,
    }


def print_counts(summary):
    """Print the table of counts."""
    contrasts = summary["contrasts"]
    print(f"{'split':8}{'subjects':>9}{'scans':>7}{'discs':>7}" + "".join(f"{contrast:>7}" for contrast in contrasts))
    for split, counts in summary["splits"].items():
        line = f"{split:8}{counts['subjects']:9}{counts['scans']:7}{counts['discs']:7}"
        print(line + "".join(f"{counts['by_contrast'].get(contrast, 0):7}" for contrast in contrasts))


def check(args):
    """Refuse flags that make no sense, in a sentence."""
    if not args.data.is_dir():
        raise UserError(f"{args.data} is no folder: give the root of the data set with --data")
    if min(args.split) < 0 or sum(args.split) <= 0:
        raise UserError("--split takes three shares that are not negative and not all zero")
    if not 0.1 <= args.resolution <= 10 or not 0.5 <= args.sigma <= 50:
        raise UserError("--resolution takes 0.1 to 10 mm, and --sigma 0.5 to 50 mm")
    begun = any((args.out / file).exists() for file in ("summary.json", PROGRESS))
    if args.out.exists() and any(args.out.iterdir()) and not begun:
        raise UserError(f"{args.out} holds other files: give an empty or a new folder with --out")


def main(argv=None):
    """Prepare the data, as the flags say."""
    args = build_parser().parse_args(argv)
    check(args)
    people = participants(args.data)
    scans = find_scans(args.data, args.contrasts)
    scans, namesakes = apart(scans)
    excluded = read_names(args.exclude) if args.exclude else set()
    chosen = read_split_file(args.split_file) if args.split_file else None

    skipped = [(scan, "another image of the tree has the same name: rename one of the two") for scan in namesakes]
    todo = []
    for scan in scans:
        if scan.subject in excluded or scan.name in excluded:
            skipped.append((scan, "excluded by the list"))
        elif chosen is not None and scan.subject not in chosen:
            skipped.append((scan, "its subject is not named in the split file"))
        else:
            todo.append(scan)
    settings = Settings(args.out, args.levels, args.resolution, args.sigma, args.max_voxels)
    sources = [
        next((people.get(scan.subject, {}).get(c) for c in SOURCE_COLUMNS if c in people.get(scan.subject, {})), "")
        for scan in todo
    ]
    sweep(args.out)
    journal = Journal(args.out / PROGRESS)
    (args.out / "summary.json").unlink(missing_ok=True)  # nobody trains on half of one data set and half of another
    results = prepare_all(todo, sources, settings, args.jobs, journal)
    skipped += [(scan, result) for scan, result in zip(todo, results, strict=True) if isinstance(result, str)]
    rows = [result for result in results if isinstance(result, dict)]
    listed = [{"name": s.name, "subject": s.subject, "contrast": s.contrast, "reason": reason} for s, reason in skipped]
    subjects_found = {scan.subject for scan in scans}
    strangers = [(subject, "split file") for subject in sorted(set(chosen or {}) - subjects_found)]
    strangers += [
        (word, "list to exclude") for word in sorted(excluded - subjects_found - {scan.name for scan in scans})
    ]
    for word, where in strangers:
        listed.append({"name": "", "subject": word, "contrast": "", "reason": f"named in the {where}, but has no scan"})
    save_table(args.out / "skipped.tsv", cells_of(listed, SKIPPED_COLUMNS), "\t")
    if not rows:
        first = f"the first one: {listed[0]['reason']}" if listed else "it has no sub-*/anat images of these contrasts"
        raise UserError(f"no scan of {args.data} can be used ({first}); see {args.out / 'skipped.tsv'}")

    groups = {row["subject"]: people.get(row["subject"], {}).get("same_person_group") or row["subject"] for row in rows}
    split_of = chosen if chosen is not None else draw_split(groups, args.split, args.seed)
    for row in rows:
        row["split"] = split_of[row["subject"]]
    write(args, rows, listed)
    sweep(args.out)  # processes of a run that was killed may have ended since
    journal.finish()


def apart(scans):
    """Return the first scan of each name, and the others: two would be one file, and one scan counted twice."""
    first = {}
    for scan in scans:
        first.setdefault(scan.name, scan)
    kept = list(first.values())
    return kept, [scan for scan in scans if first[scan.name] is not scan]


def prepare_all(scans, sources, settings, jobs, journal):
    """Prepare scans in ``jobs`` processes, but for those done before; returns their results in the same order."""
    version = code_version()
    keys = [
        fingerprint(version, settings, scan, source, files=[file for file in (scan.image, scan.label) if file])
        for scan, source in zip(scans, sources, strict=True)
    ]
    todo = [index for index, key in enumerate(keys) if not is_done(journal.results.get(key), settings.folder)]
    work = partial(prepare_scan, settings=settings)
    own = [scans[index] for index in todo], [sources[index] for index in todo]
    with processes(jobs) if jobs > 1 else contextlib.nullcontext() as pool:
        results = (pool.map if pool else map)(work, *own)
        for index, result in zip(todo, progress(results, len(todo), "scan"), strict=True):
            journal.add(keys[index], result)
    return [journal.results[key] for key in keys]


def is_done(result, folder):
    """Tell whether a scan was found unusable, or its slice is there."""
    made = isinstance(result, dict) and set(SAMPLE_COLUMNS) - {"split"} <= set(result)
    return isinstance(result, str) or (made and (folder / str(result["file"])).is_file())


def write(args, rows, listed):
    """Write tables, summary and previews, and remove what an earlier run left that is not part of this one."""
    summary = summarise(rows, listed, args)
    keep = {row["name"] for row in rows}
    for stale in (args.out / "samples").glob("*.npz"):
        if stale.stem not in keep:
            stale.unlink()
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split][:PREVIEWED]
        shown = [load_sample(args.out / row["file"]) for row in chosen]
        sheet = args.out / f"preview_{split}.png"
        if shown:
            title = f"{split}: {len(shown)} of {summary['splits'][split]['scans']} scans"
            preview([(sample, heatmaps_of(sample, args.levels, args.sigma)) for sample in shown], sheet, title)
        else:
            sheet.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # a table that is not there, or that was told when it could not be read
        table = (args.data / "participants.tsv").read_bytes()
        save_bytes(args.out / "participants.tsv", table)
    save_table(args.out / "samples.tsv", cells_of(rows, SAMPLE_COLUMNS), "\t")
    save_json(args.out / "summary.json", summary)
    print_counts(summary)
    print(f"{len(rows)} scans prepared, {len(listed)} left out (skipped.tsv says why), in {args.out}")
    for reason, count in Counter(row["reason"] for row in listed).most_common(5):
        print(f"  {count:4} {reason}")


if __name__ == "__main__":
    run(main)
