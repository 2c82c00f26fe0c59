"""The rules of the house (docs/architecture.md), kept by reading every import."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HARNESS = ROOT / "harness"

# A room may import itself and every room of a lower line; rooms of one line never import each other.
# After `store` the lines part: measuring and publishing meet again only in the flows.
LOWER = {
    "errors": (),
    "values": ("errors",),
    "formats": ("errors", "values"),
    "stats": ("errors", "values"),
    "store": ("errors", "values", "formats", "stats"),
}
AFTER_STORE = tuple(LOWER)
ALLOWED = LOWER | dict.fromkeys(("matrix", "artifacts", "machine", "engine", "measure", "analysis"), AFTER_STORE)
ALLOWED["report"] = (*AFTER_STORE, "analysis")
ALLOWED["flows"] = tuple(ALLOWED)

# One home for each third-party package: a folder or a file below the root.
HOMES = {
    "docker": ("harness/engine",),
    "requests": ("harness/engine",),
    "urllib3": ("harness/engine",),
    "pynvml": ("harness/machine/vendors/nvidia.py",),
    "yaml": ("harness/formats",),
    "jsonschema": ("harness/formats",),
    "tabulate": ("harness/report/writers/markdown.py",),
    "rich": ("harness/flows",),
    "huggingface_hub": ("harness/artifacts",),
    "gguf": ("harness/artifacts/synthetic.py", "harness/artifacts/synthetic_tensors.py"),
    "numpy": ("harness/artifacts", "harness/analysis/prediction.py"),
    "matplotlib": ("harness/report/writers/svg.py",),
    "msgspec": (
        "harness/store/line_shapes.py",
        "harness/store/quick_check.py",
        "harness/store/schema_types.py",
        "harness/store/structures.py",
        "harness/store/telemetry_summaries.py",
        "harness/analysis/kept_results.py",
    ),
    "duckdb": ("harness/analysis/columns",),
    "invoke": (
        "tasks.py",
        "tasks_comparing.py",
        "tasks_predicting.py",
        "tasks_program.py",
        "tasks_sharing.py",
        "tasks_told.py",
    ),
}
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "tools", "lib"}
FILES = [*sorted(HARNESS.rglob("*.py")), *sorted(ROOT.glob("tasks*.py"))]


def imports(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found.append(node.module or "")
            if node.module == "harness":
                found += [f"harness.{alias.name}" for alias in node.names]
    return found


def room(file: Path) -> str:
    return file.relative_to(HARNESS).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.is_relative_to(HARNESS)], ids=lambda f: str(f.relative_to(ROOT))
)
def test_imports_go_one_way(file: Path) -> None:
    here = room(file)
    for name in imports(file):
        parts = name.split(".")
        if parts[0] == "harness" and len(parts) > 1 and parts[1] not in {here, "__version__"}:
            assert parts[1] in ALLOWED.get(here, ()), f"{here} may not import {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_each_package_has_one_home(file: Path) -> None:
    relative = str(file.relative_to(ROOT))
    for name in imports(file):
        homes = HOMES.get(name.split(".")[0])
        if homes:
            assert any(relative == home or relative.startswith(f"{home}/") for home in homes), f"{name} in {relative}"


def test_every_import_has_a_home_or_is_the_standard_library() -> None:
    import sys

    known = set(sys.stdlib_module_names) | set(HOMES) | {"harness"} | {f.stem for f in FILES if f.parent == ROOT}
    strangers = {n.split(".")[0] for f in FILES for n in imports(f)} - known
    assert strangers == set()


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_drawers_for_leftovers(file: Path) -> None:
    assert not DRAWERS & {part.removesuffix(".py") for part in file.relative_to(ROOT).parts}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_has_one_subject(file: Path) -> None:
    # "Past about 300 lines it has two."
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 360


def test_the_rooms_are_those_of_the_rules() -> None:
    rooms = {p.name.removesuffix(".py") for p in HARNESS.iterdir() if not p.name.startswith("_")}
    assert rooms == set(ALLOWED)


def test_values_have_no_third_party_imports() -> None:
    import sys

    for file in (HARNESS / "values").glob("*.py"):
        for name in imports(file):
            assert name.split(".")[0] in sys.stdlib_module_names or name.startswith("harness."), (file, name)


# A GPU vendor or a backend is named in its own files and in the tables that list them. Everything else works for any.
NAMED = re.compile(r"cuda|rocm|nvidia", re.IGNORECASE)
OWN_FILES = (
    "harness/values/backend.py",
    "harness/formats/signatures/__init__.py",
    "harness/formats/signatures/ggml_cuda.py",
    "harness/formats/signatures/nvidia.py",
    "harness/machine/vendors/__init__.py",
    "harness/machine/vendors/nvidia.py",
    "harness/machine/vendors/nvidia_probe.py",
    "harness/machine/vendors/nvidia_driver.py",
    "harness/machine/vendors/nvidia_power.py",
    "harness/machine/vendors/amd.py",
    "harness/machine/vendors/amd_probe.py",
)


def spoken(file: Path) -> list[str]:
    """Every name and text of the code, without comments and docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            found.append(node.value)
        elif isinstance(node, ast.Name):
            found.append(node.id)
        elif isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.arg | ast.keyword):
            found.append(node.arg or "")
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
    return found + imports(file)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_vendors_and_backends_are_named_in_their_own_files_only(file: Path) -> None:
    if str(file.relative_to(ROOT)) not in OWN_FILES:
        assert [text for text in spoken(file) if NAMED.search(text)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_comments_and_docstrings_name_them_no_more_than_the_code(file: Path) -> None:
    """But for the rooms of the vendors and of their words, where neighbours are told apart."""
    relative = file.relative_to(ROOT)
    rooms_of_theirs = ("harness/machine/vendors", "harness/formats/signatures")
    if not any(relative.is_relative_to(own) for own in (*OWN_FILES, *rooms_of_theirs)):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if NAMED.search(line)] == []


@pytest.mark.parametrize("name", OWN_FILES)
def test_the_files_that_may_name_them_are_there_and_do(name: str) -> None:
    assert any(NAMED.search(text) for text in spoken(ROOT / name)), f"take {name} off the list"
