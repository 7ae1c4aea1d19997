"""How the scripts' flags are read, and how ``--help`` tells of them."""

import argparse


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells a flag's default where it has one of its own; switches, and flags whose text tells it, have none."""

    def _get_help_string(self, action):
        if action.default is None or action.nargs == 0 or action.default == []:
            return action.help
        return super()._get_help_string(action)


def whole_number(text):
    """Read a number of 0, 1, 2, ... (an argparse type)."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no whole number of 0 or more")
    return int(text)
