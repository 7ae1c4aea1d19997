"""Find and label the intervertebral discs of scans, and write the labels in each scan's own space.

The label volumes follow spine-generic and the Spinal Cord Toolbox: one voxel per disc, on its posterior
tip, with the disc's value (3 is C2-C3, 25 is L5-S1).
"""

from pathlib import Path

from utils.discs import FIRST, LAST
from utils.inference.shipped import SHIPPED
from utils.scans.limits import MAX_VOXELS
from utils.system.flags import natural_number, new_parser, output_folder


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python predict.py scan.nii.gz")
    scans = parser.add_argument_group("input")
    scans.add_argument("scans", nargs="*", type=Path, metavar="SCAN", help="NIfTI files to label")
    scans.add_argument("--data", type=Path, help="label a whole tree in the layout of BIDS instead")
    scans.add_argument(
        "--contrasts", nargs="+", default=["T1w", "T2w"], help="images of --data to label, as their names end"
    )
    scans.add_argument("--only", type=Path, help="list of the subjects or scans to label (text, one per line)")
    scans.add_argument("--max-voxels", type=natural_number, default=MAX_VOXELS, help="larger scans are refused unread")
    network = parser.add_argument_group("network")
    network.add_argument("--weights", type=Path, help="a run's folder, or a checkpoint file (default: those shipped)")
    network.add_argument(
        "--first-level", type=int, choices=range(FIRST, LAST + 1), metavar="LEVEL",
        help="level of the first channel of a checkpoint of the released code (as a rule 2) or its successor (1), "
        "where the file leaves it open",
    )  # fmt: skip
    network.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=output_folder, default=Path("output/predictions"), help="folder of the labels")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import json
import os
import sys

from utils.inference.labeller import load_labeller
from utils.inference.scan import in_world
from utils.report.entries import Slabs
from utils.report.pictures import prediction_picture
from utils.report.predictions import claim_predictions, describe_derivative, write_predictions, write_settled
from utils.report.report import Report
from utils.report.summary import print_flags, print_scan
from utils.scans.jobs import folder_of, list_jobs
from utils.scans.labels import label_volume
from utils.scans.nifti import ScanError, check_content, read_scan
from utils.scans.outputs import TOOL, describe_discs, digest, image_digest
from utils.scans.sagittal import slabs_of
from utils.system import ranks
from utils.system.device import keep_memory
from utils.system.files import UserError, run, save_bytes, save_json, sweep
from utils.system.progress import progress
from utils.system.stages import overlapped
from utils.system.version import code_version

MOST_NAMED = 5  # scans in a line


def description():
    """Return how the outputs name this tool, as BIDS wants it."""
    return [{"Name": TOOL, "Version": code_version()}]


def is_here(image):
    """Return whether the content of a file lies here, and not only a placeholder of git-annex or git-lfs."""
    try:
        check_content(image)
    except ScanError:
        return False
    return True


class Labelling:
    """The three stages of labelling one scan.

    Parameters
    ----------
    labeller : utils.inference.labeller.Labeller
    report : utils.report.report.Report
    max_voxels : int
    """

    def __init__(self, labeller, report, max_voxels):
        self.labeller, self.report, self.max_voxels = labeller, report, max_voxels
        self.made_by = description()
        name, made = labeller.source.name, labeller.checkpoint
        self.model = {"Weights": name, **made["model"], "Epoch": made["epoch"], "Digest": made["digest"]}
        if "view" in made:  # of other software: --first-level may set how its file is read
            self.model |= {"View": made["view"], "FirstLevel": made["levels"][0]}
        self.weights = f"{name}, epoch {made['epoch']}, {made['digest'][:8]}"

    def done(self, job):
        """Return whether a reviewer corrected or accepted the labels, or this version made them with these weights."""
        try:
            content = json.loads(job.sidecar.read_text())
            whole = job.labels.exists()
            if job.review():
                if not is_here(job.image):  # as where git-annex has dropped it: there is nothing to compare with
                    return whole
            else:
                made = content.get("GeneratedBy"), content.get("Model")
                whole = whole and job.picture.exists() and self.report.holds(self.texts_of(job))
                whole = whole and made == (self.made_by, self.model)
            # Dates would not show a link that leads elsewhere now, or another folder under this name.
            return whole and content.get("ImageDigest") == image_digest(job.image)
        except (OSError, ValueError, AttributeError, UserError):
            return False

    def read(self, job):
        """Read a scan and cut it into slabs; returns scan and slabs.

        Raises
        ------
        ScanError, UserError
            If it cannot be read, or its labels would replace those of others.
        """
        job.check_free()
        scan = read_scan(job.image, self.max_voxels)
        return scan, Slabs(*slabs_of(scan, self.labeller.resolution), image_digest(job.image))

    def compute(self, _, ready):
        """Find and label the discs."""
        scan, slabs = ready
        return scan, slabs, self.labeller.label(slabs.images, slabs.offsets)

    def write(self, job, result):
        """Write sidecar, labels and picture, and last of all the scan's entry in the report.

        Raises
        ------
        ScanError, UserError
            If two discs lie in one voxel, its labels would replace those of others, or a file cannot be written.
        """
        scan, slabs, found = result
        plane, image = slabs.plane, slabs.images[found.slab]
        labelled, texts = in_world(scan, plane, found), self.texts_of(job)
        volume = label_volume(scan, labelled.levels, labelled.world)
        before = job.check_free()  # as late as can be: the scan may have been reviewed meanwhile
        self.report.forget(texts)
        content = {
            "GeneratedBy": self.made_by, "Model": self.model, "Sources": [job.uri or job.source],
            "SpatialReference": "orig", "Image": job.source, "ImageDigest": slabs.image_digest,
            # What may be replaced: a run that is killed before the next file is written leaves the volume of before.
            "LabelDigests": sorted({digest(volume), *before}),
            "Resolution_mm": self.labeller.resolution, "MarginToShiftedChain": round(found.margin, 2),
            "LevelConfidence": round(float(labelled.level_confidence), 4),
            "OtherNumbering": labelled.other_numbering, "Vertebrae": labelled.vertebrae,
            "Discs": describe_discs(scan, labelled.levels, labelled.world, labelled.confidence),
        }  # fmt: skip
        save_json(job.sidecar, content)
        save_bytes(job.labels, volume)
        prediction_picture(image, found, plane.spacing, job.picture, job.stem.name)
        self.report.add(texts, image, found, plane.spacing, remarks=labelled.flags, slabs=slabs)

    def texts_of(self, job):
        """Return what the report says of a scan, from its name in BIDS style."""
        parts = job.stem.name.split("_")
        return {
            "place": job.stem.relative_to(self.report.folder).as_posix(), "name": job.stem.name,
            "subject": next((part for part in parts if part.startswith("sub-")), ""), "contrast": parts[-1],
            "source": str(job.image.parent.resolve()), "weights": self.weights,
        }  # fmt: skip


def main(argv=None):
    """Label scans; a scan that cannot be labelled is listed, and the others go on."""
    args = build_parser().parse_args(argv)
    labeller = load_labeller(args.weights or SHIPPED, ranks.join(args.device), args.first_level)
    keep_memory()
    asked, first = list_jobs(args), ranks.rank() == 0
    if first:
        sweep(folder_of(args))
        claim_predictions(folder_of(args))
    work = Labelling(labeller, Report(folder_of(args)), args.max_voxels)
    # Shared twice, so that after an interruption no process is left with most of the rest.
    undone = ranks.gather([job for job in ranks.deal(asked) if not work.done(job)])
    todo = ranks.deal([job for share in undone for job in share])
    failed = {}
    stages = overlapped(todo, work.read, work.compute, work.write, (ScanError, UserError))
    for job, error in progress(stages, len(todo), "scan") if first and len(asked) > 1 else stages:
        if error:
            failed[job.stem] = str(error)
    failures = ranks.gather(failed)
    ranks.leave()
    if not first:
        return 0
    failed = {stem: reason for part in failures for stem, reason in part.items()}
    return summarise(args, work, asked, failed, len(asked) - sum(map(len, undone)))


def write_tables(args, work, asked, failed):
    """Write the tables and the QC report of all scans that the folder holds; returns the report."""
    report = Report(folder_of(args))
    for job in asked:
        if job.stem in failed and not job.review():  # what was reviewed stays in the report as it was
            report.add_failed(work.texts_of(job), failed[job.stem], job.image)
    report.recall(map(work.texts_of, asked))
    if not all(job.sidecar.exists() for job in asked if job.stem not in failed):
        raise UserError(f"{report.folder} was removed or emptied while it was in use: run it again")
    write_predictions(report)
    return report


def summarise(args, work, asked, failed, before):
    """Write tables and page, and print what became of the scans that were asked for; returns the exit status."""
    folder = folder_of(args)
    if args.data:
        describe_derivative(folder, args.data, work.made_by)
    report = write_settled(folder, lambda: write_tables(args, work, asked, failed))
    reviewed = [job for job in asked if job.review() and job.stem not in failed]
    before -= len(reviewed)
    earlier = f" ({before} of them before, with the same weights)" if before > 0 else ""
    places = {work.texts_of(job)["place"] for job in asked if job.stem not in failed}
    files = {os.path.abspath(job.image) for job in asked if job.stem in failed}
    own = [scan for scan in report.scans if (scan.get("file") in files if scan["reason"] else scan["place"] in places)]
    discs = sum(scan["n_discs"] for scan in own)
    print(f"{len(asked) - len(failed)} of {len(asked)} scans labelled{earlier}, {discs} discs; see {folder}")
    if reviewed:
        names = ", ".join(job.stem.name for job in reviewed[:MOST_NAMED])
        more = f" and {len(reviewed) - MOST_NAMED} more" if len(reviewed) > MOST_NAMED else ""
        print(f"reviewed by hand, left as they are: {names}{more}")
    for job in asked:
        if job.stem in failed:
            print(f"not labelled: {job.image}: {failed[job.stem]}", file=sys.stderr)
    if len(asked) == len(own) == 1 and not failed:
        print_scan(asked[0], own[0])
    else:
        print_flags(own)
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
