"""What holds for the repository as a whole."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils.system.files import UserError, replace_file
from utils.training.optimizers import build_optimizer, build_scheduler
from utils.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for pattern in ("*.py", "utils/**/*.py", "models/*.py", "studies/*.py")
    for path in ROOT.glob(pattern)
)
SCRIPTS = ("prepare_spinegeneric", "train", "evaluate", "predict", "correct", "make_phantom", "benchmark")
STUDIES = tuple(f"studies.{name}" for name in ("folds", "few_shot", "networks", "lateral", "non_spine"))

MISTAKES = {
    "prepare_spinegeneric": ["--data", "nowhere", "--out", "x"],
    "train": ["--data", "nowhere", "--out", "x"],
    "evaluate": ["--weights", "nowhere"],
    "predict": ["scan.nii.gz", "--weights", "nowhere"],
    "correct": ["nowhere.json"],
    "make_phantom": ["--out", str(ROOT)],
    "benchmark": ["--device", "nowhere"],
}


def test_importing_does_nothing(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {', '.join(MODULES)}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", (*SCRIPTS, *STUDIES))
def test_flags_have_help_and_misspelt_ones_are_refused(script, capsys):
    parser = importlib.import_module(script).build_parser()
    assert all(action.help for action in parser._actions)
    assert not [action for action in parser._actions if action.type is bool]
    required = [action.option_strings[0] for action in parser._actions if action.required and action.option_strings]
    with pytest.raises(SystemExit):
        places = ["x" for action in parser._actions if action.required and not action.option_strings]
        parser.parse_args([*places, *(word for flag in required for word in (flag, "x")), "--no-such-flag"])
    assert "unrecognized arguments: --no-such-flag" in capsys.readouterr().err


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_mistake_is_one_line_and_no_traceback(script, tmp_path):
    arguments = MISTAKES[script]
    done = subprocess.run(
        [sys.executable, ROOT / f"{script}.py", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), replace_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), replace_file(tmp_path / "file" / "a.txt"):
        pass


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 10, 11, 20])
def test_every_length_of_a_training_has_its_schedule(steps):
    optimizer = build_optimizer(RECIPES["default"], torch.nn.Linear(1, 1), 1.0)
    schedule = build_scheduler(RECIPES["default"], optimizer, 1.0, 1, steps)
    for _ in range(steps):
        assert 0 < schedule.get_last_lr()[0] <= 1.0
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("script", (*SCRIPTS, *STUDIES))
def test_help_tells_defaults_that_there_are(script):
    said = " ".join(importlib.import_module(script).build_parser().format_help().split())
    assert not re.search(r"default: (None|True|False|\[\])", said) and "(default" in said
    assert not re.search(r"\(default: [^)]*\)\s*\(default", said)
    assert not re.search(r"default: [(\[{]", said)  # no tuples or lists of Python


@pytest.mark.parametrize("script", (*SCRIPTS, *STUDIES))
def test_help_groups_all_flags_and_ends_with_an_example_that_parses(script):
    parser = importlib.import_module(script).build_parser()
    assert [action.dest for action in parser._optionals._group_actions] == ["help"]
    line = parser.format_help().splitlines()[-1]
    start = f"  python -m {script} " if script in STUDIES else f"  python {script}.py "
    assert line.startswith(start)
    parser.parse_args(shlex.split(line.removeprefix(start)))
