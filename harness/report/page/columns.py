"""The data of the page: columns instead of rows, texts once each, compressed. The script `page.js` reads it."""

from __future__ import annotations

import base64
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from harness.analysis.results import MachineResults
from harness.stats.digits import with_interval
from harness.stats.intervals import Interval
from harness.store.structures import plain_json
from harness.values.backend import BACKENDS, VENDOR_TITLES
from harness.values.cell import PARAMETERS, Test
from harness.values.measurement import BENCH
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
RUNS = ("count", "round", "session", "record", "value", "samples")
RUN_TEXTS = ("session", "record")
"""Of the columns of runs: those that are numbers into `texts`."""
FLAGS = ("rankable", "screening", "simulated", "higher_is_better")

_MUCH, _QUICKLY = 1024**2, 2
"""Bytes from which on they are compressed at a level that takes a fifth of the time, and leaves a twentieth more."""

_BRIEF_DIGITS = 5
_KEPT = 4096
"""Commands and settings that many rows share."""

Samples = Mapping[tuple[str, str], tuple[int, ...]]
"""The samples of a run in ns, by record and cell."""


def samples_of(machines: Iterable[MachineResults]) -> dict[tuple[str, str], tuple[int, ...]]:
    """The samples of all counted runs."""
    results = (result for machine in machines for result in machine.cells)
    return {(run.record, result.cell.id): run.samples_ns for result in results for run in result.runs}


def columns(rows: Sequence[ResultRow], samples: Samples, *, brief: bool = False) -> dict[str, Any]:
    """What the page holds, as a JSON value.

    Args:
        brief: without samples, and without the records that they are of: the values of runs are there alone, rounded.

    `groups` are the comparability keys by their short hashes. The runs of row `i` follow those of the rows before it,
    as many as `runs.count[i]`; the samples likewise, each but the first of a run as the difference to the one before.
    """
    numbers: dict[str, int] = {}

    def number(text: str) -> int:
        return numbers.setdefault(text, len(numbers))

    found: dict[str, Any] = {"format": FORMAT, "length": len(rows)}
    found["text_columns"] = {name: [number(text) for text in _texts(rows, name)] for name in TEXTS}
    found["number_columns"] = {name: [_number(row, name) for row in rows] for name in NUMBERS}
    found["flags"] = {name: [int(getattr(row, name)) for row in rows] for name in FLAGS}
    found["groups"] = {row.group: dict(row.key) for row in rows}
    runs: dict[str, list[Any]] = {name: [] for name in RUNS}
    differences: list[int] = []
    for row in rows:
        runs["count"].append(len(row.run_values_ns))
        for place, value in enumerate(row.run_values_ns):
            own = samples.get((row.run_records[place], row.cell), ()) if not brief else ()
            runs["round"].append(row.run_rounds[place])
            runs["session"].append(number(row.run_sessions[place]))
            runs["record"].append(number("" if brief else row.run_records[place][:RECORD_DIGITS]))
            # Where the samples are there, the page computes the value from them.
            runs["value"].append(None if own else float(f"{value:.{_BRIEF_DIGITS}g}") if brief else value)
            runs["samples"].append(len(own))
            differences += [b - a for a, b in zip((0, *own), own, strict=False)]
    found["runs"] = {**runs, "differences_ns": differences}
    found["texts"] = list(numbers)
    return found


def of_machines(rows: Sequence[ResultRow], machines: Sequence[MachineResults], brief: bool) -> dict[str, Any]:  # noqa: FBT001 - as read_many calls it
    """The columns of some machines, which `joined` puts together with those of others."""
    return columns(rows, {} if brief else samples_of(machines), brief=brief)


def joined(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of all rows from those of some each: the same as if they had been made at once, texts elsewhere."""
    numbers: dict[str, int] = {}
    found = columns((), {})
    for part in parts:
        places = [numbers.setdefault(text, len(numbers)) for text in part["texts"]]
        found["length"] += part["length"]
        for name, column in found["text_columns"].items():
            column.extend([places[text] for text in part["text_columns"][name]])
        for kind in ("number_columns", "flags"):
            for name, column in found[kind].items():
                column.extend(part[kind][name])
        found["groups"].update(part["groups"])
        for name, column in found["runs"].items():
            own = part["runs"][name]
            column.extend([places[text] for text in own] if name in RUN_TEXTS else own)
    found["texts"] = list(numbers)
    return found


def packed(content: Mapping[str, Any]) -> str:
    """JSON, deflated, in base64: what `DecompressionStream` of browsers reads."""
    data = plain_json(content)
    return base64.b64encode(zlib.compress(data, level=9 if len(data) < _MUCH else _QUICKLY)).decode()


def unpacked(text: str) -> str:
    """The JSON text of what was packed.

    Raises:
        ValueError: it is not what `packed` makes.
    """
    try:
        return zlib.decompress(base64.b64decode(text, validate=True)).decode()
    except zlib.error as error:
        raise ValueError(str(error)) from error


def _number(row: ResultRow, name: str) -> float | int | None:
    if name == "n_tokens":
        return _tokens_of_a_sample(row)
    value: float | int | None = getattr(row, name)
    return float(f"{value:.10g}") if isinstance(value, float) else value


def _tokens_of_a_sample(row: ResultRow) -> int:
    """How many tokens each of its samples stands for; of an imported row, which has none, those of its test."""
    measurement, parallel = row.key.get("measurement", BENCH), row.key.get("n_parallel", 1)
    shape = Test(n_prompt=row.n_prompt, n_gen=row.n_gen, measurement=str(measurement), n_parallel=int(str(parallel)))
    return shape.n_tokens


def _texts(rows: Sequence[ResultRow], name: str) -> Iterator[str]:
    """A column of texts: what is shown of some, and of others the field as it is."""
    shown = _SHOWN.get(name)
    return map(shown, rows) if shown else map(str, map(attrgetter(name), rows))


def _vendor(row: ResultRow) -> str:
    return VENDOR_TITLES.get(row.vendor, row.vendor) or "Unknown"


def _backend(row: ResultRow) -> str:
    backend = BACKENDS[row.backend].title if row.backend in BACKENDS else row.backend
    return backend + (f" ({row.image})" if row.image not in {"", row.backend} else "")


def _build(row: ResultRow) -> str:
    build = f"b{row.build_number}" if row.build_number is not None else ""
    return " ".join(part for part in (build, row.build_commit) if part)


def _rate(row: ResultRow) -> str:
    if row.value is None:
        return ""
    interval = None
    if row.low is not None and row.high is not None:
        interval = Interval(low=row.low, high=row.high, coverage=row.confidence)
    return with_interval(row.value, interval) + ("" if row.unit == "tokens/s" else f" {row.unit}")


def _settings(row: ResultRow) -> str:
    """The label, the parameters that are not the harness's defaults, and the models that were resident beside it."""
    own = _settings_in_words(row.label, row.backend, tuple((n, type(v), v) for n, v in row.params.items()))
    return ", ".join(part for part in (own, f"beside {row.key['beside']}" if row.key.get("beside") else "") if part)


@lru_cache(_KEPT)
def _settings_in_words(label: str, backend: str, params: tuple[tuple[str, type, object], ...]) -> str:
    found = [f"#{label}"] if label else []
    # The type is among them since True and 1 are the same key.
    for name, _, value in params:
        parameter = PARAMETERS.get(name)
        if value != (parameter.default_on(backend) if parameter else None):
            found.append(f"{parameter.short if parameter else name} {value}")
    return ", ".join(found)


_command = lru_cache(_KEPT)(shlex.join)
_SHOWN: Mapping[str, Callable[[ResultRow], str]] = {
    "vendor": _vendor,
    "backend": _backend,
    "model": lambda row: row.model_title,
    "settings": _settings,
    "build": _build,
    "failure": lambda row: ": ".join(part for part in (row.failure_reason, row.failure_detail) if part),
    "argv": lambda row: _command(row.argv),
    "measured": lambda row: row.first_utc[:10],
    "matrix": lambda row: row.report,
    "shown": _rate,
}
"""Texts that are not a field of a row as it is."""
