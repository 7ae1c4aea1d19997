"""Flags that several comparisons share."""

from pathlib import Path


def add_training_flags(parser):
    """Add the flags of a comparison that trains, as a group."""
    group = parser.add_argument_group("trainings")
    group.add_argument("--out", type=Path, required=True, help="folder of the prepared data and of the trainings")
    group.add_argument("flags", nargs="*", default=[], metavar="FLAG", help="flags for train.py, after --")
