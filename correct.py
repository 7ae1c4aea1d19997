"""Apply the corrections that a reviewer saved in the QC report to the labels that predict.py wrote.

The corrected label volume takes the place of the predicted one, in the scan's own space; sidecar, picture, tables and
report say that it was corrected, by whom and when. Labels that were reviewed are not replaced by a later predict.py.
"""

from pathlib import Path

from utils.scans.limits import MAX_VOXELS
from utils.system.flags import natural_number, new_parser


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python correct.py corrections.json --predictions output/predictions")
    files = parser.add_argument_group("files")
    files.add_argument("corrections", type=Path, metavar="CORRECTIONS", help="file saved in report.html")
    files.add_argument(
        "--predictions",
        type=Path,
        default=Path("output/predictions"),
        help="folder that predict.py wrote to",
    )
    files.add_argument("--max-voxels", type=natural_number, default=MAX_VOXELS, help="larger scans are refused unread")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import json
import os
import sys
from dataclasses import dataclass

import numpy as np

from utils.report.checks import SAME_MM, check_inside, check_newest
from utils.report.corrections import read_corrections
from utils.report.entries import scans_of_page
from utils.report.pictures import prediction_picture
from utils.report.predictions import claim_predictions, write_predictions, write_settled
from utils.report.report import Report
from utils.scans.labels import label_volume
from utils.scans.nifti import ScanError, not_fetched, read_scan
from utils.scans.outputs import TOOL, Job, describe_discs, digest, image_digest, source_of
from utils.scans.sagittal import slabs_of
from utils.system.files import UserError, run, save_bytes, save_json

MANUAL = "Manual"  # the tool that made corrected labels, in their sidecar
INTERRUPTED = "a correction of it was interrupted: apply that one again"
AGAIN = "it was labelled again since it was reviewed: review it again"


@dataclass
class Labels:
    """The labels of a scan in the folder of predictions, with what is known of them.

    Attributes
    ----------
    entry : dict
        Of the report.
    job : utils.scans.outputs.Job
    sidecar : dict
    """

    entry: dict
    job: Job
    sidecar: dict


def folder_of(predictions, corrections):
    """Return the folder of the report that was corrected: that of a tree lies within the one of named scans.

    Raises
    ------
    UserError
        If there is no report.
    """
    places = predictions, predictions / "derivatives" / TOOL
    places = [place for place in places if (place / "report.html").is_file()]
    if not places:
        raise UserError(
            f"{predictions} has no report.html: give the folder that predict.py wrote to with --predictions"
        )
    wanted = {correction.place for correction in corrections}
    return max(places, key=lambda place: sum(Job(None, place / stem).sidecar.exists() for stem in wanted))


def find_labels(correction, report):
    """Return the labels that a correction is for.

    Raises
    ------
    UserError
        If there are none, or their scan is not the one that was reviewed.
    """
    stem = report.folder / correction.place
    path = Job(None, stem).sidecar
    sidecar, entry = known_of(path, report, correction.place)
    if entry is None and os.path.lexists(path):
        raise UserError("its labelling was interrupted, or goes on: run predict.py again, and review it then")
    if entry is None or entry["name"] != correction.name or not entry["plane"]:
        raise UserError(f"{report.folder} has no such scan: give the folder of the report with --predictions")
    if sidecar is None:
        fetch = not_fetched(path)
        raise UserError(
            f"of its sidecar: {fetch}" if fetch else "its sidecar is missing or damaged: label the scan again"
        )
    job = Job(stem.parent / source_of(sidecar), stem)
    job.check_free(reviewed=True)
    if not job.image.exists():
        raise UserError(f"its scan {job.image} is missing: move it back")
    if not correction.image_digest == sidecar.get("ImageDigest") == image_digest(job.image):
        raise UserError(f"its scan {job.image} has changed since it was reviewed: label and review it again")
    if known_of(path, report, correction.place) != (sidecar, entry):  # reading the scan takes its time
        raise UserError(AGAIN)
    return Labels(entry, job, sidecar)


def known_of(path, report, place):
    """Return the sidecar of the labels of a scan, from its path, and its entry in the report; each a dict or None."""
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        source_of(sidecar)
    except (OSError, ValueError, LookupError, TypeError):
        sidecar = None
    # After the sidecar: predict.py removes the entry before it writes new labels, and so none is of older ones.
    return sidecar, next(report.entries([place]), None)


def review_of(correction, file):
    """Return what a sidecar says of a review."""
    review = {"Status": correction.status, "By": correction.by, "Time": correction.time, "Corrections": file.name}
    return {**review, "Note": correction.note} if correction.note else review


def accept(labels, correction, review, report):
    """Record that a scan's labels are good as they are; returns what was done.

    Raises
    ------
    UserError
        If they are not those that the reviewer saw.
    """
    if not labels.job.labels.exists():
        raise UserError("its label volume is missing: label the scan again")
    before = labels.job.review()
    if before and before["Status"] == "corrected":
        check_newest(review, before)
        if labels.entry["review"] != for_page(before):
            raise UserError(INTERRUPTED)
        if correction.key != labels.entry["key"]:
            raise UserError("its labels were corrected since it was reviewed: review it again")
        return "unchanged"  # what was corrected stays that
    if before:
        if labels.entry["review"] != for_page(before):  # interrupted between the two
            report.review(labels.entry, for_page(before))
        return "unchanged"
    if any(tool["Name"] == MANUAL for tool in labels.sidecar["GeneratedBy"]):
        raise UserError(f"{INTERRUPTED}, or label the scan again")
    if correction.key is None:
        raise UserError(
            "the file does not say which labels of it are good: run predict.py again, and save the corrections again"
        )
    if correction.key != labels.entry["key"]:
        raise UserError(AGAIN)
    save_json(labels.job.sidecar, {**labels.sidecar, "Review": review})
    report.review(labels.entry, for_page(review))
    return "good"


def correct(labels, correction, review, report, max_voxels):
    """Write corrected labels; returns what was done.

    Raises
    ------
    ScanError, UserError
        If the scan cannot be read, a disc cannot be where it is, or a file cannot be written.
    """
    job, sidecar = labels.job, labels.sidecar
    check_newest(review, job.review())
    scan = read_scan(job.image, max_voxels)
    images, offsets, plane = slabs_of(scan, sidecar["Resolution_mm"])
    away = np.linalg.norm(plane.to_world(correction.points, correction.across) - correction.world, axis=1)
    if (away > SAME_MM).any():
        raise UserError("its points in pixels and in world mm do not fit together: save the corrections again")
    check_inside(correction.world, scan, [disc["world_mm"] for disc in sidecar["Discs"]])
    volume = label_volume(scan, correction.levels, correction.world)
    held = [digest(job.labels.read_bytes())] if job.labels.exists() else []
    if sidecar.get("Review") == review and held == [digest(volume)] and labels.entry["review"] == for_page(review):
        return "unchanged"
    by_hand = {"Name": MANUAL, "Description": "labels corrected in the QC report", "Date": review["Time"]}
    made_by = [tool for tool in sidecar["GeneratedBy"] if tool["Name"] != MANUAL]
    new = {
        "GeneratedBy": [*made_by, {**by_hand, "Author": review["By"]} if review["By"] else by_hand],
        # What was said of the labels that these replace.
        "MarginToShiftedChain": None, "LevelConfidence": None, "OtherNumbering": {}, "Vertebrae": None,
        "Discs": describe_discs(scan, correction.levels, correction.world, correction.confidence),
    }  # fmt: skip
    # An interruption leaves no label volume that its sidecar does not know, and none that a first correction calls
    # corrected too early. What follows the sidecar is finished by the next call.
    save_json(job.sidecar, {**sidecar, **new, "LabelDigests": sorted({digest(volume), *held})})
    save_bytes(job.labels, volume)
    save_json(job.sidecar, {**sidecar, **new, "LabelDigests": [digest(volume)], "Review": review})
    shown = next(index for index, slab in enumerate(labels.entry["slabs"]) if slab["shown"])
    prediction_picture(images[shown], correction, plane.spacing, job.picture, job.stem.name)
    report.review(labels.entry, for_page(review), correction.levels, correction.points, correction.across)
    return "corrected"


def for_page(review):
    """Return a review as the page reads it."""
    return {key.lower(): value for key, value in review.items()}


def write_page(folder):
    """Write tables and page, unless the page shows all that the folder holds; after an interruption it does not."""
    report = Report(folder)
    report.recall()
    if report.scans != scans_of_page(folder / "report.html"):
        claim_predictions(folder)
        write_predictions(report)


def main(argv=None):
    """Apply corrections; one that is refused is listed, and the others go on."""
    args = build_parser().parse_args(argv)
    corrections, refused = read_corrections(args.corrections)
    folder = folder_of(args.predictions, corrections)
    report, done = Report(folder), []
    for correction in corrections:
        review = review_of(correction, args.corrections)
        try:
            labels = find_labels(correction, report)
            if correction.status == "good":
                done.append(accept(labels, correction, review, report))
            else:
                done.append(correct(labels, correction, review, report, args.max_voxels))
        except (ScanError, UserError) as error:
            refused.append((correction.name, str(error)))
    write_settled(folder, lambda: write_page(folder))
    parts = [f"{done.count('corrected')} corrected", f"{done.count('good')} accepted as good"]
    parts += [f"{done.count('unchanged')} unchanged"] if "unchanged" in done else []
    print(f"{', '.join(parts)}; see {folder / 'report.html'}")
    for scan, reason in refused:
        print(f"refused: {scan}: {reason}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    run(main)
