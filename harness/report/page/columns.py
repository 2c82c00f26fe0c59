"""The data of the page: columns instead of rows, texts once each, compressed. The script `page.js` reads it."""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.data import ReportData
from harness.stats.digits import with_interval
from harness.stats.intervals import Interval
from harness.values.backend import BACKENDS, VENDOR_TITLES
from harness.values.cell import PARAMETERS
from harness.values.result_row import ResultRow

FORMAT = 1
RECORD_DIGITS = 16
"""Of a record's id: more than enough to tell 100,000 apart, and what `invoke reproduce --record` accepts."""

TEXTS = (
    "row", "machine", "vendor", "device", "backend", "model", "test", "settings", "kind", "why_not", "proof", "build",
    "driver", "failure", "remedy", "argv", "cell", "trust", "source", "metric", "unit", "measured", "matrix", "group",
    "shown",
)  # fmt: skip
"""Columns of texts: each is a number into `texts`."""
NUMBERS = (
    "value", "low", "high", "rounds", "rounds_planned", "n_depth", "n_tokens", "confidence", "memory_bytes", "power_w",
    "energy_j_per_token", "temperature_c",
)  # fmt: skip
"""Columns of numbers: null where there is none."""
FLAGS = ("rankable", "screening", "simulated", "higher_is_better")

Samples = Mapping[tuple[str, str], tuple[int, ...]]
"""The samples of a run in ns, by record and cell."""


def samples_of(data: ReportData) -> dict[tuple[str, str], tuple[int, ...]]:
    """The samples of all counted runs of a report."""
    return {(run.record, result.cell.id): run.samples_ns for _, result in data.rows() for run in result.runs}


def columns(rows: Sequence[ResultRow], samples: Samples) -> dict[str, Any]:
    """What the page holds, as a JSON value.

    `groups` are the comparability keys by their short hashes. The runs of row `i` follow those of the rows before it,
    as many as `runs.count[i]`; the samples likewise, each but the first of a run as the difference to the one before.
    """
    numbers: dict[str, int] = {}

    def number(text: str) -> int:
        return numbers.setdefault(text, len(numbers))

    shown = [_texts(row) for row in rows]
    found: dict[str, Any] = {"format": FORMAT, "length": len(rows)}
    found["text_columns"] = {name: [number(texts[name]) for texts in shown] for name in TEXTS}
    found["number_columns"] = {name: [_number(row, name) for row in rows] for name in NUMBERS}
    found["flags"] = {name: [int(getattr(row, name)) for row in rows] for name in FLAGS}
    found["groups"] = {row.group: dict(row.key) for row in rows}
    runs: dict[str, list[Any]] = {name: [] for name in ("count", "round", "session", "record", "value", "samples")}
    differences: list[int] = []
    for row in rows:
        runs["count"].append(len(row.run_values_ns))
        for place, value in enumerate(row.run_values_ns):
            own = samples.get((row.run_records[place], row.cell), ())
            runs["round"].append(row.run_rounds[place])
            runs["session"].append(number(row.run_sessions[place]))
            runs["record"].append(number(row.run_records[place][:RECORD_DIGITS]))
            # Where the samples are there, the page computes the value from them.
            runs["value"].append(None if own else value)
            runs["samples"].append(len(own))
            differences += [b - a for a, b in zip((0, *own), own, strict=False)]
    found["runs"] = {**runs, "differences_ns": differences}
    found["texts"] = list(numbers)
    return found


def packed(content: Mapping[str, Any]) -> str:
    """JSON, deflated, in base64: what `DecompressionStream` of browsers reads."""
    return base64.b64encode(zlib.compress(_json(content).encode(), level=9)).decode()


def unpacked(text: str) -> str:
    """The JSON text of what was packed.

    Raises:
        ValueError: it is not what `packed` makes.
    """
    try:
        return zlib.decompress(base64.b64decode(text, validate=True)).decode()
    except zlib.error as error:
        raise ValueError(str(error)) from error


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _number(row: ResultRow, name: str) -> float | int | None:
    if name == "n_tokens":
        return row.n_prompt + row.n_gen
    value: float | int | None = getattr(row, name)
    return float(f"{value:.10g}") if isinstance(value, float) else value


def _texts(row: ResultRow) -> dict[str, str]:
    texts = {name: str(getattr(row, name, "")) for name in TEXTS}
    build = f"b{row.build_number}" if row.build_number is not None else ""
    backend = BACKENDS[row.backend].title if row.backend in BACKENDS else row.backend
    return texts | {
        "vendor": VENDOR_TITLES.get(row.vendor, row.vendor) or "Unknown",
        "backend": backend + (f" ({row.image})" if row.image not in {"", row.backend} else ""),
        "model": row.model_title,
        "settings": _settings(row),
        "build": " ".join(part for part in (build, row.build_commit) if part),
        "failure": ": ".join(part for part in (row.failure_reason, row.failure_detail) if part),
        "argv": shlex.join(row.argv),
        "measured": row.first_utc[:10],
        "matrix": row.report,
        "shown": _shown(row),
    }


def _shown(row: ResultRow) -> str:
    if row.value is None:
        return ""
    interval = None
    if row.low is not None and row.high is not None:
        interval = Interval(low=row.low, high=row.high, coverage=row.confidence)
    return with_interval(row.value, interval)


def _settings(row: ResultRow) -> str:
    """The parameters that are not the harness's defaults, and the label."""
    found = [f"#{row.label}"] if row.label else []
    for name, value in row.params.items():
        parameter = PARAMETERS.get(name)
        default = 0 if name == "n_gpu_layers" and row.backend == "cpu" else parameter.default if parameter else None
        if value != default:
            found.append(f"{parameter.short if parameter else name} {value}")
    return ", ".join(found)
