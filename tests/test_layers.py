"""The layers of the packages: who may import whom, and no cycle among modules."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("*.py", "models/*.py", "utils/**/*.py", "speed/*.py", "studies/*.py")
CALLED = {"scikit-image": "skimage", "pillow": "PIL"}  # packages that are not called what they are imported as
# From the lowest to the highest; a module imports from its own layer and those below.
LAYERS = (
    {"models", "utils.discs", "utils.system"},
    {"utils.scans", "utils.inference"},
    {"utils.synthesis", "utils.evaluation"},
    {"utils.training", "utils.report"},
)
PURE = (
    "inference/skeleton", "inference/heatmaps", "evaluation/cases", "evaluation/metrics", "evaluation/published",
    "training/augment", "synthesis/anatomy",
)  # fmt: skip


def modules():
    """Return {dotted name: path} of the modules of models/ and utils/."""
    paths = [path for folder in ("models", "utils") for path in (ROOT / folder).rglob("*.py")]
    paths.remove(ROOT / "utils" / "__init__.py")  # above all layers, and empty
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports_of(path):
    """Return the dotted names that a module imports, anywhere in it; of `from a import b` both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def layer_of(module):
    found = [index for index, names in enumerate(LAYERS) for name in names if f"{module}.".startswith(f"{name}.")]
    assert len(found) == 1, f"{module} belongs to no layer"
    return found[0]


def test_all_packages_that_are_imported_are_required():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {CALLED.get(name, name) for name in (line.partition(">")[0] for line in lines)}
    own = {path.stem for path in ROOT.iterdir()}
    for path in (path for pattern in CODE for path in ROOT.glob(pattern)):
        imported = {name.split(".")[0] for name in imports_of(path)}
        assert imported - sys.stdlib_module_names - own <= required, path


def test_no_import_from_a_lower_layer_to_a_higher_one():
    known = modules()
    for module, path in known.items():
        for other in imports_of(path) & set(known):
            assert layer_of(other) <= layer_of(module), f"{module} imports {other}"


def test_no_cycle_of_imports():
    known = modules()
    graph = {module: (imports_of(path) & set(known)) - {module} for module, path in known.items()}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError where there is one


def test_no_cycle_among_packages():
    known = modules()
    package = {module: ".".join(module.split(".")[:2]) for module in known}
    graph = {}
    for module, path in known.items():
        others = {package[other] for other in imports_of(path) & set(known)} - {package[module]}
        graph.setdefault(package[module], set()).update(others)
    assert list(TopologicalSorter(graph).static_order())


def test_nothing_imports_a_script():
    scripts = {path.stem for path in ROOT.glob("*.py")}
    for module, path in modules().items():
        assert not {name.split(".")[0] for name in imports_of(path)} & scripts, module


def test_models_import_torch_alone_and_pure_modules_do_not():
    for path in (ROOT / "models").glob("*.py"):
        assert {name.split(".")[0] for name in imports_of(path)} <= {"torch", "models"}, path
    for name in PURE:
        assert "torch" not in {name.split(".")[0] for name in imports_of(ROOT / "utils" / f"{name}.py")}, name


def test_only_scans_reads_nifti():
    # So that a training from prepared samples needs no NIfTI reader.
    readers = {path.parent.name for path in modules().values() if "nibabel" in imports_of(path)}
    assert readers == {"scans"}
    for module, path in modules().items():
        if layer_of(module) > 1:
            assert not imports_of(path) & {"utils.scans.nifti", "utils.scans.labels", "utils.scans.sagittal"}, module
