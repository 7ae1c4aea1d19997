"""What holds for the repository as a whole."""

import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils.evaluation.metrics import NEAR_MM
from utils.system.files import UserError, replace_file
from utils.training.recipes import RECIPES, build_optimizer, build_scheduler

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for pattern in ("*.py", "utils/**/*.py", "models/*.py")
    for path in ROOT.glob(pattern)
)
SCRIPTS = ("prepare_spinegeneric", "train", "evaluate", "predict", "make_phantom", "benchmark")
TEXTS = [ROOT / "README.md", *ROOT.glob("[a-z]*/README.md")]
README = " ".join(TEXTS[0].read_text(encoding="utf-8").split())

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


def commands():
    """Return (script, arguments) of every command line in the texts."""
    for text in TEXTS:
        for script, arguments in re.findall(r"python (\S+\.py)([^`\n]*)", text.read_text(encoding="utf-8")):
            yield script, shlex.split(arguments, comments=True)


def load(script):
    spec = importlib.util.spec_from_file_location("shown", ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("script", "arguments"), list(commands()), ids=str)
def test_the_commands_that_are_shown_can_be_run(script, arguments, capsys):
    module = load(script)
    if hasattr(module, "build_parser"):
        if "--help" not in arguments:
            module.build_parser().parse_args(arguments)
        return
    with pytest.raises(SystemExit):
        module.main(["--help"])
    said = capsys.readouterr().out
    assert all(argument in said for argument in arguments if argument.startswith("--"))


def test_flags_and_targets_that_are_named_exist():
    # Of sha256sum and of torchrun.
    known = {"--check", "--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint"}
    for script in [*(f"{script}.py" for script in SCRIPTS), "docs/tables.py"]:
        known |= set(load(script).build_parser()._option_string_actions)
    named = {flag for text in TEXTS for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text.read_text())}
    parts = {flag for _, arguments in commands() for flag in arguments if flag.startswith("--")}
    assert named - parts <= known
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", "\n".join(text.read_text() for text in TEXTS), re.M)) <= targets


def test_documented_defaults_are_those_of_the_parsers():
    parser = importlib.import_module("train").build_parser()
    default = {action.dest: action.default for action in parser._actions}
    helps = {action.dest: action.help for action in parser._actions}
    network = importlib.import_module("train").NETWORK
    own, theirs = RECIPES["default"], RECIPES["published"]
    stacks, features, lr, batch, epochs, slices = re.search(
        r"(\d+) stacks, (\d+) features, AdamW, a learning rate of (\S+) in one cycle, batches of (\d+), (\d+) epochs "
        r"of at least (\d+) slices", README
    ).groups()  # fmt: skip
    for key in ("stacks", "blocks"):
        assert default[key] is None and int(re.search(r"default: (\d+)", helps[key])[1]) == network[key]
    assert int(stacks) == network["stacks"]
    assert (int(features), float(lr), int(batch), int(slices)) == (
        own["features"], own["lr"], own["batch_size"], own["least_slices"],
    )  # fmt: skip
    assert int(epochs) == default["epochs"] and own["optimizer"] == "adamw"
    lr, first, second, batch, features, channels = re.search(
        r"RMSprop at (\S+), divided by 10 at epochs (\d+) and (\d+), batches of (\d+), (\d+) features, (\d+) input "
        r"channels", README
    ).groups()  # fmt: skip
    assert (float(lr), int(batch), int(features), int(channels)) == (
        theirs["lr"], theirs["batch_size"], theirs["features"], theirs["in_channels"],
    )  # fmt: skip
    schedule = build_scheduler(theirs, build_optimizer(theirs, torch.nn.Linear(1, 1), 1.0), 1.0, 100, 5)
    assert sorted(schedule.milestones) == [5 * int(first), 5 * int(second)]
    for key in ("features", "batch_size", "lr"):
        told = re.search(r"default: (\S+), published (\S+)\)", helps[key]).groups()
        assert [float(value) for value in told] == [own[key], theirs[key]]
    people = next(action.const for action in parser._actions if action.dest == "synthetic")
    assert f"from {people} drawn people" in README
    assert f"within {NEAR_MM:g} mm" in README


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


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_tells_defaults_that_there_are(script):
    said = " ".join(importlib.import_module(script).build_parser().format_help().split())
    assert not re.search(r"default: (None|True|False|\[\])", said) and "(default" in said
    assert not re.search(r"\(default: [^)]*\)\s*\(default", said)
    assert not re.search(r"default: [(\[{]", said)  # no tuples or lists of Python


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_groups_all_flags_and_ends_with_an_example_that_parses(script):
    parser = importlib.import_module(script).build_parser()
    assert [action.dest for action in parser._optionals._group_actions] == ["help"]
    line = parser.format_help().splitlines()[-1]
    assert line.startswith(f"  python {script}.py ")
    parser.parse_args(shlex.split(line)[2:])
