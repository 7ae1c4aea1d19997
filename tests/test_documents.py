"""The documentation is true: its commands, flags, defaults, links, examples and words."""

import ast
import functools
import importlib
import re
import shlex
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from nibabel.affines import apply_affine

import make_phantom
import prepare_spinegeneric
import train
from utils import discs
from utils.evaluation.cases import NEAR_MM
from utils.report.flags import MEANINGS
from utils.scans.prepared import load_split
from utils.training.network import NETWORK
from utils.training.optimizers import build_optimizer, build_scheduler
from utils.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted(ROOT.glob("docs/*.md"))
TEXTS = [README, ROOT / "CHANGELOG.md", *PAGES, *sorted(ROOT.glob("[a-z]*/README.md"))]
SECTIONS = [
    "What it does", "Install", "Usage", "Results", "From Python", "Limits", "Where to read more",
    "Citation and licence",
]  # fmt: skip
PROGRAMS = [
    *(path.stem for path in ROOT.glob("*.py")), "docs.draw", "weights.publish",
    *(f"studies.{path.stem}" for path in ROOT.glob("studies/*.py") if "def build_parser" in path.read_text()),
]  # fmt: skip
FOREIGN_FLAGS = {"--check", "--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint"}  # sha256sum, torchrun

# Phrases to avoid, each with what the field says instead.
AVOID = {
    r"necks?|chests?|loins?": "cervical, thoracic, lumbar spine",
    r"persons?|people": "subject",
    r"drawings?|drawn on the way|images drawn": "synthetic images, generated on the fly",
    r"from nothing|learn(ed|t|s)? nothing": "trained from scratch",
    r"(?<!fine-)tun(ed|es|ing)": "fine-tuned",
    r"led (a |one |the )?(choices?|nothing)|leads? choices": "development or validation scans",
    r"nam(e|es|ed|ing) (a|the|an|every|each|all|more|no|of|its)? ?(\w+ )?discs?|named discs": "to label a disc",
    r"discs? (is|are|be|were) named": "to label a disc",
    r"second look|looks? twice|first look|two looks|spine alone": "pass, masked to the spine",
    r"(?<!make )(un|not |how )?sure(ly)?": "confident",
    r"turned(?! (on|off|into|out))": "rotated, flipped",
    r"(is|was) no number": "non-finite",
    r"(is|are|was|were|be) told(?! apart)|tells": "is reported, it shows",
    r"rest of a disc": "remnant disc",
    r"findings": "pathology, degeneration, implants",
    r"look through": "quality-control (QC) report",
    r"marks": "review status",
    r"strange(rs?)?": "non-spine images; unknown",
    r"levels? off": "shifted by one level",
    r"(a|one|an) (row|line|picture|file|voxel|heatmap|preview|channel|step|place) an? \w+": "one row per disc",
    r"(one|slices|images|discs|candidates) an? (stack|level|channel|disc|step|epoch|window)": "one per stack",
    r"but for": "except for",
}
SAY = ("UserError", "ScanError", "warn", "print")  # functions whose strings users read


def program(name):
    """Import a program by its path or by its dotted name; returns the module."""
    return importlib.import_module(name.removesuffix(".py").replace("/", "."))


def commands():
    """Return (program, arguments) of each command line that is shown."""
    found = set()
    for text in TEXTS:
        lines = text.read_text(encoding="utf-8").replace("\\\n", " ")
        for name, arguments in re.findall(r"python (?:-m )?([\w./]+)((?: [^`\n]*)?)", lines):
            if name not in ("-m", "3.10"):
                found.add((name, arguments))
        found |= set(re.findall(r"torchrun [^`\n]*? (\w+\.py)([^`\n]*)", lines))
    return [(name, shlex.split(arguments, comments=True)) for name, arguments in sorted(found)]


def parsers_of(parser):
    """Return a parser and those of its subcommands."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action.choices, dict):
            found += action.choices.values()
    return found


@pytest.mark.parametrize(("name", "arguments"), commands(), ids=str)
def test_the_commands_that_are_shown_parse(name, arguments):
    if (ROOT / "tests" / name).exists() or name == "pytest":
        return
    parser = program(name).build_parser()
    if "--help" not in arguments:
        parser.parse_args(arguments)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if "." in name])
def test_the_help_of_a_module_shows_how_it_is_called(name):
    assert program(name).build_parser().format_help().startswith(f"usage: python -m {name} ")


def test_flags_targets_and_variables_that_are_named_exist():
    words = "\n".join(text.read_text(encoding="utf-8") for text in TEXTS)
    known = {flag for name in PROGRAMS for parser in parsers_of(program(name).build_parser())
             for flag in parser._option_string_actions}  # fmt: skip
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", words))
    assert named - FOREIGN_FLAGS <= known
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    shown = re.findall(r"(?:`|^)make ([a-z-]+)((?: [A-Z]+=)?)", words, re.M)
    assert {target for target, _ in shown} <= targets
    assert all(f"$({variable.strip(' =')})" in makefile for _, variable in shown if variable)


def test_documented_defaults_are_those_of_the_parsers():
    method = " ".join((ROOT / "docs" / "method.md").read_text(encoding="utf-8").split())
    readme = " ".join(README.read_text(encoding="utf-8").split())
    default = {action.dest: action.default for action in train.build_parser()._actions}
    helps = {action.dest: action.help for action in train.build_parser()._actions}
    own, theirs = RECIPES["default"], RECIPES["published"]
    stacks, features, lr, batch, epochs, slices = re.search(
        r"(\d+) stacks, (\d+) features, AdamW, a learning rate of (\S+) in one cycle, batches of (\d+), (\d+) epochs "
        r"of at least (\d+) slices", method
    ).groups()  # fmt: skip
    for key in ("stacks", "blocks"):
        assert default[key] is None and int(re.search(r"default: (\d+)", helps[key])[1]) == NETWORK[key]
    assert int(stacks) == NETWORK["stacks"]
    assert (int(features), float(lr), int(batch), int(slices)) == (
        own["features"], own["lr"], own["batch_size"], own["least_slices"],
    )  # fmt: skip
    assert int(epochs) == default["epochs"] and own["optimizer"] == "adamw"
    assert (
        f"{stacks} stacks, {features} features, AdamW with a learning rate of {lr}, batches of {batch}, {epochs} epochs"
        in readme
    )
    lr, first, second, batch, features, channels = re.search(
        r"RMSprop at (\S+), divided by 10 at epochs (\d+) and (\d+), batches of (\d+), (\d+) features, (\d+) input "
        r"channels", method
    ).groups()  # fmt: skip
    assert (float(lr), int(batch), int(features), int(channels)) == (
        theirs["lr"], theirs["batch_size"], theirs["features"], theirs["in_channels"],
    )  # fmt: skip
    schedule = build_scheduler(theirs, build_optimizer(theirs, torch.nn.Linear(1, 1), 1.0), 1.0, 100, 5)
    assert sorted(schedule.milestones) == [5 * int(first), 5 * int(second)]
    for key in ("features", "batch_size", "lr"):
        stated = re.search(r"default: (\S+), published (\S+)\)", helps[key]).groups()
        assert [float(value) for value in stated] == [own[key], theirs[key]]
    subjects = next(action.const for action in train.build_parser()._actions if action.dest == "synthetic")
    assert f"from {subjects} synthetic subjects" in method
    assert f"`--synthetic-share` (default: {train.SYNTHETIC_SHARE})" in method
    assert default["synthetic_share"] is None and f"(default: {train.SYNTHETIC_SHARE})" in helps["synthetic_share"]
    assert f"within {NEAR_MM:g} mm" in readme and f"within {NEAR_MM:g} mm" in method


def test_the_readme_is_short_and_in_order():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 200
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == SECTIONS
    first = lines[: lines.index(f"## {SECTIONS[0]}")]
    assert sum(line.startswith("![") for line in first) == 1  # one picture,
    assert sum(line.startswith("python ") for line in first) == 1  # and one command


def test_every_flag_of_a_scan_is_explained():
    rows = re.findall(r"^\| (`[^|]*) \|", (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8"), re.M)
    assert set(MEANINGS) <= set(re.findall(r"`([^`]+)`", " ".join(rows)))


def anchors(path):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_resolve(text):
    words = text.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", words):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        aim = (text.parent / path) if path else text
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim), target
    for path in re.findall(r"`((?:utils|models|tests|docs|speed|studies|weights)/[\w./]*)`", words):
        assert (ROOT / path).exists(), path


def test_every_page_is_in_the_list_of_the_readme():
    words = README.read_text(encoding="utf-8")
    assert all(f"]({page.relative_to(ROOT)})" in words for page in PAGES)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """Return a folder with a tree of one synthetic subject, and the path of its T2w scan."""
    folder = tmp_path_factory.mktemp("documents")
    make_phantom.main(["--subjects", "1", "--out", str(folder / "tree")])
    return folder, next((folder / "tree").glob("sub-*/anat/*_T2w.nii.gz"))


def example(text, word=""):
    """Return the Python example of a text that holds a word."""
    codes = re.findall(r"^```python\n(.*?)^```", text.read_text(encoding="utf-8"), re.M | re.S)
    (code,) = (code for code in codes if word in code)
    return code


def test_the_example_of_the_readme_labels_a_scan(phantom, monkeypatch, capsys):
    folder, scan = phantom
    (folder / "my_scan.nii.gz").write_bytes(scan.read_bytes())
    monkeypatch.chdir(folder)
    code = example(README)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    capsys.readouterr()
    exec(code, {})
    *lines, flags = capsys.readouterr().out.splitlines()
    shown = [re.fullmatch(r"(\S+-\S+) \[([^\]]*)\] (\S+)", line).groups() for line in lines]
    labels = nibabel.load(next((folder / "tree").rglob(f"{scan.name.split('.')[0]}_label-discs_dlabel.nii.gz")))
    true = np.argwhere(labels.get_fdata())
    world = dict(zip(labels.get_fdata()[tuple(true.T)], apply_affine(labels.affine, true), strict=True))
    # The lower edge of the scan cuts a disc, whose tip lies outside: it may be found nevertheless.
    assert len(world) <= len(shown) <= len(world) + 1 and flags == "[]"
    found = {level: (np.array(place.split(), float), float(confidence)) for level, place, confidence in shown}
    for level, place in world.items():
        point, confidence = found[discs.name(int(level))]
        assert np.linalg.norm(place - point) < NEAR_MM and 0.5 < confidence <= 1


def test_the_example_of_the_inputs_reads_prepared_samples(phantom, monkeypatch):
    folder, _ = phantom
    monkeypatch.chdir(folder)
    prepare_spinegeneric.main(["--data", "tree", "--out", "dataset/NAME", "--split", "1", "0", "0"])
    names = {}
    exec(example(ROOT / "docs" / "inputs.md", "class Discs"), names)
    assert len(names["Discs"]("dataset/NAME", "train")) == 2 and not len(names["Discs"]("dataset/NAME", "test"))
    sample = load_split("dataset/NAME", "train")[0]
    assert np.array_equal(names["points"], sample.points[:, ::-1]) and np.array_equal(names["levels"], sample.levels)
    assert names["image"].shape == (1, *sample.image.shape) and np.allclose(names["image"][0], sample.image)


def test_monai_reads_prepared_samples(phantom, monkeypatch):
    data = pytest.importorskip("monai.data", reason="MONAI is not installed")
    transforms = pytest.importorskip("monai.transforms")
    folder, _ = phantom
    monkeypatch.chdir(folder)
    prepare_spinegeneric.main(["--data", "tree", "--out", "dataset/monai", "--split", "1", "0", "0"])
    (file, *_) = sorted((folder / "dataset" / "monai" / "samples").iterdir())
    for key in ("image", "points"):
        read = transforms.LoadImage(reader=data.NumpyReader(npz_keys=[key]))(file)
        with np.load(file) as sample:
            np.testing.assert_array_equal(np.asarray(read), sample[key])


def said(path):
    """Return the strings in errors, warnings and prints of a module."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    parts = [part for call in calls if getattr(call.func, "id", "") in SAY for part in ast.walk(call)]
    return " ".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


@functools.cache
def prose():
    """Return {where: words} of the documentation, help texts, messages, templates of the report and the Makefile."""
    found = {str(text.relative_to(ROOT)): re.sub(r"`[^`\n]+`", "", text.read_text(encoding="utf-8")) for text in TEXTS}
    for name in PROGRAMS:
        helps = [parser.format_help() for parser in parsers_of(program(name).build_parser())]
        found[f"{name} --help"] = "\n".join(helps)
    for path in (path for pattern in ("*.py", "*/*.py", "utils/*/*.py") for path in ROOT.glob(pattern)):
        found[str(path.relative_to(ROOT))] = said(path)
    found["Makefile"] = (ROOT / "Makefile").read_text()
    for path in [*(ROOT / "utils" / "report" / "templates").iterdir(), ROOT / "Makefile"]:
        found[path.name] = path.read_text(encoding="utf-8")
    return {where: " ".join(words.split()) for where, words in found.items()}


@pytest.mark.parametrize("phrase", AVOID)
def test_the_words_are_those_of_the_field(phrase):
    wrong = [
        f"{where}: ...{words[max(found.start() - 40, 0) : found.end() + 30]}..."
        for where, words in prose().items()
        for found in re.finditer(rf"\b(?:{phrase})\b", words, re.I)
    ]
    assert not wrong, f"write {AVOID[phrase]!r}:\n" + "\n".join(wrong)
