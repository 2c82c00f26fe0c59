"""A record as a line: canonical JSON whose id is the hash of everything else in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.formats.json_schema import complaints
from harness.store.codec import CodecError, decode, encode
from harness.store.migrations import SCHEMA, VERSION, migrate
from harness.store.redaction import Redaction
from harness.values.record import Record

SCHEMA_FILE = Path(__file__).with_name("record.schema.json")
MAX_LINE_BYTES = 4 * 1024 * 1024


def canonical(data: Mapping[str, Any]) -> bytes:
    """JSON bytes that are the same for the same content: sorted keys, no spaces."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def to_json(record: Record, redaction: Redaction | None = None) -> dict[str, Any]:
    """The stored form of a record, with its id filled in: the SHA-256 of everything else."""
    redaction = redaction or Redaction()
    data = {"schema": SCHEMA, "version": VERSION, **redaction.json(encode(replace(record, id="")))}
    del data["id"]
    return {"id": hashlib.sha256(canonical(data)).hexdigest(), **data}


def from_json(data: Any) -> Record:
    """The record of a stored line.

    Raises:
        VersionError: it is of another format. CodecError: it is damaged, or not what its id says.
    """
    stored = dict(data) if isinstance(data, dict) else data
    if isinstance(stored, dict):
        given = stored.pop("id", None)
        if hashlib.sha256(canonical(stored)).hexdigest() != given:
            migrate(stored)
            raise CodecError("its content is not what its id says: the line was changed")
        data = {"id": given, **migrate(stored)}
    else:
        migrate(stored)
    found = complaints(data, SCHEMA_FILE)
    if found:
        raise CodecError("; ".join(found))
    return decode(Record, {key: value for key, value in data.items() if key not in {"schema", "version"}})
