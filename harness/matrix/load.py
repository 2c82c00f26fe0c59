"""Matrix files: found by name, read, checked; every mistake that can be seen is told at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import InputError, Problem, ProblemsError
from harness.formats.document import Document
from harness.formats.schema_errors import check, close_match
from harness.formats.strict_yaml import parse, read_bytes
from harness.matrix.cell_checks import check_cells
from harness.matrix.groups import as_list, parse_group
from harness.matrix.lock_file import LOCK_ENDING
from harness.matrix.references import check_references
from harness.matrix.registry import model_source
from harness.matrix.schema import matrix_schema
from harness.stats.until import LOOKS
from harness.values.backend import BACKENDS
from harness.values.cell import MARKS
from harness.values.matrix import PRESETS, ImageSource, Matrix, ModelSource, Preset

REGISTRY_NAME = "models.yaml"
DEFAULT_SEED = 1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UNITS = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_MIN_MEMORY = 64 * 2**20
# The first number of rounds at which a distribution-free 95 % interval of a median exists.
_MIN_ROUNDS = 6
_LEAST_WIDTH = 0.001
_MOST_WIDTH = 0.2
_REMEDY = "docs/matrix.md describes the format."


def resolve_file(name: str, *, cwd: Path, matrices_dir: Path) -> Path:
    """The file that `--file NAME` means: in `matrices_dir`, with or without its ending, or any path.

    Raises:
        InputError: there is none, or it is a folder, the registry of models or a lock.
    """
    candidates = [cwd / Path(name).expanduser()]
    if not Path(name).is_absolute():
        in_house = [matrices_dir / name, matrices_dir / f"{name}.yaml"]
        # A name with a folder in it is a path first.
        candidates = [*candidates, *in_house] if "/" in name else [*in_house, *candidates]
    found = next((path for path in candidates if _is_file(path)), None)
    if found is None and any(_is_folder(path) for path in candidates):
        raise InputError(
            "is a folder, not a matrix file",
            where=f"--file {name}",
            remedy="Name a file in it. A folder of a report holds `records/`.",
        )
    if found is None:
        files = sorted(path.name for path in matrices_dir.glob("*.yaml"))
        known = [file for file in files if file != REGISTRY_NAME and not file.endswith(LOCK_ENDING)]
        match = close_match(Path(name).stem, [file.removesuffix(".yaml") for file in known])
        hint = f" Did you mean '{match}.yaml'?" if match else ""
        raise InputError(
            f"there is no such matrix file.{hint}",
            where=f"--file {name}",
            remedy=f"Give a path, or one of {', '.join(known)} in {matrices_dir.name}/." if known else "Give a path.",
        )
    if found.resolve() == (matrices_dir / REGISTRY_NAME).resolve():
        raise InputError(
            "is the registry of models, not a matrix file", where=f"--file {name}", remedy="Name a matrix file."
        )
    if found.name.endswith(LOCK_ENDING):
        raise InputError(
            "is the lock of a matrix file, not a matrix file",
            where=f"--file {name}",
            remedy=f"Name the matrix file, {found.name.removesuffix(LOCK_ENDING)}.yaml, and add --locked.",
        )
    return found


def load_matrix(path: Path, *, shown: str, registry: Mapping[str, ModelSource]) -> Matrix:
    """Read and check a matrix file.

    Args:
        shown: the file's name in messages.
        registry: the models that it can name beside its own.

    Raises:
        InputError: it cannot be read, or with all mistakes in it at once.
    """
    content = read_bytes(path, shown=shown)
    document, problems = parse(content, file=shown)
    if document is None:
        raise ProblemsError(problems, remedy=_REMEDY)
    if document.data is None:
        raise ProblemsError(
            [Problem(file=shown, message="is empty: a matrix file has at least `cells`")], remedy=_REMEDY
        )
    # A value that is refused as YAML has no value to be checked: one mistake, one line.
    told = {(problem.line, problem.column) for problem in problems}
    found = [*check(document, matrix_schema(), also_called=MARKS), *check_references(document, registry)]
    problems += [problem for problem in found if (problem.line, problem.column) not in told]
    problems += _own_checks(document, path)
    if problems:
        raise ProblemsError(problems, remedy=_REMEDY)
    matrix = _matrix(document.data, path, content, registry)
    problems = check_cells(document, matrix)
    if problems:
        raise ProblemsError(problems, remedy=_REMEDY)
    return matrix


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _own_checks(document: Document, path: Path) -> list[Problem]:
    data = document.data
    problems = []
    if isinstance(data, dict) and "name" not in data and not _NAME.fullmatch(path.stem):
        message = (
            "the report's folder cannot be called like this file; add `name:` with letters, digits, '.', '_' and '-'"
        )
        problems.append(Problem(file=document.file, message=message))
    problems += _about_until(document)
    memory = data.get("memory") if isinstance(data, dict) else None
    if isinstance(memory, str) and re.match(r"[0-9]", memory) and (_bytes(memory) or _MIN_MEMORY) < _MIN_MEMORY:
        problems.append(document.problem(("memory",), "less than 64MiB is too little for any model"))
    return problems


def _about_until(document: Document) -> list[Problem]:
    """What is wrong with `until`, and with what stands beside it."""
    data = document.data
    until = data.get("until") if isinstance(data, dict) else None
    by_width = until is not None or (isinstance(data, dict) and data.get("preset") == "until")
    if not by_width:
        return []
    problems = []
    share = _share(until) if isinstance(until, str) else None
    if share is not None and not _LEAST_WIDTH <= share <= _MOST_WIDTH:
        problems.append(document.problem(("until",), f"{until} is out of range: 0.1% to 20%"))
    if "rounds" in data:
        looks = ", ".join(str(look) for look in LOOKS)
        message = f"with `until` the widths decide, after {looks} rounds; remove one of the two"
        problems.append(document.problem(("rounds",), message))
    if data.get("preset") == "quick":
        message = "'quick' has one round and no interval for `until`; use standard, rigorous or until"
        problems.append(document.problem(("preset",), message))
    return problems


def _share(percent: str) -> float | None:
    match = re.fullmatch(r"([0-9.]+) ?%", percent)
    return float(match[1]) / 100 if match else None


def _bytes(size: str) -> int | None:
    match = re.fullmatch(r"([0-9.]+) ?([MGT]iB)", size)
    return int(float(match[1]) * _UNITS[match[2]]) if match else None


def _matrix(data: Mapping[str, Any], path: Path, content: bytes, registry: Mapping[str, ModelSource]) -> Matrix:
    images = {name: ImageSource(name=name, build=name) for name in BACKENDS}
    images |= {name: _image_source(name, entry) for name, entry in data.get("images", {}).items()}
    own = {name: model_source(name, entry) for name, entry in data.get("models", {}).items()}
    return Matrix(
        name=data.get("name", path.stem),
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        title=data.get("title", ""),
        notes=data.get("notes", ""),
        preset=_preset(data),
        seed=int(data.get("seed", DEFAULT_SEED)),
        memory_bytes=_bytes(data.get("memory", "")),
        images=images,
        models={**registry, **own},
        groups=tuple(parse_group(index, entry) for index, entry in enumerate(data["cells"])),
        includes=tuple(as_list(data.get("include", []))),
        excludes=tuple(as_list(data.get("exclude", []))),
        price_per_kwh=float(data["price"]) if "price" in data else None,
    )


def _image_source(name: str, entry: Mapping[str, Any]) -> ImageSource:
    fields = {**entry, "architectures": tuple(entry.get("architectures", ()))}
    return ImageSource(name=name, llama_source=fields.pop("source", ""), **fields)


def _preset(data: Mapping[str, Any]) -> Preset:
    preset = PRESETS[data.get("preset", "until" if "until" in data else "standard")]
    rounds = int(data.get("rounds", preset.rounds))
    repetitions = int(data.get("repetitions", preset.repetitions))
    until = _share(data["until"]) if "until" in data else preset.until
    if until is not None:
        return replace(preset, rounds=LOOKS[-1], repetitions=repetitions, screening=False, until=until)
    return replace(preset, rounds=rounds, repetitions=repetitions, screening=rounds < _MIN_ROUNDS)
