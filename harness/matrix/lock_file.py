"""`X.lock.yaml` beside `X.yaml`: written, read, and put into the matrix that it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import InputError, Problem, ProblemsError
from harness.formats.schema_errors import check
from harness.formats.strict_yaml import parse, read_bytes
from harness.matrix.schema import read_schema
from harness.values.cell import Cell
from harness.values.lock import Lock, LockedImage, LockedModel
from harness.values.matrix import ImageSource, Matrix, ModelSource

FORMAT = 1
LOCK_ENDING = ".lock.yaml"
LOCK_SCHEMA = Path(__file__).with_name("lock.schema.json")


def lock_path(matrix: Path) -> Path:
    """Where the lock of a matrix file lies: beside it."""
    return matrix.with_name(matrix.name.removesuffix(".yaml").removesuffix(".yml") + LOCK_ENDING)


def render_lock(lock: Lock) -> bytes:
    """The file: YAML with every text quoted, in the order of the matrix, so that two locks can be compared by line."""
    lines = [
        f"# What {lock.matrix} stood for. Written by `invoke lock`, run by `invoke matrix --locked`; not to be edited.",
        f"format: {FORMAT}",
        f"matrix: {_text(lock.matrix)}",
        f"matrix_sha256: {_text(lock.matrix_sha256)}",
        f"locked_utc: {_text(lock.locked_utc)}",
        *_section("images", lock.images),
        *_section("models", lock.models),
    ]
    return ("\n".join(lines) + "\n").encode()


def _section(title: str, entries: Mapping[str, LockedImage] | Mapping[str, LockedModel]) -> Iterable[str]:
    yield f"{title}:"
    for name, entry in entries.items():
        yield f"  {_text(name)}:"
        for field in fields(entry):
            value = getattr(entry, field.name)
            # Empty text, None and False are what a field has that is not there.
            if value not in ("", None, False):
                yield f"    {field.name}: {_text(value) if isinstance(value, str) else json.dumps(value)}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def read_lock(path: Path, *, shown: str, matrix: str) -> Lock:
    """Read and check a lock file.

    Args:
        shown: the file's name in messages.
        matrix: what `--file` would name, for the remedy.

    Raises:
        InputError: there is none, it cannot be read, or it is no lock.
    """
    remedy = f"`invoke lock --file {matrix}` writes it again."
    if not path.exists():
        raise InputError(
            "this matrix has no lock yet", where=shown, remedy=f"`invoke lock --file {matrix}` writes one."
        )
    content = read_bytes(path, shown=shown)
    document, problems = parse(content, file=shown)
    if document is not None and not problems:
        problems = check(document, _schema())
    if document is None or problems:
        raise ProblemsError(problems, remedy=remedy)
    data = document.data
    return Lock(
        matrix=data["matrix"],
        matrix_sha256=data["matrix_sha256"],
        locked_utc=data["locked_utc"],
        images={name: LockedImage(**entry) for name, entry in data["images"].items()},
        models={name: LockedModel(**entry) for name, entry in data["models"].items()},
        sha256=hashlib.sha256(content).hexdigest(),
    )


@cache
def _schema() -> dict[str, Any]:
    return read_schema(LOCK_SCHEMA)


def apply_lock(lock: Lock, matrix: Matrix, cells: Iterable[Cell], *, shown: str, file: str) -> Matrix:
    """The matrix with every image and model pinned to what was locked: whatever differs is then refused when it is had.

    Args:
        cells: those that will be measured: only what they need has to be in the lock.
        shown: the lock's name in messages.
        file: what `--file` would name.

    Raises:
        InputError: the matrix changed since, or all that is not in the lock or differs from it.
    """
    remedy = f"`invoke lock --file {file}` locks what it means now; without --locked it is measured as it is."
    if lock.matrix_sha256 != matrix.sha256:
        raise InputError(
            f"{matrix.path.name} changed since it was locked {lock.locked_utc}: its SHA-256 is {matrix.sha256}, "
            f"not {lock.matrix_sha256}",
            where=shown,
            remedy=remedy,
        )
    cells = tuple(cells)
    problems: list[Problem] = []
    images, models = dict(matrix.images), dict(matrix.models)
    for name in dict.fromkeys(cell.image for cell in cells):
        wrong = _wrong_image(lock.images.get(name), images[name])
        if wrong:
            problems.append(Problem(file=shown, path=f"$.images.{name}", message=wrong))
        else:
            images[name] = replace(images[name], digest=lock.images[name].digest, image_id=lock.images[name].id)
    for name in dict.fromkeys(name for cell in cells for name in cell.models):
        wrong = _wrong_model(lock.models.get(name), models[name])
        if wrong:
            problems.append(Problem(file=shown, path=f"$.models.{name}", message=wrong))
        else:
            models[name] = replace(models[name], sha256=lock.models[name].sha256)
    if problems:
        raise ProblemsError(problems, remedy=remedy)
    return replace(matrix, images=images, models=models)


def _wrong_image(locked: LockedImage | None, asked: ImageSource) -> str:
    if locked is None:
        return "this image is not in the lock"
    was, now = (
        " ".join(filter(None, pair)) for pair in ((locked.build, locked.source), (asked.build, asked.llama_source))
    )
    was, now = was or locked.ref, now or asked.ref
    return "" if was == now else f"what was locked is {was}, and now it means {now}"


def _wrong_model(locked: LockedModel | None, asked: ModelSource) -> str:
    if locked is None:
        return "this model is not in the lock"
    if asked.sha256 and asked.sha256.lower() != locked.sha256:
        return f"what was locked has SHA-256 {locked.sha256}, and now {asked.sha256} is asked for"
    return ""
