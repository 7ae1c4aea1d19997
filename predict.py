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

from utils import ranks
from utils.bids import find_scans, read_names
from utils.checkpoint import SHIPPED
from utils.device import keep_memory
from utils.discs import name
from utils.files import UserError, run, save_json, save_text, sweep
from utils.labeller import load_labeller
from utils.overlap import leave_a_core, overlapped
from utils.report import Report
from utils.scan import MAX_VOXELS, ScanError, normalise, read_scan, sagittal, slab_offsets, write_discs
from utils.version import code_version

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
    """Return all scans, each with the place of its outputs, and those among them that are to be labelled.

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
    if not jobs:
        raise UserError(f"{args.data} holds no scan with the contrasts {', '.join(args.contrasts)}")
    stems = [job.stem for job in jobs]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None) if len(set(stems)) < len(stems) else None
    if twice:
        raise UserError(f"two scans are called {twice.name}: label them one by one, each with its own --out")
    if not args.only:
        return jobs, jobs
    wanted = read_names(args.only)
    asked = [job for job in jobs if job.stem.name in wanted]
    if not asked:
        raise UserError(f"{args.only} names none of the scans: write one name a line, such as sub-01_T2w")
    return jobs, asked


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
        if not labels.exists() and not sidecar.exists():
            return True
        return json.loads(sidecar.read_text())["GeneratedBy"][0]["Name"] == TOOL
    except (OSError, ValueError, LookupError, TypeError):
        return False


def description():
    """Return how the outputs name this tool, as BIDS wants it."""
    return [{"Name": TOOL, "Version": code_version()}]


class Labelling:
    """The three stages of labelling one scan.

    Parameters
    ----------
    labeller : utils.labeller.Labeller
    report : utils.report.Report
    max_voxels : int
    """

    def __init__(self, labeller, report, max_voxels):
        self.labeller, self.report, self.max_voxels = labeller, report, max_voxels
        self.made_by = description()
        self.model = {
            "Weights": labeller.source.name, **labeller.checkpoint["model"], "Epoch": labeller.checkpoint["epoch"],
            "Digest": labeller.checkpoint["digest"],
        }  # fmt: skip

    def done(self, job):
        """Tell whether this version labelled the scan already, with these weights, and to the end."""
        labels, sidecar, picture = outputs(job)
        try:
            told = json.loads(sidecar.read_text())
            image = job.image.stat()
            # A copy may bring an old date of its contents along, but not of its own coming.
            newer = sidecar.stat().st_mtime >= max(image.st_mtime, image.st_ctime)
            made = told.get("GeneratedBy"), told.get("Model"), told.get("Sources")
        except (OSError, ValueError, AttributeError):
            return False
        same = made == (
            self.made_by, self.model, [job.image.name],
        )  # fmt: skip
        whole = labels.exists() and picture.exists() and Report(self.report.folder).recall(texts_of(job))
        return newer and same and whole

    def read(self, job):
        """Read a scan and cut it into slabs; returns scan, plane, slabs and offsets.

        Raises
        ------
        ScanError, UserError
            If it cannot be read, or its labels would replace those of others.
        """
        labels, sidecar, _ = outputs(job)
        if not ours(labels, sidecar):
            raise UserError(f"{labels} was not written by this tool and is left as it is: give another --out")
        scan = read_scan(job.image, self.max_voxels)
        offsets = slab_offsets(scan)
        images, plane = sagittal(scan, self.labeller.resolution, offsets=offsets)
        return scan, plane, np.stack([normalise(image) for image in images]), offsets

    def compute(self, _, ready):
        """Find and name the discs."""
        scan, plane, slabs, offsets = ready
        return scan, plane, slabs, self.labeller.label(slabs, offsets)

    def write(self, job, result):
        """Write sidecar, labels and picture, and last of all the scan's entry in the report."""
        # Matplotlib takes a fifth of the start: it is loaded while the next scan is computed.
        from utils.figures import prediction_picture

        scan, plane, slabs, found = result
        labels, sidecar, picture = outputs(job)
        self.report.forget(texts_of(job))
        world = plane.to_world(found.points, found.across)
        # A disc whose place rounds to a voxel beyond the edge is put on the edge.
        voxels = np.clip(scan.to_voxel(world), 0, np.array(scan.data.shape) - 1)
        discs = [
            {
                "level": int(level), "name": name(level), "confidence": round(float(sure), 4),
                "voxel": [round(float(v), 2) for v in voxel], "world_mm": [round(float(w), 2) for w in place],
            }
            for level, sure, voxel, place in zip(found.levels, found.confidence, voxels, world, strict=True)
        ]  # fmt: skip
        told = {
            "GeneratedBy": self.made_by, "Model": self.model, "Sources": [job.image.name],
            "Resolution_mm": self.labeller.resolution, "MarginToShiftedChain": round(found.margin, 2), "Discs": discs,
        }  # fmt: skip
        save_json(sidecar, told)
        write_discs(labels, scan, found.levels, world)
        prediction_picture(slabs[found.slab], found, plane.spacing, picture, job.stem.name)
        self.report.add(texts_of(job), slabs[found.slab], found, plane.spacing)


def rows_of(job):
    """Return a labelled scan's rows of the table."""
    discs = json.loads(outputs(job)[1].read_text())["Discs"]
    return [[job.stem.name, d["level"], d["name"], d["confidence"], *d["voxel"], *d["world_mm"]] for d in discs]


def texts_of(job):
    """Return what the report says of a scan, from its name in BIDS style."""
    parts = job.stem.name.split("_")
    person = next((part for part in parts if part.startswith("sub-")), "")
    return {"name": job.stem.name, "person": person, "contrast": parts[-1], "source": str(job.image.parent)}


def main(argv=None):
    """Label scans, as the flags say; a scan that fails is listed, and the others go on."""
    args = build_parser().parse_args(argv)
    labeller = load_labeller(args.weights or SHIPPED, ranks.join(args.device))
    keep_memory()
    (jobs, asked), first = list_jobs(args), ranks.rank() == 0
    if first:
        sweep(args.out)
    work = Labelling(labeller, Report(args.out), args.max_voxels)
    # Shared twice, so that after an interruption nobody is left with most of the rest.
    undone = ranks.gather([job for job in ranks.deal(asked) if not work.done(job)])
    todo = ranks.deal([job for share in undone for job in share])
    failed = {}
    if len(asked) > 1:
        leave_a_core()
    stages = overlapped(todo, work.read, work.compute, work.write, (ScanError, UserError))
    for job, error in tqdm(stages, total=len(todo), unit="scan", disable=len(asked) == 1 or not first):
        if error:
            failed[job.stem] = str(error)
    failures = ranks.gather(failed)
    ranks.leave()
    if not first:
        return 0
    failed = {stem: reason for part in failures for stem, reason in part.items()}
    return summarise(args, work, jobs, asked, failed, len(asked) - sum(map(len, undone)))


def summarise(args, work, jobs, asked, failed, before):
    """Write the table and the page of all scans, and print what became of those asked for; returns the exit status."""
    if args.data:
        facts = {"Name": "Intervertebral disc labels", "BIDSVersion": "1.8.0", "DatasetType": "derivative"}
        save_json(args.out / "derivatives" / TOOL / "dataset_description.json", {**facts, "GeneratedBy": work.made_by})
    rows, report, stems = [], Report(args.out), {job.stem for job in asked}
    for job in jobs:
        if job.stem in failed:
            report.add_failed(texts_of(job), failed[job.stem])
        elif report.recall(texts_of(job)):  # one that was not asked for may have been labelled before
            rows.extend(rows_of(job))
        elif job.stem in stems:
            raise UserError(f"{args.out} was removed or emptied while it was in use: run it again")
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
    save_text(args.out / "discs.csv", table.getvalue())
    source, labelled = work.labeller.source.name, len(asked) - len(failed)
    facts = [
        ("weights", f"{source}, epoch {work.model['Epoch']}, {work.model['Digest'][:8]}"),
        ("scans", f"{len(report.scans)}, of which {len(failed)} could not be labelled"),
        ("software", code_version()),
    ]
    flagged = sum(bool(scan["flags"]) for scan in report.scans)
    counts = {"scans labelled": len(report.scans) - len(failed), "discs": len(rows), "scans with a flag": flagged}
    headline = [(label, str(count)) for label, count in counts.items()]
    report.write("Disc labels: prediction", facts, headline)
    earlier = f" ({before} of them before, with the same weights)" if before else ""
    print(f"{labelled} of {len(asked)} scans labelled{earlier}, {len(rows)} discs; see {args.out}")
    for job in jobs:
        if job.stem in failed:
            print(f"not labelled: {job.image}: {failed[job.stem]}", file=sys.stderr)
    empty = sum(scan["n_discs"] == 0 for scan in report.scans) - len(failed)
    unsure = sum(bool({"low confidence", "level unsure"} & set(scan["flags"])) for scan in report.scans)
    if empty or unsure:
        unsure_ones = f"{unsure} with discs or levels that are unsure"
        print(f"look at these first: {empty} without any disc, {unsure_ones} (report.html)")
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
