"""The standard output of `llama-bench -o jsonl`, of every build from 2024 to now.

A line is a row, noise, or something that should have been a row. Nothing is repaired: a row that breaks a rule of
the schema (`llama_bench_row.schema.json`) is a problem with its line number, and never a number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema
from jsonschema.exceptions import best_match

from harness.formats.strict_json import check_depth
from harness.values.bench import BenchOutput, BenchRow

SCHEMA_FILE = Path(__file__).with_name("llama_bench_row.schema.json")

MAX_LINE_CHARS = 4 * 1024 * 1024
MAX_NOISE_LINES = 50
MAX_PROBLEMS = 50
MAX_OTHER_CHARS = 16 * 1024
"""Of a row without its samples. Rows are kept whole in records, and a record has to be read again."""
MAX_DEPTH = 8
_SAMPLES = ("samples_ns", "samples_ts")
_INTEGERS = range(-(2**63), 2**64)
_INTEGER_CHARS = 20
_SHOWN_CHARS = 300

# Text that only a row holds: a line with one of them that does not start like a row is a damaged row, not noise.
_MARKS = ('"build_commit"', '"samples_ns"', '"avg_ts"')


def read(lines: Iterable[str]) -> BenchOutput:
    """Read what llama-bench wrote to stdout. Never raises for what the lines say.

    Args:
        lines: in order, with or without their line feeds.
    """
    rows: list[BenchRow] = []
    problems: list[str] = []
    noise: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        if not (text.startswith("{") or any(mark in text for mark in _MARKS)):
            if len(noise) < MAX_NOISE_LINES:
                noise.append(_shortened(text))
            continue
        try:
            rows.append(replace(_row(_parsed(text)), line=number - 1))
        except ValueError as error:
            if len(problems) < MAX_PROBLEMS:
                problems.append(f"line {number}: {_shortened(str(error))}")
    return BenchOutput(rows=tuple(rows), problems=tuple(problems), noise=tuple(noise))


def _parsed(text: str) -> dict[str, Any]:
    """One JSON object.

    Raises:
        ValueError: it is not one, or says something twice, or holds a number or text that JSON does not have.
    """
    if len(text) > MAX_LINE_CHARS:
        raise ValueError(f"longer than {MAX_LINE_CHARS} characters")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
        )
        check_depth(text, MAX_DEPTH)
        # Half of a surrogate pair is legal JSON, but no record could be written with it.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        cut = " (the line was cut off)" if error.pos >= len(text) - 1 else ""
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}{cut}") from None
    except RecursionError:
        raise ValueError("not a row: nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("text with half of a surrogate pair") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 -- one error type for everything that lines can hold
    if len(json.dumps({name: item for name, item in value.items() if name not in _SAMPLES})) > MAX_OTHER_CHARS:
        raise ValueError(f"longer than {MAX_OTHER_CHARS} characters without its samples")
    return cast(dict[str, Any], value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the field {key!r} is there twice")
        result[key] = value
    return result


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _integer(text: str) -> int:
    # llama-bench prints integers of 64 bits. A longer one would be too large for the arithmetic with it.
    if len(text) > _INTEGER_CHARS or (value := int(text)) not in _INTEGERS:
        raise ValueError(f"no integer of 64 bits: {_shortened(text)}")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def _row(raw: dict[str, Any]) -> BenchRow:
    """Check one object against the schema and read it.

    Raises:
        ValueError: it does not satisfy the schema; the message names the field.
    """
    error = best_match(_validator().iter_errors(raw))
    if error is not None:
        raise ValueError(f"{error.json_path}: {error.message}")
    backends = raw.get("backends")
    return BenchRow(
        raw=raw,
        build_commit=raw["build_commit"],
        build_number=raw["build_number"],
        gpu_info=raw["gpu_info"].strip(),
        backends=None if backends is None else tuple(name.strip() for name in backends.split(",") if name.strip()),
        devices=raw.get("devices"),
        model_size=raw["model_size"],
        model_n_params=raw["model_n_params"],
        n_prompt=raw["n_prompt"],
        n_gen=raw["n_gen"],
        n_depth=raw.get("n_depth", 0),
        avg_ts=float(raw["avg_ts"]),
        samples_ns=tuple(raw["samples_ns"]),
    )


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema (2020-12) of a row."""
    return cast(Mapping[str, Any], json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


@cache
def _validator() -> jsonschema.protocols.Validator:
    base = jsonschema.Draft202012Validator
    # JSON Schema counts 1.0 as an integer. llama-bench never prints one so, and whoever did is not llama-bench.
    checker = base.TYPE_CHECKER.redefine("integer", lambda _, v: isinstance(v, int) and not isinstance(v, bool))
    strict = jsonschema.validators.extend(base, type_checker=checker)  # type: ignore[no-untyped-call] # the stub has no types
    return cast(jsonschema.protocols.Validator, strict(schema()))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
