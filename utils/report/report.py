"""The QC report: every scan with its discs, for review and correction in a browser before the labels are used.

A folder gets ``report.html`` and ``report_files/``; they work from disk, without a network. After the
quality-control page of the Spinal Cord Toolbox (De Leener et al. 2017).
"""

import contextlib
import html
import json
import os
import shutil
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from utils.discs import FIRST, LAST, TYPICAL_GAP_MM, name, region
from utils.inference.doubts import DOUBTS
from utils.report.entries import (
    EDITING,
    discs_of,
    key_of,
    plane_of,
    read_entry,
    row_of,
    scans_of_page,
    short_digest,
    wrong_levels,
)
from utils.report.flags import MEANINGS, flags_of
from utils.report.markers import colour, standing_out
from utils.report.pictures import grey, heat_map
from utils.system.files import replace_file, save_json, save_text
from utils.system.version import code_version

TEMPLATES = Path(__file__).parent / "templates"
FILES = "report_files"
# The scripts in the order in which the page loads them.
SCRIPTS = (
    "dom.js", "editing.js", "storage.js", "corrections.js", "stage.js", "table.js", "viewer.js", "editor.js",
    "report.js",
)  # fmt: skip
PARTS = ("report.css", *SCRIPTS)
TEXT = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}  # as `utils.system.files.save_text` writes


class Report:
    """Collects scans, which it writes at once, and writes the page at the end.

    Parameters
    ----------
    folder : path-like
        Where the page will lie. What earlier runs wrote there, and what others write meanwhile, stays.
    """

    def __init__(self, folder):
        self.folder, self.scans = Path(folder), []

    def forget(self, scan):
        """Remove what an earlier run wrote of a scan."""
        (self.folder / f"{_stem(scan['place'])}.json").unlink(missing_ok=True)

    def holds(self, scan):
        """Return whether an earlier run, or another process, wrote a scan to the end."""
        return read_entry(self.folder / f"{_stem(scan['place'])}.json") is not None

    def written(self):
        """Return the paths of all entries that the folder holds, with the time at which each was written."""
        times = {}
        for path in (self.folder / FILES).glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # it is made anew
                times[path] = path.stat().st_mtime_ns
        return times

    def recall(self, asked=()):
        """Add all scans that the folder holds, of earlier runs and other processes too, in the order of their names.

        Those that could not be labelled are on the page alone. They are added as long as they are there, were not
        labelled since, and nothing newer is known of them.

        Parameters
        ----------
        asked : iterable of dict
            Texts of the scans that this run was asked for.
        """
        labelled, page = [*filter(None, map(read_entry, self.written()))], scans_of_page(self.folder / "report.html")
        over = {*map(_scan_of, labelled)} - {_scan_of(scan) for scan in page if not scan["reason"]}  # labelled since
        over.update(map(_scan_of, asked))
        failed = [scan for scan in page if scan["reason"] and _scan_of(scan) not in over]
        self.scans += labelled + [scan for scan in failed if os.path.lexists(scan.get("file", self.folder))]
        self.scans.sort(key=lambda scan: (scan["name"], scan["place"], scan["reason"]))

    def add(self, scan, image, prediction, spacing, case=None, rows=(), remarks=(), slabs=None):
        """Add a scan.

        Parameters
        ----------
        scan : dict
            Texts: ``place``, which no other scan of the folder has, name, subject, contrast, source, and the weights.
        image : (H, W) array in 0..1
            The slab shown.
        prediction : utils.inference.labeller.Prediction
        spacing : float
            Of a pixel in mm.
        case : utils.evaluation.cases.Case, optional
            With the truth, where it is known.
        rows : list of utils.evaluation.cases.Disc
            What became of each disc, where the truth is known.
        remarks : sequence of str
            Flags of the scan itself.
        slabs : utils.report.entries.Slabs, optional
            Where they are given, the labels can be edited on the page.
        """
        stem = _stem(scan["place"])
        height, width = image.shape
        heat = heat_map(np.sqrt(np.clip(prediction.heatmaps.max(0), 0, 1)))  # the root keeps narrow peaks visible
        entry = {
            **scan, "image": self._picture(f"{stem}.jpg", grey(image), quality=82),
            "width": width, "height": height, "spacing": spacing,
            "heat": self._picture(f"{stem}_heat.png", heat, optimize=True),
            "attention": None, "reason": "", "n_discs": len(prediction.levels), "mean_error": None, "truth": None,
            "lowest_confidence": finite(prediction.confidence.min()) if len(prediction.levels) else None,
            "level_confidence": finite(prediction.level_confidence),
            "discs": discs_of(
                prediction.levels, prediction.points, prediction.across, prediction.confidence, wrong_levels(rows)
            ),
            "margin": round(float(prediction.margin), 2) if len(prediction.levels) else None,
            "flags": flags_of(prediction, rows, remarks),
        }  # fmt: skip
        entry |= dict.fromkeys(EDITING)
        if slabs is not None:
            pictures = self._slabs(stem, slabs, prediction.slab, entry["image"])
            entry |= {"plane": plane_of(slabs.plane), "slabs": pictures, "image_digest": slabs.image_digest}
        if prediction.attention is not None:
            attention = heat_map(standing_out(prediction.attention))
            entry["attention"] = self._picture(f"{stem}_attention.png", attention, optimize=True)
        if case is None:
            entry["rows"] = [*map(row_of, prediction.levels, prediction.confidence)]
        else:
            errors = [row.error for row in rows if np.isfinite(row.error)]
            entry["mean_error"] = float(np.mean(errors)) if errors else None
            entry["truth"] = discs_of(case.true_levels, case.true_points / spacing, wrong=wrong_levels(rows))
            entry["rows"] = [row_of(row.level, row.confidence, row.error, row.outcome) for row in rows]
        entry["key"] = key_of(entry)
        save_json(self.folder / f"{stem}.json", entry)
        self.scans.append(entry)

    def add_failed(self, scan, reason, file):
        """Add a scan that could not be read or labelled, with the reason and the path of its file."""
        nothing = {"image": None, "heat": None, "attention": None, "truth": None, "mean_error": None}
        size = {"width": 1, "height": 1, "spacing": 1.0, "n_discs": 0, "margin": None}
        nothing |= {"lowest_confidence": None, "level_confidence": None}
        entry = {**scan, **nothing, **size, **dict.fromkeys(EDITING), "discs": [], "rows": []}
        entry["key"] = key_of(entry)
        self.scans.append({**entry, "flags": ["failed"], "reason": reason, "file": os.path.abspath(file)})

    def review(self, entry, review, levels=None, points=None, across=None):
        """Record in a scan's entry that its labels were reviewed; the page is written by `write`.

        Parameters
        ----------
        entry : dict
            As `entries` yields it; changed in place.
        review : dict
            Status (corrected or good), by, time, and the name of the file of corrections.
        levels, points, across : (N,), (N, 2) and (N,) arrays, optional
            The corrected labels: points in pixels of the slice, across in mm from the plane.
        """
        entry["review"] = review
        entry["flags"] = [flag for flag in entry["flags"] if flag not in DOUBTS]
        if levels is not None:
            discs = discs_of(levels, points, across)
            entry |= {"discs": discs, "n_discs": len(discs), "rows": [*map(row_of, levels)]}
            entry |= {"lowest_confidence": None, "level_confidence": None, "margin": None, "key": key_of(entry)}
        save_json(self.folder / f"{_stem(entry['place'])}.json", entry)

    def entries(self, places):
        """Yield the entries of scans, by their places, from their files; `scans` need not hold them."""
        return filter(None, (read_entry(self.folder / f"{_stem(place)}.json") for place in places))

    def write(self, title, facts, headline, figures=(), scans=None):
        """Write the page.

        Parameters
        ----------
        title : str
        facts : list of (label, text)
            What was run, on what.
        headline : list of (label, text)
            The figures that matter most.
        figures : list of (caption, path of a PNG)
            They are copied beside the page.
        scans : iterable of dict, optional
            Entries to show; `scans` by default. They are written one by one.
        """
        shown = [self._figure(caption, Path(path)) for caption, path in figures]
        for part in PARTS:
            save_text(self.folder / FILES / part, (TEMPLATES / part).read_text(encoding="utf-8"))
        data = {
            "facts": facts, "headline": headline, "figures": shown, "meanings": MEANINGS, "scans": [],
            "software": code_version(), "levels": [_level(level) for level in range(FIRST, LAST + 1)],
        }  # fmt: skip
        scripts = "\n".join(f'<script src="{FILES}/{script}"></script>' for script in SCRIPTS)
        page = Template((TEMPLATES / "report.html").read_text(encoding="utf-8"))
        text = page.substitute(title=html.escape(title), data=_json(data), scripts=scripts)
        before, after = text.split('"scans": []', 1)
        with replace_file(self.folder / "report.html") as temporary, open(temporary, "w", **TEXT) as file:
            file.write(f'{before}"scans": [')
            for index, scan in enumerate(self.scans if scans is None else scans):
                file.write(f"{', ' if index else ''}{_json(scan)}")
            file.write(f"]{after}")

    def _slabs(self, stem, slabs, shown, picture):
        """Write the slabs beside the one shown, whose picture is there already; returns picture and offset of each."""
        stored = []
        for index, (image, offset) in enumerate(zip(slabs.images, slabs.offsets, strict=True)):
            name_of = picture if index == shown else self._picture(f"{stem}_slab{index}.jpg", grey(image), quality=70)
            stored.append({"image": name_of, "offset": round(float(offset), 3), "shown": index == shown})
        return stored

    def _picture(self, name, picture, **options):
        with replace_file(self.folder / name) as temporary:
            picture.save(temporary, **options)
        return name

    def _figure(self, caption, path):
        """Copy a figure beside the page; returns what the page needs to lay it out before it is loaded."""
        with replace_file(self.folder / FILES / path.name) as temporary:
            shutil.copyfile(path, temporary)
        with Image.open(path) as picture:
            width, height = picture.size
            dark = picture.convert("L").getpixel((0, 0)) < 128
        return {"caption": caption, "path": f"{FILES}/{path.name}", "width": width, "height": height, "dark": dark}


def files_of(places, figures=()):
    """Return the names of all files that a page may have whose labels cannot be edited, relative to its folder.

    Parameters
    ----------
    places : iterable of str
        Of its scans.
    figures : iterable of str
        File names of its figures.
    """
    endings = (".json", ".jpg", "_heat.png", "_attention.png")
    own = [f"{_stem(place)}{ending}" for place in places for ending in endings]
    return ["report.html", *(f"{FILES}/{name}" for name in (*PARTS, *figures)), *own]


def _json(value):
    """Return JSON for a script element, which only "<" could end."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _stem(place):
    """Return the path of a scan's files without their endings: names of files are not trusted to be paths."""
    return f"{FILES}/{short_digest(place)}"


def _scan_of(texts):
    """Return which scan an entry is of: two of one name, in two folders, want the same place."""
    return texts["place"], texts["source"]


def _level(level):
    """Return what the editor knows of a level; the gap is that to the next one, in mm."""
    return {
        "level": level, "name": name(level), "region": region(level), "colour": colour(level, dark=True),
        "gap": TYPICAL_GAP_MM[level],
    }  # fmt: skip


def finite(value):
    """Return a number for JSON, which cannot hold NaN: None in its place."""
    return round(float(value), 4) if np.isfinite(value) else None
