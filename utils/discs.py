"""The levels: which value names which intervertebral disc, and how far apart they lie.

Values follow spine-generic and the Spinal Cord Toolbox: 2 is the disc above C2, 3 lies
between C2 and C3, 8 between C7 and T1, 20 between T12 and L1, 25 between L5 and S1; 1 is
the joint above C1. Values 49, 50 and 60 mark points of the nervous system, not discs.
"""

import argparse
import re

FIRST, LAST = 1, 25
LEVELS = tuple(range(2, LAST + 1))
# The remnant disc between S1 and S2: a network that has a level for it does not take it for L5-S1. Never reported.
SACRAL = LAST + 1
LANDMARKS = {49: "pontomedullary groove", 50: "pontomedullary junction", 60: "conus medullaris"}

_VERTEBRAE = [f"C{i}" for i in range(1, 8)] + [f"T{i}" for i in range(1, 13)] + [f"L{i}" for i in range(1, 6)] + ["S1"]

# Distance in mm from the posterior tip of disc k to that of disc k + 1, for k = 1 to 25: a body and
# half of either disc beside it. Rounded from the spine-generic template PAM50 (De Leener et al. 2018,
# k = 2 to 19), from Gilad and Nissan 1986 (lumbar) and Busscher et al. 2010 (all levels).
TYPICAL_GAP_MM = {
    1: 17.0, 2: 17.0, 3: 18.0, 4: 17.5, 5: 17.0, 6: 17.0, 7: 18.5, 8: 20.5, 9: 22.0, 10: 23.0,
    11: 23.5, 12: 24.5, 13: 25.0, 14: 25.5, 15: 26.5, 16: 27.5, 17: 28.5, 18: 30.0, 19: 32.0,
    20: 34.0, 21: 35.0, 22: 35.5, 23: 36.0, 24: 34.0, SACRAL - 1: 29.0,
}  # fmt: skip


def name(level):
    """Return the name of a level, such as ``"L5-S1"`` for 25."""
    if level == FIRST:
        return "above C1"
    return f"{_VERTEBRAE[level - 2]}-{_VERTEBRAE[level - 1]}"


def region(level):
    """Return the spine region of a level: that of the vertebra above it, and sacral for L5-S1."""
    if level <= 8:
        return "cervical"
    return "thoracic" if level <= 20 else "lumbar" if level <= 24 else "sacral"


def parse_levels(text):
    """Read levels such as ``2-25`` or ``3,4,21-25`` into a sorted tuple (an argparse type)."""
    levels = set()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not ends:
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of levels such as 2-25 or 3,21-25")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not FIRST <= first <= last <= LAST:
            raise argparse.ArgumentTypeError(f"{part!r} is no level, or no range upwards, within {FIRST} to {LAST}")
        levels.update(range(first, last + 1))
    return tuple(sorted(levels))
