"""What holds for the repository as a whole."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from utils.files import UserError, replace_file

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for pattern in ("*.py", "utils/*.py", "models/*.py")
    for path in ROOT.glob(pattern)
)
SCRIPTS = ("prepare_spinegeneric", "train", "evaluate", "predict", "make_phantom", "benchmark")

MISTAKES = {
    "prepare_spinegeneric": ["--data", "nowhere", "--out", "x"],
    "train": ["--data", "nowhere", "--out", "x"],
    "evaluate": ["--weights", "nowhere"],
    "predict": ["scan.nii.gz", "--weights", "nowhere"],
    "make_phantom": ["--subjects", "0", "--out", "x"],
    "benchmark": ["--device", "nowhere"],
}


def test_importing_does_nothing(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {', '.join(MODULES)}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not list(tmp_path.iterdir())


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_arrows_run_one_way():
    for path in (ROOT / "models").glob("*.py"):
        assert set(imports_of(path)) <= {"torch", "models"}, path
    for name in ("skeleton", "metrics", "heatmaps", "augment", "phantom", "synthesis"):
        assert "torch" not in imports_of(ROOT / "utils" / f"{name}.py"), name
    readers = {path.name for path in (ROOT / "utils").glob("*.py") if "nibabel" in imports_of(path)}
    assert readers == {"scan.py"}  # training from prepared samples needs no NIfTI reader


@pytest.mark.parametrize("script", SCRIPTS)
def test_flags_have_help_and_misspelt_ones_are_refused(script, capsys):
    parser = importlib.import_module(script).build_parser()
    assert all(action.help for action in parser._actions)
    assert not [action for action in parser._actions if action.type is bool]
    with pytest.raises(SystemExit):
        parser.parse_args([*MISTAKES[script], "--no-such-flag"])
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
