"""Imported results: `imports/<hash>.jsonl` in a report's folder, the rows of one text each, with where it was had from.

They are kept apart from records, since nothing proves them. Their source is never lost: it stands in every row, with
the hash of the text, the line, and everything that was printed there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.formats.strict_json import JsonError, loads
from harness.store.codec import CodecError, decode, encode
from harness.store.files import write_whole
from harness.store.record_line import canonical
from harness.store.redaction import Redaction
from harness.values.foreign import ForeignRow

SCHEMA = "llama-bench-harness/imported"
VERSION = 1
MAX_FILE_BYTES = 256 * 1024**2
MAX_LINE_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """A result with where it was had from.

    Attributes:
        id: SHA-256 of everything else, as of a record.
        source: a link or a name, in the words of whoever imported it. text_sha256: of the whole text it was in.
        device: where the text did not say what it was measured on, what whoever imported it says.
    """

    id: str = ""
    source: str
    text_sha256: str
    device: str = ""
    row: ForeignRow


def _stored(row: ImportedRow) -> dict[str, Any]:
    data = {"schema": SCHEMA, "version": VERSION, **encode(row)}
    del data["id"]
    return {"id": hashlib.sha256(canonical(data)).hexdigest(), **data}


def redacted(row: ImportedRow, redaction: Redaction) -> ImportedRow:
    """The row without what must not be published: programs print the paths of models, and these name persons."""
    return replace(row, row=decode(ForeignRow, redaction.json(encode(row.row))))


def import_path(folder: Path, text_sha256: str, source: str) -> Path:
    """Where the rows of a text lie: a text from two places is two sources."""
    name = hashlib.sha256(f"{text_sha256} {source}".encode()).hexdigest()[:16]
    return folder / "imports" / f"{name}.jsonl"


def write_imports(folder: Path, rows: Sequence[ImportedRow]) -> Path:
    """Keep the rows of one text; the same again changes nothing.

    Raises:
        MachineError: they cannot be written.
    """
    path = import_path(folder, rows[0].text_sha256, rows[0].source)
    write_whole(path, b"".join(canonical(_stored(row)) + b"\n" for row in rows))
    return path


def read_import(path: Path, *, shown: str = "") -> tuple[ImportedRow, ...]:
    """The rows of one file.

    Raises:
        InputError: a line is none of an import, was changed, or is larger than is read.
    """
    where = shown or str(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"is larger than {MAX_FILE_BYTES} bytes", where=where, remedy="Leave it out.")
    rows = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            rows.append(_row(loads(line, max_bytes=MAX_LINE_BYTES)))
        except (JsonError, CodecError) as error:
            raise InputError(
                f"line {number}: {error}", where=where, remedy="Import the text again from where it came from."
            ) from error
    return tuple(rows)


def _row(data: Any) -> ImportedRow:
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise CodecError("this is no imported result of this program")
    if (version := data.pop("version", None)) != VERSION:
        raise CodecError(f"imported version {version!r} is not {VERSION}: update the harness to read it")
    row = decode(ImportedRow, data)
    if _stored(row)["id"] != row.id:
        raise CodecError("its content is not what its id says: the line was changed")
    if not 0 < row.row.tokens_per_s < float("inf"):
        raise CodecError(f"a rate of {row.row.tokens_per_s} tokens/s is none")
    return row


def read_imports(folder: Path) -> tuple[ImportedRow, ...]:
    """All imported rows of a report's folder, each once.

    Raises:
        InputError: a file there is none of an import.
    """
    rows: dict[str, ImportedRow] = {}
    for path in sorted((folder / "imports").glob("*.jsonl")):
        rows |= {row.id: row for row in read_import(path)}
    return tuple(rows.values())
