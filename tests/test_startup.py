"""Start-up: what a script's ``--help`` loads, and what is set before PyTorch is loaded."""

import ast
import os
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


def test_two_runs_are_compared_without_torch(tmp_path):
    command = [sys.executable, "-X", "importtime", "evaluate.py", "--compare", str(tmp_path / "a"), str(tmp_path / "b")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "error: " in done.stderr and str(tmp_path / "a") in done.stderr
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "numpy" in loaded and not loaded & {"torch", "matplotlib", "nibabel", "skimage"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.py")), ids=lambda path: path.name)
def test_how_threads_wait_is_set_before_torch_is_loaded(path):
    imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    packages = [name.split(".")[0] for name in names]
    assert "utils" in packages
    assert not {"torch", "torchvision"} & set(packages[: packages.index("utils")])


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "None")],
)
def test_what_the_user_says_of_threads_holds(given, expected):
    clean = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import utils, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env={**clean, **given}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
