"""What can be measured, as a table: which program of an image does it, and how its cells are named.

`bench` is llama-bench and what a cell means that says nothing else. The code of each is in `harness/measure/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

BENCH = "bench"
LATENCY = "latency"
LOAD = "load"
BATCHED = "batched"
QUALITY = "quality"
CONTEXT = "max_context"

RANDOM = "random"
TEXT = "text"
"""What prompts of a server are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementKind:
    """One row of the table.

    Attributes:
        name: the word in a matrix (`measure: latency`).
        program: of llama.cpp, as its file is called.
        mark: before the test's name in cell ids; empty for llama-bench.
        title: of its table in reports.
        tokens: whether tokens are processed at a rate: else what is shown is a duration, or a number of its own.
        timed: whether what it finds depends on how long things took.
    """

    name: str
    program: str
    mark: str
    title: str
    tokens: bool = True
    timed: bool = True


MEASUREMENTS: Mapping[str, MeasurementKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            MeasurementKind(name=BENCH, program="llama-bench", mark="", title="llama-bench"),
            MeasurementKind(name=LATENCY, program="llama-server", mark="serve", title="Latency"),
            MeasurementKind(name=LOAD, program="llama-server", mark="load", title="Loading", tokens=False),
            MeasurementKind(name=BATCHED, program="llama-batched-bench", mark="batch", title="Batching"),
            MeasurementKind(
                name=QUALITY, program="llama-perplexity", mark="quality", title="Quality", tokens=False, timed=False
            ),
            MeasurementKind(name=CONTEXT, program="llama-bench", mark="ctx", title="Largest context"),
        )
    }
)
