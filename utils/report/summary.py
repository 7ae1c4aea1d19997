"""What predict.py prints at its end: one scan in full, or the flags of many."""

from collections import Counter

from utils.discs import name
from utils.report.flags import MEANINGS
from utils.system.flags import runs_of


def print_scan(job, scan):
    """Print what was found in one scan: its entry in the report, and the paths of its files."""
    found = [disc["level"] for disc in scan["discs"]]
    parts = [name(first) if first == last else f"{name(first)} to {name(last)}" for first, last in runs_of(found)]
    lowest = min(scan["discs"], key=lambda disc: disc.get("confidence", 1.0), default={})
    confidence = f"{lowest['confidence']:.2f} ({lowest['name']})" if "confidence" in lowest else "-"
    lines = {
        "levels": ", ".join(parts) or "-", "lowest confidence": confidence,
        "flags": "; ".join(f"{flag} ({MEANINGS.get(flag, flag)})" for flag in scan["flags"]) or "none",
        "labels": job.labels, "picture": job.picture,
    }  # fmt: skip
    for label, text in lines.items():
        print(f"{label + ':':19}{text}".encode("utf-8", "backslashreplace").decode())  # names of files need not be text


def print_flags(scans):
    """Print how many of the scans have which flag, if any has one."""
    count = Counter(flag for scan in scans for flag in scan["flags"] if flag != "failed")
    if count:
        flags = ", ".join(f"{number} with {flag!r}" for flag, number in count.items())
        print(f"review these first: {flags} (report.html)")
