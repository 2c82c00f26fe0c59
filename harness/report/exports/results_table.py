"""The results table as CSV, JSON and Parquet: a row a line, the columns of `docs/columns.md`."""

from __future__ import annotations

import csv
import io
import json

from harness.analysis.columns.parquet import parquet_of
from harness.report.exports.exported import COLUMNS, Exported, flat, no_formula, plain


def csv_bytes(exported: Exported) -> bytes:
    """RFC 4180 with line feeds, UTF-8; missing is empty. No cell of it is a formula for a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(COLUMNS)
    for row in exported.rows:
        values = (flat(getattr(row, name)) for name in COLUMNS)
        writer.writerow([no_formula(value) if isinstance(value, str) else value for value in values])
    return out.getvalue().encode()


def json_bytes(exported: Exported) -> bytes:
    """A list of objects."""
    rows = [{name: plain(getattr(row, name)) for name in COLUMNS} for row in exported.rows]
    return json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"


def parquet_bytes(exported: Exported) -> bytes:
    """One Parquet file; lists are lists, mappings JSON text."""
    return parquet_of(exported.rows)
