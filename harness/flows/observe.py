"""What was seen while a run went on, as its record keeps it. Nothing in here may cost the run its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.measure.placement import on_host
from harness.measure.telemetry import IDLE_NS, server_trace, since, telemetry
from harness.values.backend import BACKENDS
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.container import ContainerExit
from harness.values.facts import ModelFacts
from harness.values.measured import Heard
from harness.values.sampled import Sampled
from harness.values.telemetry import Telemetry, Window


def observed(
    sampled: Sampled,
    ended: ContainerExit,
    windows: Callable[[int | None], tuple[Window, ...]],
    heard: Heard | None = None,
) -> Telemetry:
    """The telemetry of a run. Never raises: what goes wrong is its `problem`.

    Args:
        windows: those of the run, given when it was first looked at, on the monotonic clock.
        heard: of a server, whose counters are kept over time.
    """
    try:
        sampled = since(sampled, ended.started_ns - IDLE_NS)
        looks = [device.readings[0].at_ns for device in sampled.devices if device.readings]
        begin_ns = min([*looks, *(reading.at_ns for reading in sampled.host[:1])], default=None)
        found = telemetry(sampled, windows(begin_ns), started_ns=ended.started_ns)
        return replace(found, server=server_trace(heard.counters if heard else (), ended.started_ns))
    except Exception as error:  # noqa: BLE001 - see above
        problem = f"telemetry could not be summarised: {type(error).__name__}: {error}"[:300]
        return Telemetry(interval_ms=sampled.interval_ms, problem=problem)


def resident_bytes(cell: Cell, model: ModelFacts, placed: LogFacts | None) -> int:
    """What of a model will lie in the host's memory: by the log of the warm-up, else by the layers that are offloaded.

    Args:
        cell: of the run.
        model: its file.
        placed: the log of the warm-up of the same key; None before it.
    """
    if not BACKENDS[cell.backend].is_gpu:
        return model.size_bytes
    if placed is not None and placed.model_buffers:
        return sum(size for name, size in placed.model_buffers.items() if on_host(name))
    layers, total = cell.params.get("n_gpu_layers"), (model.n_layers or 0) + 1
    if not isinstance(layers, int) or layers < 0 or total <= 1 or layers >= total:
        return 0
    return round(model.size_bytes * (1 - layers / total))
