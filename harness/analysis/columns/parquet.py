"""Rows of the results table as a Parquet file."""

from __future__ import annotations

import json
import tempfile
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin

import duckdb

from harness.values.result_row import ResultRow

_SCALARS = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}
_LARGEST = 2**63


def column_types() -> dict[str, str]:
    """DuckDB's type of each column of the table: lists are lists, mappings are JSON text."""
    hints = typing.get_type_hints(ResultRow)
    return {field.name: _type(hints[field.name]) for field in fields(ResultRow)}


def parquet_of(rows: Sequence[ResultRow]) -> bytes:
    """A Parquet file (Zstandard) of these rows."""
    types = column_types()
    with tempfile.TemporaryDirectory(prefix="llama-bench-parquet-") as folder, duckdb.connect() as connection:
        lines, target = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        with lines.open("w", encoding="utf-8") as file:
            for row in rows:
                values = {name: _value(getattr(row, name)) for name in types}
                file.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
        source = f"read_json(?, format = 'newline_delimited', columns = {{{columns}}})"
        connection.execute(f"CREATE TABLE rows AS SELECT * FROM {source}", [str(lines)])  # noqa: S608 - our own names
        connection.execute(f"COPY rows TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        return target.read_bytes()


def _type(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"{_type(get_args(hint)[0])}[]"
    if get_origin(hint) is Mapping:
        return "VARCHAR"
    members = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
    return next((name for kind, name in _SCALARS.items() if kind in members), "VARCHAR")


def _value(value: object) -> object:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False, sort_keys=True)
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return None
    return value
