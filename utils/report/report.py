"""The quality-control page: every scan with its discs, to look through in a browser before the labels are trusted.

A folder gets ``report.html`` and ``report_files/``; they work from disk, without a network. After the
quality-control page of the Spinal Cord Toolbox (De Leener et al. 2017).
"""

import contextlib
import hashlib
import html
import io
import json
import shutil
from pathlib import Path
from string import Template

import matplotlib
import numpy as np
from PIL import Image

from utils.discs import name, region
from utils.evaluation.metrics import NEAR_MM
from utils.report.markers import colour, spread, standing_out
from utils.system.files import replace_file, save_bytes, save_json, save_text

TEMPLATES = Path(__file__).parent / "templates"
FILES = "report_files"
LOW = 0.5  # a confidence below it is flagged
LOW_MEDIAN = 0.8  # so is a scan whose median is below this, as most are that were turned
CLOSE = 2.0  # so is a chain whose margin to the shifted one is below this
NAME_GAP = 0.036  # of a slice's height, between names
PARTS = ("report.css", "scan.js", "report.js")
MEANINGS = {
    "failed": "could not be read or labelled",
    "shifted chain": "most discs lie where another level is: look at the names, not at the places",
    "far off": f"a disc lies more than {NEAR_MM:.0f} mm from the true one of its level",
    "missed": "a true disc has no prediction",
    "extra": "a disc was found that is known to be outside of the view",
    "no disc": "nothing was found",
    "not sagittal": "its slices were not taken from the side: what is seen from there is blurred",
    "low confidence": f"a confidence is below {100 * LOW:.0f} %, or half of them are below {100 * LOW_MEDIAN:.0f} %",
    "level unsure": "the same chain one level off fits nearly as well",
}


class Report:
    """Collects scans, which it writes at once, and writes the page at the end.

    Parameters
    ----------
    folder : path-like
        Where the page will lie. What earlier runs wrote there, and what others write meanwhile, stays until `tidy`.
    """

    def __init__(self, folder):
        self.folder, self.scans, self.figures = Path(folder), [], []

    def _stem(self, scan):
        """Return the path of a scan's files without their endings: names of files are not trusted to be paths."""
        return f"{FILES}/{_digest(scan['place'])}"

    def forget(self, scan):
        """Remove what an earlier run wrote of a scan."""
        (self.folder / f"{self._stem(scan)}.json").unlink(missing_ok=True)

    def holds(self, scan):
        """Tell whether an earlier run, or another process, wrote a scan to the end."""
        return _entry(self.folder / f"{self._stem(scan)}.json") is not None

    def written(self):
        """Return the paths of all entries that the folder holds, with the time at which each was written."""
        times = {}
        for path in (self.folder / FILES).glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # it is made anew
                times[path] = path.stat().st_mtime_ns
        return times

    def recall(self):
        """Add all scans that the folder holds, of earlier runs and other processes too, in the order of their names."""
        self.scans += [entry for entry in map(_entry, self.written()) if entry]
        self.scans.sort(key=lambda scan: (scan["name"], scan["place"], scan["reason"]))

    def add(self, scan, image, prediction, spacing, case=None, rows=(), remarks=()):
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
        case : utils.evaluation.metrics.Case, optional
            With the truth, where it is known.
        rows : list of utils.evaluation.metrics.Disc
            What became of each disc, where the truth is known.
        remarks : sequence of str
            Flags of the scan itself.
        """
        stem = self._stem(scan)
        height, width = image.shape
        grey = Image.fromarray(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8))
        entry = {
            **scan, "key": _key(scan), "image": self._picture(f"{stem}.jpg", grey, quality=82),
            "width": width, "height": height, "spacing": spacing,
            # The root keeps narrow peaks visible.
            "heat": self._map(f"{stem}_heat.png", np.sqrt(np.clip(prediction.heatmaps.max(0), 0, 1))),
            "attention": None, "reason": "", "n_discs": len(prediction.levels), "mean_error": None, "truth": None,
            "lowest_confidence": float(prediction.confidence.min()) if len(prediction.levels) else None,
            "discs": _places(prediction.levels, prediction.points, height, prediction.confidence, _wrong(rows)),
            "margin": round(float(prediction.margin), 2) if len(prediction.levels) else None,
            "flags": flags_of(prediction, rows, remarks),
        }  # fmt: skip
        if prediction.attention is not None:
            entry["attention"] = self._map(f"{stem}_attention.png", standing_out(prediction.attention))
        if case is None:
            entry["rows"] = [
                _row(level, sure) for level, sure in zip(prediction.levels, prediction.confidence, strict=True)
            ]
        else:
            errors = [row.error for row in rows if np.isfinite(row.error)]
            entry["mean_error"] = float(np.mean(errors)) if errors else None
            entry["truth"] = _places(case.true_levels, case.true_points / spacing, height, wrong=_wrong(rows))
            entry["rows"] = [_row(row.level, row.confidence, row.error, row.outcome) for row in rows]
        save_json(self.folder / f"{stem}.json", entry)
        self.scans.append(entry)

    def add_failed(self, scan, reason):
        """Add a scan that could not be read or labelled, with the reason."""
        nothing = {"image": None, "heat": None, "attention": None, "truth": None, "mean_error": None}
        size = {"width": 1, "height": 1, "spacing": 1.0, "n_discs": 0, "lowest_confidence": None, "margin": None}
        told = {**scan, **nothing, **size, "key": _key(scan), "discs": [], "rows": []}
        self.scans.append({**told, "flags": ["failed"], "reason": reason})

    def write(self, title, facts, headline, figures=()):
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
        """
        shown = [self._figure(caption, Path(path)) for caption, path in figures]
        self.figures = [figure["path"] for figure in shown]
        for part in PARTS:
            save_text(self.folder / FILES / part, (TEMPLATES / part).read_text(encoding="utf-8"))
        data = {"facts": facts, "headline": headline, "figures": shown, "meanings": MEANINGS, "scans": self.scans}
        # Within a script element only "<" could end the data.
        text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
        page = Template((TEMPLATES / "report.html").read_text(encoding="utf-8"))
        save_text(self.folder / "report.html", page.substitute(title=html.escape(title), data=text))

    def tidy(self):
        """Remove what the folder holds beside the page that was written: scans and figures of earlier ones."""
        used = {*self.figures, *(f"{FILES}/{part}" for part in PARTS)}
        for scan in self.scans:
            used |= {scan[part] for part in ("image", "heat", "attention")} | {f"{self._stem(scan)}.json"}
        for path in (self.folder / FILES).iterdir():
            if f"{FILES}/{path.name}" not in used:
                path.unlink()

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

    def _map(self, name, values):
        """Write a map (h, w) in 0..1 as a picture that is the more opaque the higher it is."""
        colours = matplotlib.colormaps["inferno"](values.astype(float), bytes=True)
        colours[..., 3] = np.round(220 * values)
        buffer = io.BytesIO()
        Image.fromarray(colours).quantize(64, Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
        save_bytes(self.folder / name, buffer.getvalue())
        return name


def _entry(path):
    """Return a scan's entry, or None where it is gone, damaged or of another version."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        entry.setdefault("subject", entry.get("person", ""))  # as versions before 2026-11-26 call it
        return entry if entry["place"] and entry["key"] and entry["weights"] else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _digest(*texts):
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _key(scan):
    """Return what marks in the browser belong to: a scan as certain weights label it."""
    return _digest(scan["name"], scan["source"], scan["weights"])


def flags_of(prediction, rows=(), remarks=()):
    """Tell what a reader should look at first.

    Parameters
    ----------
    prediction : utils.inference.labeller.Prediction
    rows : list of utils.evaluation.metrics.Disc
        What became of each disc, where the truth is known.
    remarks : sequence of str
        Flags that are known already; a shifted chain is not flagged a second time for being far off.

    Returns
    -------
    list of str
        Keys of `MEANINGS`.
    """
    flags, outcomes = list(remarks), [row.outcome for row in rows]
    if "shifted chain" not in flags and {"far", "wrong level"} & set(outcomes):
        flags.append("far off")
    if "missed" in outcomes:
        flags.append("missed")
    if "extra" in outcomes:
        flags.append("extra")
    if len(prediction.levels) == 0:
        flags.append("no disc")
    elif prediction.confidence.min() < LOW or np.median(prediction.confidence) < LOW_MEDIAN:
        flags.append("low confidence")
    if len(prediction.levels) and prediction.margin < CLOSE:
        flags.append("level unsure")
    return flags


def _wrong(rows):
    """Return the levels whose disc is not where it should be, or was not found."""
    return {row.level for row in rows if row.outcome not in ("identified", "unknown")}


def _places(levels, points, height, confidence=None, wrong=()):
    """Return discs for the drawing, with rows for their names that do not overlap."""
    points = np.reshape(points, (-1, 2))
    gap = min(NAME_GAP, 0.6 / max(len(points), 1)) * height
    rows = spread(points[:, 0], gap, (gap / 2, height - gap / 2))
    discs = []
    for index, (level, (row, column)) in enumerate(zip(levels, points, strict=True)):
        disc = {
            "name": name(int(level)), "row": round(float(row), 2), "col": round(float(column), 2),
            "name_row": round(float(rows[index]), 2), "colour": colour(level, dark=True),
            "wrong": int(level) in wrong,
        }  # fmt: skip
        if confidence is not None:
            disc["confidence"] = round(float(confidence[index]), 4)
        discs.append(disc)
    return discs


def _row(level, confidence, error=np.nan, outcome=""):
    return {
        "name": name(int(level)), "region": region(int(level)), "outcome": outcome,
        "confidence": round(float(confidence), 4) if np.isfinite(confidence) else None,
        "error": round(float(error), 2) if np.isfinite(error) else None,
    }  # fmt: skip
