"""The file of corrections that the QC report saves. It comes from a browser: nothing in it is taken on trust."""

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

import numpy as np

from utils.discs import FIRST, LAST
from utils.scans.outputs import REVIEWED
from utils.system.files import UserError

FORMAT, VERSION = "disc-labels corrections", 1
LARGEST_FILE = 2**26  # bytes; a scan takes about 5 kB
NEVER = datetime.min.replace(tzinfo=timezone.utc)
LONGEST = {"place": 4096, "name": 255, "by": 100, "time": 40, "note": 10_000}  # letters


@dataclass
class Correction:
    """The labels of one scan as a reviewer left them.

    Attributes
    ----------
    place : str
        Of the scan's outputs in the folder of predictions, without their endings.
    name : str
    image_digest : str
        SHA-256 of the scan's file when it was labelled.
    key : str or None
        Of the labels that were reviewed; None in files of versions that did not save it.
    status : str
        ``corrected``, or ``good`` where the labels are right as they are; the arrays are empty then.
    by, time, note : str
        Time is in ISO 8601; name and note may be empty.
    levels : (N,) int array, ascending
    points : (N, 2) array
        Row and column in pixels of the slice.
    across : (N,) array
        In mm from the slice's plane, to the patient's right.
    world : (N, 3) array
        In mm.
    """

    place: str
    name: str
    image_digest: str
    key: str | None
    status: str
    by: str
    time: str
    note: str
    levels: np.ndarray
    points: np.ndarray
    across: np.ndarray
    world: np.ndarray

    @property
    def confidence(self):
        """NaN (N,): a reviewer gives none."""
        return np.full(len(self.levels), np.nan)


def read_corrections(path):
    """Read a file of corrections.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    corrections : list of Correction
    refused : list of (name, reason)
        Of the scans whose correction cannot be used.

    Raises
    ------
    UserError
        If the file as a whole cannot be used.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} is larger than {LARGEST_FILE >> 20} MB, which no file of corrections is")
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # editors may add a byte-order mark
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): save the corrections in report.html") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content.get("scans"), list):
        raise UserError(f"{path} is no file of corrections: save one in report.html by its button Save corrections")
    if content.get("version") != VERSION:
        raise UserError(f"{path} is of another version: update the software, or label and edit again")
    corrections, refused = [], []
    for index, scan in enumerate(content["scans"], 1):
        try:
            corrections.append(_correction(scan))
        except ValueError as error:
            label = scan.get("name") if isinstance(scan, dict) else None
            refused.append((label if isinstance(label, str) and _is_text(label, 255) else f"scan {index}", str(error)))
    places = [correction.place for correction in corrections]
    twice = {place for place in places if places.count(place) > 1} if len(set(places)) < len(places) else set()
    refused += [(place, "it has two corrections: keep one of them") for place in sorted(twice)]
    return [correction for correction in corrections if correction.place not in twice], refused


def _correction(scan):
    """Return a `Correction`, or raise a ValueError that says what is wrong with it."""
    if not isinstance(scan, dict):
        raise ValueError("it is not a scan")
    texts = {}
    for key, longest in LONGEST.items():
        texts[key] = scan.get(key, "" if key in ("by", "note") else None)
        if not _is_text(texts[key], longest, breaks=key == "note"):
            raise ValueError(f"its {key} is missing, too long, or holds control characters")
    place = PurePosixPath(texts["place"])
    if place.is_absolute() or ".." in place.parts or "\\" in texts["place"] or str(place) != texts["place"]:
        raise ValueError("its place leads out of the folder of predictions")
    if not isinstance(scan.get("image_digest"), str) or not re.fullmatch("[0-9a-f]{64}", scan["image_digest"]):
        raise ValueError("it has no digest of the image")
    key = scan.get("key")
    if key is not None and not (isinstance(key, str) and re.fullmatch("[0-9a-f]{16}", key)):
        raise ValueError("its key is none of a report")
    if scan.get("status") not in REVIEWED:
        raise ValueError(f"its status is neither {' nor '.join(REVIEWED)}")
    if time_of(texts["time"]) == NEVER:
        raise ValueError("its time is not in ISO 8601")
    discs = scan.get("discs", []) if scan["status"] == "corrected" else []
    if not isinstance(discs, list) or len(discs) > LAST or not all(isinstance(disc, dict) for disc in discs):
        raise ValueError("its discs are not a list of at most one per level")
    levels = [_level(disc.get("level")) for disc in discs]
    numbers = np.array([_numbers(disc) for disc in discs]).reshape(-1, 6)
    if any(b <= a for a, b in zip(levels, levels[1:], strict=False)):
        raise ValueError("its levels are not in order, or one is there twice")
    if (np.diff(numbers[:, 0]) <= 0).any():
        raise ValueError("its discs do not lie in the order of their levels, from top to bottom")
    return Correction(
        **texts, image_digest=scan["image_digest"], key=key, status=scan["status"], levels=np.array(levels, int),
        points=numbers[:, :2], across=numbers[:, 2], world=numbers[:, 3:],
    )  # fmt: skip


def time_of(text):
    """Return the time that a text in ISO 8601 states, in UTC where it names no zone; `NEVER` for any other text."""
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except (ValueError, AttributeError):
        return NEVER
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _is_text(value, longest, breaks=False):
    """Return whether a value is a text without control characters, except for line breaks and tabs in a note.

    A file name may hold all else: `str.isprintable` is false for no-break spaces, and for what joins emoji.
    """
    if not isinstance(value, str) or len(value) > longest:
        return False
    letters = set(value) - set("\n\r\t" if breaks else "")
    return not {unicodedata.category(letter) for letter in letters} & {"Cc", "Cs"}


def _level(value):
    if type(value) is not int or not FIRST <= value <= LAST:
        raise ValueError(f"it holds a level that is none of {FIRST} to {LAST}")
    return value


def _numbers(disc):
    """Return row, column, across and world mm of a disc."""
    world = disc.get("world_mm")
    values = [disc.get("row"), disc.get("col"), disc.get("across_mm"), *(world if isinstance(world, list) else [])]
    if len(values) != 6 or not all(type(value) in (int, float) and abs(value) < 1e6 for value in values):
        raise ValueError("it holds a point that is missing, not finite, or no number")
    return values
