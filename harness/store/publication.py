"""The copy of a report's folder that is published: without what names a person, and still one that can be verified.

A record's id is the hash of what it says, and it repeats its session's. Where something is struck out of either, they
get new ones, and the journal follows; what holds nothing to strike out is copied byte for byte. The numbers stay.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.formats.strict_json import JsonError, loads
from harness.store.imports import read_import, redacted, write_imports
from harness.store.record_line import MAX_LINE_BYTES, canonical
from harness.store.redaction import Redaction
from harness.store.sessions import content_sha256

_AS_THEY_ARE = ("matrix.yaml", "matrices/*.yaml", "reproductions/*.json")
"""Files whose bytes are promised elsewhere, by hashes that are not ours to change."""


def copy_for_publication(folder: Path, target: Path, redaction: Redaction) -> int:
    """Copy a report's records, imported rows, sessions, journals and matrix file, redacted; nothing else is copied.

    Args:
        target: does not exist yet.

    Returns:
        In how many records, imported rows, sessions and lines of journals something was struck out.

    Raises:
        InputError: a file is damaged, or one that has to stay as it is holds what must not be published.
    """
    target.mkdir(parents=True)
    for path in _files(folder, *_AS_THEY_ARE):
        _refuse_secrets(path, redaction)
        _put(target / path.relative_to(folder), path)
    struck, sessions, records = 0, dict[str, str](), dict[str, str]()
    for path in _files(folder, "imports/*.jsonl"):
        struck += _imported(path, target, redaction)
    for path in _files(folder, "sessions/*.json"):
        value = _read(path.read_bytes(), path)
        clean = redaction.json(value)
        if clean == value:
            _put(target / path.relative_to(folder), path)
            continue
        struck += 1
        if "content_sha256" in clean:
            clean["content_sha256"] = content_sha256(clean)
        sessions[content_sha256(value)] = content_sha256(clean)
        text = json.dumps(clean, indent=1, ensure_ascii=False, allow_nan=False)
        _write(target / path.relative_to(folder), text.encode() + b"\n")
    for path in _files(folder, "records/*.jsonl"):
        struck += _records(path, target / path.relative_to(folder), redaction, sessions, records)
    for path in _files(folder, "journal/*.jsonl"):
        struck += _journal(path, target / path.relative_to(folder), redaction, records)
    return struck


def _records(path: Path, target: Path, redaction: Redaction, sessions: dict[str, str], renamed: dict[str, str]) -> int:
    """Copy a file of records; `renamed` gets the new id of each that has one."""
    struck, lines = 0, []
    for line in path.read_bytes().split(b"\n"):
        value = _read(line, path) if line else None
        if not isinstance(value, dict):
            lines.append(line)
            continue
        clean = redaction.json(value)
        struck += clean != value
        if clean.get("session_sha256") in sessions:
            clean["session_sha256"] = sessions[clean["session_sha256"]]
        if clean == value:
            lines.append(line)
            continue
        old = value.get("id", "")
        clean.pop("id", None)
        clean = {**clean, "id": hashlib.sha256(canonical(clean)).hexdigest()}
        renamed[str(old)] = clean["id"]
        lines.append(canonical(clean))
    _write(target, b"\n".join(lines))
    return struck


def _imported(path: Path, target: Path, redaction: Redaction) -> int:
    """Copy imported rows; those that something is struck out of get new ids, as records do."""
    rows = read_import(path)
    clean = [redacted(row, redaction) for row in rows]
    struck = sum(row != other for row, other in zip(rows, clean, strict=True))
    if struck:
        write_imports(target, clean)
    else:
        _put(target / "imports" / path.name, path)
    return struck


def _journal(path: Path, target: Path, redaction: Redaction, renamed: dict[str, str]) -> int:
    struck, lines = 0, []
    for line in path.read_bytes().split(b"\n"):
        value = _read(line, path) if line else None
        if not isinstance(value, dict):
            lines.append(line)
            continue
        clean = redaction.json(value)
        struck += clean != value
        if clean.get("record") in renamed:
            clean["record"] = renamed[clean["record"]]
        lines.append(line if clean == value else json.dumps(clean, ensure_ascii=False).encode())
    _write(target, b"\n".join(lines))
    return struck


def _refuse_secrets(path: Path, redaction: Redaction) -> None:
    text = path.read_bytes().decode(errors="replace")
    if redaction.text(text) != text:
        number = next(n for n, line in enumerate(text.split("\n"), start=1) if redaction.text(line) != line)
        raise InputError(
            "holds what must not be published (a secret, an address, a person's folder), and has to stay as it is",
            where=f"{path}, line {number}",
            remedy="Write the matrix without it, such as a path relative to the matrix file, and measure again.",
        )


def _files(folder: Path, *patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and not path.is_symlink():
                yield path


def _read(data: bytes, path: Path) -> Any:
    try:
        return loads(data, max_bytes=4 * MAX_LINE_BYTES)
    except JsonError as error:
        raise InputError(str(error), where=str(path), remedy="Look with `./bench verify`.") from error


def _put(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
