"""The command lines of the scripts: types of flags, and a readable ``--help``."""

import argparse
import math
import os
from pathlib import Path


class Help(argparse.HelpFormatter):
    """Show each default as it would be typed, and keep the lines of an indented example."""

    def _get_help_string(self, action):
        switch = action.nargs == 0
        if switch or action.default in (None, [], argparse.SUPPRESS):
            return action.help  # no default, or one that the text itself states
        default = as_typed(action.default).replace("%", "%%")
        return f"{action.help} (default: {default})"

    def _fill_text(self, text, width, indent):
        if "\n  " in text:
            return text
        fill = super()._fill_text
        return "\n\n".join(fill(paragraph, width, indent) for paragraph in text.split("\n\n"))


def new_parser(description, example, prog=None):
    """Return a parser whose help ends with an example.

    Parameters
    ----------
    description : str
        As a rule the docstring of the script.
    example : str
        A whole command.
    prog : str, optional
        How the script is called, where that is not its file name.
    """
    return argparse.ArgumentParser(prog, description=description, formatter_class=Help, epilog=f"example:\n  {example}")


def as_typed(default):
    """Return a default as one types it: a tuple of numbers as ranges (``2-4,7``), a list with spaces between."""
    if isinstance(default, tuple):
        return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs_of(default))
    return " ".join(map(str, default)) if isinstance(default, list) else str(default)


def runs_of(numbers):
    """Return the (first, last) of each run of consecutive whole numbers, in ascending order."""
    runs = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def whole_number(text):
    """Read a number of 0, 1, 2, ... (an argparse type)."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(text)


def natural_number(text):
    """Read a number of 1, 2, ... (an argparse type)."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)


def seed_number(text):
    """Read a seed, of no more bits than torch takes (an argparse type)."""
    if whole_number(text) >= 2**64:
        raise argparse.ArgumentTypeError(f"{text} is not below 2**64")
    return int(text)


def multiple_of_4(text):
    """Read a number of features, which a network divides by 4 (an argparse type)."""
    if natural_number(text) % 4:
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of 4")
    return int(text)


def share(text):
    """Read a number from 0 to 1 (an argparse type)."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return value


def output_folder(text):
    """Read the path of a folder to write to, which need not exist (an argparse type)."""
    path = Path(text)
    for part in (path, *path.parents):
        if os.path.exists(part) and not os.path.isdir(part):  # Path.exists raises for a name that is too long
            raise argparse.ArgumentTypeError(f"{part} is a file: give a folder")
    return path


def output_file(text):
    """Read the path of a file to write, whose folder need not exist (an argparse type)."""
    path = Path(text)
    if os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{path} is a folder: give a file")
    output_folder(path.parent)
    return path
