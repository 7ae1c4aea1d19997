"""Find and name the intervertebral discs of new scans, and write them as labels in each scan's own space.

The label volumes follow spine-generic and the Spinal Cord Toolbox: one voxel a disc, on its posterior
tip, with the disc's value (3 is C2-C3, 25 is L5-S1).
"""

import argparse
import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from utils.bids import find_scans, read_names
from utils.checkpoint import SHIPPED, code_version
from utils.device import choose_device
from utils.discs import name
from utils.figures import prediction_picture
from utils.files import UserError, run, save_json, save_text
from utils.labeller import load_labeller
from utils.report import Report
from utils.scan import MAX_VOXELS, ScanError, normalise, read_scan, sagittal, slab_offsets, write_discs

TOOL = "disc-labels"
COLUMNS = ("scan", "level", "name", "confidence", "i", "j", "k", "x_mm", "y_mm", "z_mm")


@dataclass
class Job:
    """A scan, and the path of its outputs without their endings."""

    image: Path
    stem: Path


def build_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("scans", nargs="*", type=Path, metavar="SCAN", help="NIfTI files to label")
    parser.add_argument("--data", type=Path, help="label a whole tree in the layout of BIDS instead")
    parser.add_argument("--contrasts", nargs="+", default=["T1w", "T2w"], help="of the images to take from --data")
    parser.add_argument("--weights", type=Path, help="a run's folder, or a checkpoint file (default: those shipped)")
    parser.add_argument("--out", type=Path, default=Path("output/predictions"), help="folder of the labels")
    parser.add_argument("--only", type=Path, help="text file with the names of the scans to label, one a line")
    parser.add_argument("--max-voxels", type=int, default=MAX_VOXELS, help="larger scans are refused unread")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)")
    return parser


def list_jobs(args):
    """Return the scans to label, each with the place of its outputs.

    Raises
    ------
    UserError
        If there is nothing to label, or two scans would write the same files.
    """
    if bool(args.scans) == bool(args.data):
        raise UserError("name scans to label, or a tree with --data, and not both")
    if args.data:
        root = args.out / "derivatives" / TOOL
        found = find_scans(args.data, args.contrasts)
        jobs = [Job(s.image, root / s.image.parent.relative_to(args.data) / s.name) for s in found]
    else:
        jobs = [Job(path, args.out / path.name.removesuffix(".gz").removesuffix(".nii")) for path in args.scans]
    if args.only:
        wanted = read_names(args.only)
        jobs = [job for job in jobs if job.stem.name in wanted]
        if not jobs:
            raise UserError(f"{args.only} names none of the scans: write one name a line, such as sub-01_T2w")
    if not jobs:
        raise UserError(f"{args.data} holds no scan with the contrasts {', '.join(args.contrasts)}")
    stems = [job.stem for job in jobs]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None) if len(set(stems)) < len(stems) else None
    if twice:
        raise UserError(f"two scans are called {twice.name}: label them one by one, each with its own --out")
    return jobs


def outputs(job):
    """Return the paths of label volume, sidecar and picture."""
    labels = job.stem.with_name(job.stem.name + "_label-discs_dlabel.nii.gz")
    return (
        labels,
        labels.with_name(labels.name.removesuffix(".nii.gz") + ".json"),
        job.stem.with_name(job.stem.name + "_discs.png"),
    )


def ours(labels, sidecar):
    """Tell whether a label volume may be written: there is none yet, or its sidecar says that this tool made it."""
    try:
        if not labels.exists():
            return not sidecar.exists()
        return json.loads(sidecar.read_text())["GeneratedBy"][0]["Name"] == TOOL
    except (OSError, ValueError, LookupError, TypeError):
        return False


def label_scan(job, labeller, report, max_voxels):
    """Label one scan, write its outputs and add it to the report; returns its rows of the table.

    Raises
    ------
    ScanError, UserError
        If the scan cannot be read, or its labels cannot be written.
    """
    labels, sidecar, picture = outputs(job)
    if not ours(labels, sidecar):
        raise UserError(f"{labels} was not written by this tool and is left as it is: give another --out")
    scan = read_scan(job.image, max_voxels)
    offsets = slab_offsets(scan)
    images, plane = sagittal(scan, labeller.resolution, offsets=offsets)
    slabs = np.stack([normalise(image) for image in images])
    found = labeller.label(slabs, offsets)
    world = plane.to_world(found.points, found.across)
    # A disc whose place rounds to a voxel beyond the edge is put on the edge.
    voxels = np.clip(scan.to_voxel(world), 0, np.array(scan.data.shape) - 1)
    discs = [
        {
            "level": int(level),
            "name": name(level),
            "confidence": round(float(sure), 4),
            "voxel": [round(float(v), 2) for v in voxel],
            "world_mm": [round(float(w), 2) for w in place],
        }
        for level, sure, voxel, place in zip(found.levels, found.confidence, voxels, world, strict=True)
    ]
    save_json(
        sidecar,
        {
            "GeneratedBy": [{"Name": TOOL, "Version": code_version()}],
            "Model": {
                "Weights": labeller.source.name,
                **labeller.checkpoint["model"],
                "Epoch": labeller.checkpoint["epoch"],
            },
            "Sources": [job.image.name],
            "Resolution_mm": labeller.resolution,
            "MarginToShiftedChain": round(found.margin, 2),
            "Discs": discs,
        },
    )
    write_discs(labels, scan, found.levels, world)
    prediction_picture(slabs[found.slab], found, plane.spacing, picture, job.stem.name)
    report.add(texts_of(job), slabs[found.slab], found, plane.spacing)
    return [[job.stem.name, d["level"], d["name"], d["confidence"], *d["voxel"], *d["world_mm"]] for d in discs]


def texts_of(job):
    """Return what the report says of a scan, from its name in BIDS style."""
    parts = job.stem.name.split("_")
    person = next((part for part in parts if part.startswith("sub-")), "")
    return {"name": job.stem.name, "person": person, "contrast": parts[-1], "source": str(job.image.parent)}


def main(argv=None):
    """Label scans, as the flags say; a scan that fails is listed, and the others go on."""
    args = build_parser().parse_args(argv)
    labeller = load_labeller(args.weights or SHIPPED, choose_device(args.device))
    jobs = list_jobs(args)
    rows, failed, report = [], [], Report(args.out)
    for job in tqdm(jobs, unit="scan", disable=len(jobs) == 1):
        try:
            rows.extend(label_scan(job, labeller, report, args.max_voxels))
        except (ScanError, UserError) as error:
            failed.append((job.image, str(error)))
            report.add_failed(texts_of(job), str(error))
    if args.data:
        description = {
            "Name": "Intervertebral disc labels",
            "BIDSVersion": "1.8.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": TOOL, "Version": code_version()}],
        }
        save_json(args.out / "derivatives" / TOOL / "dataset_description.json", description)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
    save_text(args.out / "discs.csv", table.getvalue())
    facts = [("weights", labeller.source.name), ("scans", f"{len(jobs)}, of which {len(failed)} could not be labelled")]
    report.write(
        "Disc labels: prediction", facts, [("scans labelled", str(len(jobs) - len(failed))), ("discs", str(len(rows)))]
    )
    print(f"{len(jobs) - len(failed)} of {len(jobs)} scans labelled, {len(rows)} discs; see {args.out}")
    for path, reason in failed:
        print(f"not labelled: {path}: {reason}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
