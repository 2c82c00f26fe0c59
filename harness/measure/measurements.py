"""Who measures what: the dictionary behind the seam `Measurement`.

Adding one is a row in `values/measurement.py`, a file here, and a line below.
"""

from __future__ import annotations

from types import MappingProxyType

from harness.measure.batched import BatchedBench
from harness.measure.llama_bench_run import LlamaBench
from harness.measure.quality import Quality
from harness.measure.server import Server
from harness.values.measurement import BATCHED, BENCH, CONTEXT, LATENCY, LOAD, QUALITY
from harness.values.protocols import Measurement

MEASURERS: MappingProxyType[str, Measurement] = MappingProxyType(
    {
        BENCH: LlamaBench(),
        LATENCY: Server(),
        LOAD: Server(),
        BATCHED: BatchedBench(),
        QUALITY: Quality(),
        CONTEXT: LlamaBench(),
    }
)
