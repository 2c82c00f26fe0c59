"""How far predictions were off when they were last held against real runs. Written by `benchmarks/fit_error.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

FILE = Path(__file__).with_name("measured_error.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredError:
    """Errors as shares: predicted over measured, less one, without the sign.

    Attributes:
        backend: of the runs. build: of llama.cpp. date: when they were made.
        combinations: model, context and KV type combinations that none of the figures in the code was chosen by.
        median, worst: of their errors. within_5_percent: how many are closer than that.
    """

    backend: str
    build: str
    date: str
    combinations: int
    median: float
    worst: float
    within_5_percent: int


def measured_error(file: Path = FILE) -> MeasuredError | None:
    """The last measurement; None where there is none."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return MeasuredError(**{field.name: data[field.name] for field in fields(MeasuredError)})
