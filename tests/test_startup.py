"""Start-up: what a script's ``--help`` loads."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLOW = {"torch", "matplotlib", "nibabel", "scipy", "skimage", "numpy", "PIL"}
COMMANDS = [
    *([path.name] for path in ROOT.glob("*.py")),
    *(["-m", f"studies.{path.stem}"] for path in (ROOT / "studies").glob("*.py") if "__main__" in path.read_text()),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_loads_nothing_slow(command):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("usage: ")
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "argparse" in loaded and not loaded & SLOW
