"""What the QC report stores of one scan: texts, discs, and the slabs and plane that its editor needs."""

import hashlib
import json
import re
from dataclasses import dataclass

import numpy as np

from utils.discs import name, region
from utils.report.markers import colour
from utils.scans.plane import Plane


@dataclass
class Slabs:
    """The view of a scan in which its labels can be edited.

    Attributes
    ----------
    images : (S, H, W) array in 0..1
        Side by side through the scan.
    offsets : (S,) array
        Distance in mm of each from the plane, to the patient's right.
    plane : utils.scans.plane.Plane
    image_digest : str
        Of the scan's file.
    """

    images: np.ndarray
    offsets: np.ndarray
    plane: Plane
    image_digest: str


def read_entry(path):
    """Return a scan's entry from its file, or None where it is gone, damaged or of another version."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        # As versions before 2026-11-26 call them.
        entry.setdefault("subject", entry.get("person", ""))
        entry["flags"] = [flag.replace("level unsure", "level uncertain") for flag in entry["flags"]]
        for part in EDITING:
            entry.setdefault(part, None)
        return entry if entry["place"] and entry["key"] and entry["weights"] else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


EDITING = ("review", "plane", "slabs", "image_digest")  # absent in entries of older versions, which cannot be edited


def scans_of_page(path):
    """Return the entries of all scans that a ``report.html`` shows; none where it is missing or damaged."""
    try:
        text = re.search(r'type="application/json">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1]
        return json.loads(text)["scans"]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def key_of(entry):
    """Return what a review status belongs to, in the browser and in corrections: these labels of this scan."""
    discs = [[disc[part] for part in ("level", "row", "col", "across")] for disc in entry["discs"]]
    texts = (entry["name"], entry["source"], entry["weights"], entry["image_digest"] or "", json.dumps(discs))
    return short_digest(*texts)


def short_digest(*texts):
    """Return 16 letters that change with the texts."""
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def discs_of(levels, points, across=None, confidence=None, wrong=()):
    """Return discs as the page draws them.

    Parameters
    ----------
    levels : (N,) int array
    points : (N, 2) array
        Row and column in pixels of the slice.
    across : (N,) array, optional
        In mm from the plane, to the patient's right.
    confidence : (N,) array, optional
    wrong : set of int
        Levels that are not where they should be, or were not found.

    Returns
    -------
    list of dict
    """
    discs = []
    for index, (level, (row, column)) in enumerate(zip(levels, np.reshape(points, (-1, 2)), strict=True)):
        disc = {
            "level": int(level), "name": name(int(level)), "row": round(float(row), 3), "col": round(float(column), 3),
            "colour": colour(level, dark=True), "wrong": int(level) in wrong,
        }  # fmt: skip
        if across is not None:
            disc["across"] = round(float(across[index]), 3)
        if confidence is not None:
            disc["confidence"] = round(float(confidence[index]), 4)
        discs.append(disc)
    return discs


def wrong_levels(rows):
    """Return the levels whose disc is not where it should be, or was not found."""
    return {row.level for row in rows if row.outcome not in ("identified", "unknown")}


def row_of(level, confidence=np.nan, error=np.nan, outcome=""):
    """Return a line of the table of a scan's discs."""
    return {
        "name": name(int(level)), "region": region(int(level)), "outcome": outcome,
        "confidence": round(float(confidence), 4) if np.isfinite(confidence) else None,
        "error": round(float(error), 2) if np.isfinite(error) else None,
    }  # fmt: skip


def plane_of(plane):
    """Return a `Plane` as the page reads it: world mm of pixel (0, 0), and of a step along rows, columns and across."""
    return {part: [float(value) for value in getattr(plane, part)] for part in ("origin", "down", "back", "across")}
