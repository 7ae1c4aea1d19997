"""Flags that several comparisons share."""

from utils.system.flags import output_folder


def add_training_flags(parser):
    """Add the flags of a comparison that trains, as a group."""
    group = parser.add_argument_group("trainings")
    group.add_argument("--out", type=output_folder, required=True, help="folder of prepared data and of trainings")
    group.add_argument("flags", nargs="*", default=[], metavar="FLAG", help="flags for train.py, after --")
