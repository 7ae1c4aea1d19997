"""Run the comparisons of the README and print their tables: cross-validation, networks side by side, and more.

Everything is made by the scripts themselves, in folders under --out; what is there already is not made again.
"""

import argparse
import itertools
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from skimage.transform import resize

sys.path.insert(0, str(Path(__file__).parents[1]))

import evaluate  # noqa: E402
import prepare_spinegeneric  # noqa: E402
import train  # noqa: E402
from prepare_spinegeneric import read_split_file  # noqa: E402
from utils.discs import LEVELS, parse_levels  # noqa: E402
from utils.evaluation.intervals import differences  # noqa: E402
from utils.evaluation.metrics import NEAR_MM, Case, compare  # noqa: E402
from utils.evaluation.tables import (  # noqa: E402
    comparison_table,
    disc_rows,
    interval_line,
    labelled_table,
    markdown,
    share,
)
from utils.inference.checkpoint import SHIPPED  # noqa: E402
from utils.inference.labeller import load_labeller  # noqa: E402
from utils.scans.bids import find_scans  # noqa: E402
from utils.scans.nifti import Scan, read_scan  # noqa: E402
from utils.scans.sagittal import normalise, slabs_of  # noqa: E402
from utils.scans.sample import load_split  # noqa: E402
from utils.synthesis.anatomy import generate_anatomy  # noqa: E402
from utils.synthesis.canvas import PIXEL_MM  # noqa: E402
from utils.synthesis.volumes import choose_field_of_view, generate_volume  # noqa: E402
from utils.system.files import run, save_json, save_table, save_text  # noqa: E402
from utils.system.flags import Help  # noqa: E402
from utils.system.numbers import number  # noqa: E402
from utils.training.runs import holds_run  # noqa: E402

NETWORKS = {
    "hourglass with attention, 2 stacks": ["--model", "hourglass_attention", "--stacks", "2"],
    "hourglass, 2 stacks": ["--model", "hourglass", "--stacks", "2"],
    "hourglass with attention, 1 stack": ["--model", "hourglass_attention", "--stacks", "1"],
    "U-Net": ["--model", "unet"],
    "BCDU-Net": ["--model", "bcdunet"],
}


def build_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    add = partial(parser.add_subparsers(dest="kind", required=True).add_parser, formatter_class=Help)
    folds = add("folds", help="cross-validation over subjects: every disc is scored once")
    folds.add_argument("--data", type=Path, required=True, help="a tree laid out like spine-generic")
    folds.add_argument("--folds", type=Path, required=True, help="JSON file: a list of lists of subjects")
    folds.add_argument("--levels", type=parse_levels, default=LEVELS, help="discs to score")
    folds.add_argument("--learn", type=parse_levels, help="discs to learn (default: all)")
    folds.add_argument("--by", default="contrast", help="group scans by this column")
    few = add("few", help="what a few labelled scans bring, from shipped weights and from nothing")
    few.add_argument("--data", type=Path, required=True, help="a tree laid out like spine-generic")
    few.add_argument("--split-file", type=Path, required=True, help="its split, by subject")
    few.add_argument("--levels", type=parse_levels, default=LEVELS, help="discs to score")
    few.add_argument("--sizes", type=int, nargs="+", default=[5, 10, 29], help="people to train on")
    networks = add("networks", help="equal small trainings of all networks, with and without the search")
    networks.add_argument("--data", type=Path, required=True, help="a prepared data set")
    networks.add_argument("--seeds", type=int, default=3, help="trainings of each")
    lateral = add("lateral", help="errors in space on synthetic people with scoliosis, off the centre")
    lateral.add_argument("--weights", type=Path, required=True, help="a run's folder")
    lateral.add_argument("--people", type=int, default=20, help="with two scans each")
    strange = add("strange", help="what is found where there is no spine, or none as it should be")
    strange.add_argument("--data", type=Path, required=True, help="a tree laid out like spine-generic")
    strange.add_argument("--split-file", type=Path, required=True, help="its split; scans of train and val are taken")
    strange.add_argument("--weights", type=Path, default=SHIPPED, help="a run's folder, or a checkpoint file")
    for kind in (folds, few, networks):
        kind.add_argument("--out", type=Path, required=True, help="folder of the trainings")
        kind.add_argument("flags", nargs="*", default=[], help="flags for train.py, after --")
    return parser


def trained(data, out, flags):
    """Train a run unless it is there already, and go on with one that was interrupted."""
    if holds_run(out):
        if "--init" in flags:
            at = flags.index("--init")
            named = flags[at + 1 : at + 2] and not flags[at + 1].startswith("--")
            flags = flags[:at] + flags[at + 1 + bool(named) :]
        flags = [*flags, "--resume"]
    if not (out / "convergence.gif").exists():
        status = train.main(["--data", str(data), "--out", str(out), *flags])
        if status:  # stopped: the next call goes on
            sys.exit(status)
    return load_labeller(out)


def cases_of(labeller, data, split="test"):
    """Label a split; returns its cases."""
    return [Case.of(sample, labeller.label(sample.slabs, sample.offsets)) for sample in load_split(data, split)]


def cross_validate(args):
    """Train once for each fold, on the others, and print the scores of all folds together."""
    folds = json.loads(args.folds.read_text())
    cases, groups = [], {}
    for index, test in enumerate(folds):
        # The last three subjects of the next fold choose the epoch and calibrate the confidence.
        val = folds[(index + 1) % len(folds)][-3:]
        rest = [subject for fold in folds for subject in fold if subject not in [*test, *val]]
        data, split = args.out / f"data{index}", args.out / f"split{index}.json"
        if not (data / "summary.json").exists():
            save_json(split, {"train": rest, "val": val, "test": test})
            flags = ["--data", str(args.data), "--out", str(data), "--split-file", str(split)]
            prepare_spinegeneric.main(flags + (["--levels", ",".join(map(str, args.learn))] if args.learn else []))
        labeller = trained(data, args.out / f"fold{index}", args.flags)
        groups.update(evaluate.groups_of(data, load_split(data, "test"), args.by))
        cases += cases_of(labeller, data)
    by_group = {group: [c for c in cases if groups[c.name] == group] for group in sorted(set(groups.values()))}
    levels, spacing = list(args.levels), labeller.resolution
    scores = {group: evaluate.score(own, levels, "labelled", spacing) for group, own in by_group.items()}
    scores["all"] = evaluate.score(cases, levels, "labelled", spacing)
    scores["all, every labelled level"] = evaluate.score(cases, list(LEVELS), "labelled", spacing)
    table = labelled_table(scores)
    rows = [row for case in cases for row in compare(case, levels)]
    save_table(args.out / "discs.csv", disc_rows(rows))
    save_text(args.out / "table.md", f"{table}\n")
    save_json(args.out / "metrics.json", scores)
    print(table)
    print(interval_line(scores["all"]))


def train_on_few(args):
    """Train on a few people of a split, from the weights that come with it and from nothing; print both scores."""
    split = json.loads(args.split_file.read_text())
    order = np.random.default_rng(0).permutation(split["train"]).tolist()
    shape = load_labeller(SHIPPED).checkpoint["model"]
    alike = [flag for key in ("stacks", "features") for flag in (f"--{key}", str(shape[key]))]
    # Who starts from nothing learns longer, at the default rate, and only what is scored: the heatmaps of levels that
    # no scan shows would be left to chance.
    starts = {
        "nothing": ([*alike, "--epochs", "30"], args.levels),
        "shipped weights": (["--init", "--epochs", "10", "--lr", "1e-4"], LEVELS),
    }
    scores, rows = {}, {}
    for size in args.sizes:
        file = args.out / f"split{size}.json"
        save_json(file, {**split, "train": order[:size]})
        for start, (flags, levels) in starts.items():
            out = args.out / f"{start.split()[0]}{size}"
            data = out.with_name(f"{out.name}_data")
            if not (data / "summary.json").exists():
                prepare_spinegeneric.main([
                    "--data", str(args.data), "--out", str(data), "--split-file", str(file),
                    "--levels", ",".join(map(str, levels)),
                ])  # fmt: skip
            labeller = trained(data, out, [*flags, *args.flags])
            cases = cases_of(labeller, data)
            label = f"{size} people, from {start}"
            scores[label] = evaluate.score(cases, list(args.levels), "labelled", labeller.resolution)
            found = [row for case in cases for row in compare(case, args.levels)]
            rows[label] = [(row.case.subject, row.outcome, row.error) for row in found]
    save_text(args.out / "table.md", f"{labelled_table(scores)}\n")
    print(labelled_table(scores))
    for size in args.sizes:
        names = [f"{size} people, from {start}" for start in starts]
        print(comparison_table(*names, differences(*(rows[label] for label in names))))


def compare_networks(args):
    """Train every network alike with several seeds, and print what they reach with and without the search."""
    rows = []
    for label, shape in NETWORKS.items():
        found = {True: [], False: []}
        for seed in range(args.seeds):
            out = args.out / f"{label.replace(' ', '_').replace(',', '')}_{seed}"
            labeller = trained(args.data, out, [*shape, "--seed", str(seed), *args.flags])
            cases = {True: [], False: []}
            for sample in load_split(args.data, "test"):
                heatmaps, _ = labeller.heatmaps(sample.slabs)
                for labeller.searching in cases:
                    prediction = labeller.discs(heatmaps, sample.offsets, sample.image.shape)
                    cases[labeller.searching].append(Case.of(sample, prediction))
            for searching, own in cases.items():
                found[searching].append(evaluate.score(own, list(labeller.levels), "labelled", labeller.resolution))
        size = sum(parameter.numel() for parameter in labeller.network.parameters()) / 1e6
        n = f"{found[True][0]['n_true']} discs x {args.seeds}"
        rows.append([label, f"{size:.2f} M", n, *cells(found[True]), *cells(found[False])])
        head = ["", "parameters", "N", "identified % (SD over seeds)", "FP %", "DTT mean, mm"]
        save_text(args.out / "table.md", markdown([*head, *(f"{h}, no search" for h in head[3:])], rows) + "\n")
    print((args.out / "table.md").read_text())


def cells(scores):
    """Return mean and spread over seeds of the share identified, and means of false positives and distance."""
    shares = 100 * np.array([s["identified"] for s in scores])
    spread = f" ({number(shares.std(ddof=1))})" if len(shares) > 1 else ""
    false, distance = (np.mean([s[key] for s in scores]) for key in ("fp_rate", "dtt_mean"))
    return [f"{shares.mean():.1f}{spread}", f"{100 * false:.1f}", number(distance)]


def score_lateral(args):
    """Score discs in space on scans of curved spines 15 mm off the middle of the volume."""
    labeller, errors, n_true, index = load_labeller(args.weights), [], 0, 0
    for seed in itertools.count():
        rng = np.random.default_rng([9, seed])
        anatomy = generate_anatomy(rng)
        curve = np.interp(anatomy.points[2:, 0], np.arange(len(anatomy.shift)) * PIXEL_MM, anatomy.shift)
        if np.ptp(curve) < 12:
            continue
        for contrast, voxel in (("T1w", 1.0), ("T2w", 0.8)):
            field = choose_field_of_view(rng, anatomy)
            beside = rng.choice([-15, 15])
            volume = generate_volume(rng, anatomy, contrast, field, [voxel] * 3, rng.uniform(-5, 5, 3), beside)
            scan = Scan(Path("phantom"), volume.data, volume.affine)
            slabs, offsets, plane = slabs_of(scan, labeller.resolution)
            found = labeller.label(slabs, offsets)
            world = dict(zip(found.levels, plane.to_world(found.points, found.across), strict=True))
            for level, true in zip(volume.levels, volume.voxels, strict=True):
                # A curved spine may leave the volume: what is not in it cannot be found.
                if 0 < true[0] < volume.data.shape[0] - 1:
                    n_true += 1
                    if level in world:
                        errors.append(np.linalg.norm(world[level] - apply_affine(volume.affine, true)))
        index += 1
        if index == args.people:
            break
    near = np.array([error for error in errors if error <= NEAR_MM])
    print(
        f"found within 10 mm in space: {share(len(near), n_true)}; of those {near.mean():.2f} ({near.std(ddof=1):.2f})"
    )
    print(f"of all found at their own level: {np.mean(errors):.2f} ({np.std(errors, ddof=1):.2f}) mm, N={len(errors)}")


def score_strange(args):
    """Print how many discs are found, and how surely, on scans turned in ways that no scan is, and on noise."""
    labeller, split_of = load_labeller(args.weights), read_split_file(args.split_file)
    rng, kinds = np.random.default_rng(0), {}
    for file in find_scans(args.data, ["T1w", "T2w"]):
        if split_of.get(file.subject) not in ("train", "val"):
            continue
        scan = read_scan(file.image)
        slabs, offsets, _ = slabs_of(scan, labeller.resolution)
        ways = {
            "as it is": slabs, "upside down": slabs[:, ::-1], "mirrored front to back": slabs[:, :, ::-1],
            "axial": axial(scan, len(offsets)), "noise": rng.rayleigh(0.2, slabs.shape), "blank": np.zeros_like(slabs),
        }  # fmt: skip
        for way, images in ways.items():
            kinds.setdefault(way, []).append(labeller.label(np.ascontiguousarray(images, np.float32), offsets))
    rows = []
    for way, found in kinds.items():
        sure = np.concatenate([one.confidence for one in found])
        empty = sum(len(one.levels) == 0 for one in found)
        highest = f"{sure.max():.2f}" if len(sure) else ""
        n = len(found)
        rows.append([way, n, share(empty, n), f"{len(sure) / n:.1f}", share((sure >= 0.9).sum(), len(sure)), highest])
    head = ["scans", "N", "without any disc, %", "discs a scan", "confidence 0.9 or more, %", "highest confidence"]
    print(markdown(head, rows))


def axial(scan, count):
    """Return axial slices (S, H, W) of a scan, in 0..1, with pixels of a millimetre."""
    across, along, _ = np.linalg.norm(scan.affine[:3, :3], axis=0)
    places = np.linspace(0.3, 0.7, count) * (scan.data.shape[2] - 1)
    size = [max(64, round(length * mm)) for length, mm in zip(scan.data.shape[:2], (across, along), strict=True)]
    return np.stack([normalise(resize(scan.data[:, :, int(place)].astype(float), size)) for place in places])


def main(argv=None):
    """Run a comparison, as the flags say."""
    args = build_parser().parse_args(argv)
    kinds = {
        "folds": cross_validate, "few": train_on_few, "networks": compare_networks, "lateral": score_lateral,
        "strange": score_strange,
    }  # fmt: skip
    kinds[args.kind](args)


if __name__ == "__main__":
    run(main)
