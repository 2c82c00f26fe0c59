"""Models as they stand in the registry and in matrix files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ProblemsError
from harness.formats.schema_errors import check
from harness.formats.strict_yaml import load, read_bytes
from harness.matrix.schema import models_schema
from harness.values.matrix import ModelSource


def load_registry(path: Path, *, shown: str = "") -> dict[str, ModelSource]:
    """The models that every matrix file can name. Paths of local files become absolute.

    Args:
        shown: the file's name in messages; its path where empty.

    Raises:
        InputError: it cannot be read, or with all mistakes in it at once.
    """
    shown = shown or str(path)
    document = load(read_bytes(path, shown=shown), file=shown)
    problems = check(document, models_schema())
    if problems:
        raise ProblemsError(problems, remedy="docs/matrix.md describes the models.")
    return {name: model_source(name, entry, base=path.absolute().parent) for name, entry in document.data.items()}


def model_source(name: str, entry: Mapping[str, Any], *, base: Path | None = None) -> ModelSource:
    """One valid entry as a value.

    Args:
        base: makes a relative path of a local file absolute; None leaves it as it is written.
    """
    file = str(entry.get("file", ""))
    if file and base is not None and not file.startswith("~"):
        file = str(base / file)
    return ModelSource(
        name=name,
        kind=_kind(entry),
        sha256=str(entry.get("sha256", "")).lower(),
        title=str(entry.get("title", "")),
        licence=str(entry.get("licence", "")),
        repo=str(entry.get("huggingface", "")),
        revision=str(entry.get("revision", "")),
        filename=str(entry.get("filename", "")),
        path=file,
        packages=tuple((p["requirement"], p["sha256"].lower()) for p in entry.get("packages", ())),
        parts=tuple(entry.get("parts", ())),
        recipe=dict(entry["synthetic"]) if "synthetic" in entry else None,
    )


def _kind(entry: Mapping[str, Any]) -> str:
    kinds = {"file": "file", "huggingface": "huggingface", "packages": "package", "synthetic": "synthetic"}
    return next(kind for key, kind in kinds.items() if key in entry)
