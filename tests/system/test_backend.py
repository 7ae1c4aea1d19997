"""Figures are drawn without a window system, whatever backend the environment names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ("prepare_spinegeneric", "train", "evaluate", "predict", "make_phantom", "benchmark")
NOTEBOOK = "module://matplotlib_inline.backend_inline"
DRAW = (
    "import sys; from pathlib import Path; from utils.report.charts import axes_of\n"
    "from utils.report.figures import save\nsave(axes_of()[0], Path(sys.argv[1]))"
)


def call(backend, *arguments):
    environment = {**os.environ, "MPLBACKEND": backend}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_does_not_depend_on_the_backend(script):
    done = call(NOTEBOOK, f"{script}.py", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage"), done.stderr


@pytest.mark.parametrize("backend", [NOTEBOOK, "QtAgg", "TkAgg", "no such backend", ""])
def test_figures_do_not_depend_on_the_backend(backend, tmp_path):
    done = call(backend, "-c", DRAW, tmp_path / "chart.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
