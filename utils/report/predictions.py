"""The tables of a folder of predictions: what its QC report and the sidecars of its scans hold."""

import json
from pathlib import Path

from utils.report.report import FILES, PARTS, Report
from utils.scans.outputs import Job
from utils.system.files import save_table
from utils.system.manifest import Manifest
from utils.system.version import code_version

DISC_COLUMNS = ("scan", "level", "name", "confidence", "i", "j", "k", "x_mm", "y_mm", "z_mm", "place")
SCAN_COLUMNS = (
    "scan", "discs", "lowest_confidence", "level_confidence", "margin", "flags", "reason", "weights", "source", "place",
    "review",
)  # fmt: skip


def claim_predictions(folder):
    """Record in the manifest of a folder that its tables and page are ours, before any of them is written.

    They stay claimed, without a digest: several processes may write them anew at the same time.

    Raises
    ------
    UserError
        If one of them is there and was not written by this software.
    """
    manifest, names = (
        Manifest(folder),
        {"discs.csv", "scans.csv", "report.html", *(f"{FILES}/{part}" for part in PARTS)},
    )
    if not manifest.files and Report(folder).written():  # of a version that kept no manifest
        manifest.adopt(names)
    elif not names <= manifest.files.keys():
        manifest.claim(names)


def write_predictions(report):
    """Write ``discs.csv``, ``scans.csv`` and the page of a report; scans whose labels were taken away are left out.

    Parameters
    ----------
    report : utils.report.report.Report
        With the scans of its folder.
    """
    listed = [(scan, [] if scan["reason"] else disc_rows(report.folder, scan)) for scan in report.scans]
    listed = [(scan, rows) for scan, rows in listed if rows is not None]
    report.scans, rows = [scan for scan, _ in listed], [row for _, rows in listed for row in rows]
    save_table(report.folder / "discs.csv", [DISC_COLUMNS, *rows])
    save_table(report.folder / "scans.csv", [SCAN_COLUMNS, *map(scan_row, report.scans)])
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
    """Return the rows of `discs.csv` of a scan of the report; None if its labels were taken away since."""
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
    """Return the row of `scans.csv` of a scan of the report."""
    return [
        scan["name"], scan["n_discs"], scan["lowest_confidence"], scan.get("level_confidence"), scan["margin"],
        ", ".join(scan["flags"]), scan["reason"], scan["weights"], scan["source"], scan["place"],
        (scan["review"] or {}).get("status", ""),
    ]  # fmt: skip
