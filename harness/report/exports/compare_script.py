"""What llama.cpp's own `scripts/compare-llama-bench.py` reads: rows of llama-bench as JSON Lines, and an SQLite file.

The script joins the rows of two builds that are equal in everything else, and averages `avg_ts`. It reads counted runs
as llama-bench printed them; only the model's file name is another one, since every model has the same in a container,
and fields that older builds did not print are added with what they meant then.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.analysis.columns.parquet import column_types
from harness.analysis.comparability import beside
from harness.report.exports.exported import COLUMNS, Exported, flat
from harness.values.cell import POWER_LIMIT, Cell

FIELDS: dict[str, str] = {
    "build_commit": "TEXT",
    "build_number": "INTEGER",
    "cpu_info": "TEXT",
    "gpu_info": "TEXT",
    "backends": "TEXT",
    "model_filename": "TEXT",
    "model_type": "TEXT",
    "model_size": "INTEGER",
    "model_n_params": "INTEGER",
    "n_batch": "INTEGER",
    "n_ubatch": "INTEGER",
    "n_threads": "INTEGER",
    "cpu_mask": "TEXT",
    "cpu_strict": "INTEGER",
    "poll": "INTEGER",
    "type_k": "TEXT",
    "type_v": "TEXT",
    "n_gpu_layers": "INTEGER",
    "n_cpu_moe": "INTEGER",
    "split_mode": "TEXT",
    "main_gpu": "INTEGER",
    "no_kv_offload": "INTEGER",
    "flash_attn": "INTEGER",
    "tensor_split": "TEXT",
    "tensor_buft_overrides": "TEXT",
    "load_mode": "TEXT",
    "use_mmap": "INTEGER",
    "embeddings": "INTEGER",
    "no_op_offload": "INTEGER",
    "fit_target": "INTEGER",
    "fit_min_ctx": "INTEGER",
    "n_prompt": "INTEGER",
    "n_gen": "INTEGER",
    "n_depth": "INTEGER",
    "test_time": "TEXT",
    "avg_ns": "INTEGER",
    "stddev_ns": "INTEGER",
    "avg_ts": "REAL",
    "stddev_ts": "REAL",
}
"""The columns that the script knows, in its newest and in its older form (`use_mmap`), with their types."""

BEFORE: dict[str, object] = {
    "n_cpu_moe": 0,
    "n_depth": 0,
    "tensor_buft_overrides": "none",
    "fit_target": 0,
    "fit_min_ctx": 0,
    "no_op_offload": 0,
    "cpu_mask": "0x0",
    "cpu_strict": 0,
    "poll": 50,
    "backends": "",
}
"""What builds that did not print a field did in its place."""

_COMMIT = re.compile(r"[0-9A-Za-z._-]{1,64}")
_KEPT = re.compile(r"[^0-9A-Za-z._-]")


def script_rows(exported: Exported) -> Iterator[dict[str, object]]:
    """The rows of all counted runs, by machine, cell and round; a row that is not one of llama-bench is left out."""
    for machine in exported.machines:
        records = {record.id: record for record in machine.records}
        for result in machine.cells:
            for run in result.runs:
                record = records[run.record]
                outcome = next(outcome for outcome in record.outcomes if outcome.cell == result.cell.id)
                row = _row(outcome.row or {}, _called(result.cell))
                if row is not None:
                    yield row


def _called(cell: Cell) -> str:
    """The model, with what llama-bench's rows have no field for: the script averages rows that look alike."""
    test, limit = cell.test, cell.params.get(POWER_LIMIT)
    parts = [
        cell.model,
        f"{test.sustained_s}s" if test.sustained_s else "",
        f"{limit}W" if limit is not None else "",
        f"beside-{beside(cell)}" if cell.beside else "",
    ]
    return "-".join(part for part in parts if part)


def _row(raw: Mapping[str, object], model: str) -> dict[str, object] | None:
    row = {**BEFORE, **raw, "model_filename": f"{_KEPT.sub('_', model)}.gguf"}
    if "load_mode" not in row:
        row["load_mode"] = "mmap" if row.get("use_mmap", True) else "none"
    row.setdefault("use_mmap", row["load_mode"] in {"mmap", "mmap+mlock", "auto"})
    typed: dict[str, object] = {name: _typed(row.get(name), kind) for name, kind in FIELDS.items()}
    # NULL equals nothing in SQL: a row without one of its columns would vanish from every comparison.
    if None in typed.values() or not _COMMIT.fullmatch(str(typed["build_commit"])):
        return None
    return typed


def _typed(value: object, kind: str) -> str | int | float | None:
    if kind == "TEXT":
        return value if isinstance(value, str) else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if kind == "REAL":
        return float(value)
    return int(value) if int(value) == value and abs(value) < 2**63 else None


def jsonl_bytes(exported: Exported) -> bytes:
    """JSON Lines: `compare-llama-bench.py -t llama-bench -i FILE -b BUILD -c BUILD`."""
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in script_rows(exported))


def sqlite_bytes(exported: Exported) -> bytes:
    """An SQLite database: `compare-llama-bench.py -i FILE -b BUILD -c BUILD`; the table `results` is beside it."""
    with tempfile.TemporaryDirectory(prefix="llama-bench-sqlite-") as folder:
        path = Path(folder) / "export.sqlite"
        connection = sqlite3.connect(path)
        try:
            columns = ", ".join(f"{name} {kind}" for name, kind in FIELDS.items())
            connection.execute(f"CREATE TABLE llama_bench ({columns})")
            marks = ", ".join("?" * len(FIELDS))
            values = (tuple(row.values()) for row in script_rows(exported))
            connection.executemany(f"INSERT INTO llama_bench VALUES ({marks})", values)  # noqa: S608 - our own names
            _write_results(connection, exported)
            connection.commit()
        finally:
            connection.close()
        return path.read_bytes()


def _write_results(connection: sqlite3.Connection, exported: Exported) -> None:
    kinds = {"BIGINT": "INTEGER", "DOUBLE": "REAL", "BOOLEAN": "INTEGER"}
    types = column_types()
    columns = ", ".join(f'"{name}" {kinds.get(types[name], "TEXT")}' for name in COLUMNS)
    connection.execute(f"CREATE TABLE results ({columns})")
    marks = ", ".join("?" * len(COLUMNS))
    values = (tuple(flat(getattr(row, name)) for name in COLUMNS) for row in exported.rows)
    connection.executemany(f"INSERT INTO results VALUES ({marks})", values)  # noqa: S608 - our own names
