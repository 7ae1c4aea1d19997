"""The tables of a folder of predictions: what its QC report and the sidecars of its scans hold."""

import json
import os
from pathlib import Path

from utils.report.report import FILES, PARTS, Report
from utils.scans.outputs import TOOL, Job
from utils.system.files import save_json, save_table, save_text
from utils.system.manifest import Manifest
from utils.system.version import code_version

DISC_COLUMNS = {
    "scan": "Name of the scan",
    "level": "Value of the disc in the label volume: 3 is C2-C3, 25 is L5-S1",
    "name": "Name of the level",
    "confidence": "Chance that the disc is right, from 0 to 1",
    **{axis: f"Position in voxels of the scan, {axis}" for axis in "ijk"},
    "x_mm": "World position in mm, to the patient's right",
    "y_mm": "World position in mm, to the front",
    "z_mm": "World position in mm, to the head",
    "place": "Path of the scan's outputs from this folder, without their endings",
}
SCAN_COLUMNS = {
    "scan": "Name of the scan",
    "discs": "Number of discs found",
    "lowest_confidence": "Lowest confidence of these discs, from 0 to 1",
    "level_confidence": "Chance that the levels of all of them are right, from 0 to 1",
    "margin": "Score of the labels less that of the best ones shifted by one level",
    "flags": "Why the scan should be reviewed first",
    "reason": "Why the scan could not be labelled",
    "weights": "Weights that it was labelled with",
    "source": "Folder of the scan",
    "place": "Path of the scan's outputs from this folder, without their endings",
    "review": "Whether a reviewer corrected the labels (corrected) or accepted them (good)",
}
TABLES = {"discs": DISC_COLUMNS, "scans": SCAN_COLUMNS}
# What has no place in the names of BIDS: dlabel is the suffix of spine-generic.
BIDSIGNORE = """*_dlabel.nii.gz
*_dlabel.json
*_discs.png
/discs.*
/scans.*
/report.html
/report_files
/manifest.json
/pybids.json
"""
# Names of spine-generic write the contrast without a key. pybids needs it as an entity: without it, labels of T1w and
# T2w are alike to it, and one gets the sidecar of the other.
CONTRAST = {"name": "contrast", "pattern": "_([A-Za-z0-9]+)_label-discs_dlabel\\."}
PYBIDS = {"name": TOOL, "entities": [CONTRAST]}


def is_derivative(folder):
    """Return whether a folder of predictions is a BIDS derivative: its tables are TSV with a JSON data dictionary."""
    return Path(folder).resolve().parts[-2:] == ("derivatives", TOOL)


def describe_derivative(folder, tree, made_by):
    """Write ``dataset_description.json``, ``.bidsignore`` and ``pybids.json`` of a derivative of a tree."""
    facts = {
        "Name": "Intervertebral disc labels", "BIDSVersion": "1.10.0", "DatasetType": "derivative",
        "GeneratedBy": made_by,
        "DatasetLinks": {"raw": Path(os.path.relpath(Path(tree).resolve(), Path(folder).resolve())).as_posix()},
    }  # fmt: skip
    save_json(folder / "dataset_description.json", facts)
    save_text(folder / ".bidsignore", BIDSIGNORE)
    save_json(folder / "pybids.json", PYBIDS)


def claim_predictions(folder):
    """Record in the manifest of a folder that its tables and page are ours, before any of them is written.

    They stay claimed, without a digest: several processes may write them anew at the same time.

    Raises
    ------
    UserError
        If one of them is there and was not written by this software, or the folder is that of an evaluation.
    """
    names = {"report.html", *(f"{FILES}/{part}" for part in PARTS)}
    if is_derivative(folder):
        names |= {f"{table}{ending}" for table in TABLES for ending in (".tsv", ".json")}
        names |= {"dataset_description.json", ".bidsignore", "pybids.json"}
    else:
        names |= {f"{table}.csv" for table in TABLES}
    manifest = Manifest(folder)
    manifest.refuse(["metrics.json"], "an evaluation")
    if not manifest.files and (Report(folder).written() or _described(folder)):  # by a version without a manifest
        manifest.adopt(names)
    elif not names <= manifest.files.keys():
        manifest.claim(names)


def _described(folder):
    """Return whether the folder has the description of a derivative of this tool."""
    try:
        content = json.loads((Path(folder) / "dataset_description.json").read_text(encoding="utf-8"))
        return content["GeneratedBy"][0]["Name"] == TOOL
    except (OSError, ValueError, LookupError, TypeError):
        return False


def write_settled(folder, write):
    """Write tables and page; again if others labelled or corrected scans of the folder meanwhile.

    So of several processes in one folder, the one that runs for longest writes what all of them did.

    Parameters
    ----------
    folder : path-like
    write : callable
        Without arguments.

    Returns
    -------
    object
        What the last call returned.
    """
    for _ in range(3):
        before = Report(folder).written()
        result = write()
        if Report(folder).written() == before:
            break
    return result


def write_predictions(report):
    """Write the tables and the page of a report; scans whose labels were removed are left out.

    Parameters
    ----------
    report : utils.report.report.Report
        With the scans of its folder.
    """
    listed = [(scan, [] if scan["reason"] else disc_rows(report.folder, scan)) for scan in report.scans]
    listed = [(scan, rows) for scan, rows in listed if rows is not None]
    report.scans, rows = [scan for scan, _ in listed], [row for _, rows in listed for row in rows]
    for table, lines in (("discs", rows), ("scans", [*map(scan_row, report.scans)])):
        columns = TABLES[table]
        if is_derivative(report.folder):
            lines = [["n/a" if cell in (None, "") else cell for cell in line] for line in lines]
            save_table(report.folder / f"{table}.tsv", [[*columns], *lines], "\t")
            save_json(report.folder / f"{table}.json", {name: {"Description": text} for name, text in columns.items()})
        else:
            save_table(report.folder / f"{table}.csv", [[*columns], *lines])
    failed = sum(bool(scan["reason"]) for scan in report.scans)
    facts = [
        ("weights", "; ".join(sorted({scan["weights"] for scan in report.scans}))),
        ("scans", f"{len(report.scans)}, of which {failed} could not be labelled"),
        ("software", code_version()),
    ]
    counts = {
        "scans labelled": len(report.scans) - failed, "discs": len(rows),
        "scans with a flag": sum(bool(scan["flags"]) for scan in report.scans),
        "scans reviewed": sum(bool(scan["review"]) for scan in report.scans),
    }  # fmt: skip
    report.write("Disc labels: prediction", facts, [(label, str(count)) for label, count in counts.items()])


def disc_rows(folder, scan):
    """Return the rows of the table of discs of a scan of the report; None if its labels were taken away since."""
    try:
        discs = json.loads(Job(None, Path(folder) / scan["place"]).sidecar.read_text())["Discs"]
        places = [[*d["voxel"], *d["world_mm"], scan["place"]] for d in discs]
        return [
            [scan["name"], d["level"], d["name"], d["confidence"], *where]
            for d, where in zip(discs, places, strict=True)
        ]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def scan_row(scan):
    """Return the row of the table of scans of a scan of the report."""
    return [
        scan["name"], scan["n_discs"], scan["lowest_confidence"], scan.get("level_confidence"), scan["margin"],
        ", ".join(scan["flags"]), scan["reason"], scan["weights"], scan["source"], scan["place"],
        (scan["review"] or {}).get("status", ""),
    ]  # fmt: skip
