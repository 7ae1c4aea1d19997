"""Where the shipped weights lie, here and not beside their reader: a script's ``--help`` loads no network."""

from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "weights" / "spine.pt"
