"""Memory of cells: what was measured, by phase, and what `fit` says of the same cell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from harness.analysis.fit.context import ALL_LAYERS, Context
from harness.analysis.fit.graph import Work
from harness.analysis.fit.predict import Part, Prediction, depth_state, predict
from harness.analysis.observed import Observed
from harness.analysis.results import CellResult
from harness.values.backend import BACKENDS
from harness.values.cell import Cell, ParameterValue
from harness.values.facts import MachineFacts
from harness.values.measurement import BENCH
from harness.values.model_shape import ModelShape
from harness.values.telemetry import WindowSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a run held in one of its windows, in bytes, as the median over counted runs; None where nothing tells.

    Attributes:
        device: memory of the devices that were asked for: by its own processes where drivers tell, else the growth.
        host: resident of the container's processes.
    """

    device: int | None
    host: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMemory:
    """One cell: measured while the model was loaded and while the cell ran, and predicted.

    Attributes:
        peak: of the whole run by the kernel's own count, where the cell was alone in it.
        refused: why nothing is predicted; empty where something is.
    """

    result: CellResult
    load: Held
    test: Held
    peak: int | None
    predicted: Prediction | None
    refused: str = ""

    @property
    def measured_host(self) -> int | None:
        """The best figure there is for the host: the kernel's peak, else the most that was seen."""
        return self.peak if self.peak is not None else self.test.host

    @property
    def host_error(self) -> float | None:
        """Predicted over measured on the host, less one; None on GPU backends, whose drivers map what is not known."""
        if self.predicted is None or not self.measured_host or BACKENDS[self.result.cell.backend].is_gpu:
            return None
        return self.predicted.resident / self.measured_host - 1

    @property
    def device_error(self) -> float | None:
        """The same on the device; assumed overheads are in it."""
        if self.predicted is None or not self.test.device or not self.predicted.device:
            return None
        return self.predicted.device / self.test.device - 1


def cell_memory(result: CellResult, machine: MachineFacts) -> CellMemory | None:
    """The memory of a cell; None where no run of it was watched."""
    if not result.observed:
        return None
    predicted, refused = _predicted(result, machine)
    alone = [run.summary.host for run in result.observed if run.alone and run.summary.host]
    return CellMemory(
        result=result,
        load=_held([run.load for run in result.observed if run.load], result.observed),
        test=_held([run.summary for run in result.observed], result.observed),
        peak=_median(host.container_peak_resident_bytes for host in alone),
        predicted=predicted,
        refused=refused,
    )


def _held(windows: Iterable[WindowSummary], observed: Iterable[Observed]) -> Held:
    traces = next((run.traces for run in observed), ())
    asked = [index for index, trace in enumerate(traces) if trace.asked]
    devices, hosts = [], []
    for window in windows:
        seen = [window.devices[index] for index in asked if index < len(window.devices)]
        held = [d.own_memory_bytes if d.own_memory_bytes is not None else d.memory_growth_bytes for d in seen]
        told = [size for size in held if size is not None]
        devices.append(sum(told) if told else None)
        hosts.append(window.host.container_resident_max_bytes if window.host else None)
    return Held(device=_median(devices), host=_median(hosts))


def _median(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return round(median(known)) if known else None


def cpu_kind(flags: Collection[str]) -> str:
    """What a processor can do, as far as it decides which weights are copied; a key of `parts.REPACKED`."""
    if "avx512f" in flags:
        return "avx512"
    if "avx2" in flags:
        return "avx2"
    return "neon" if "asimd" in flags else "none"


def _predicted(result: CellResult, machine: MachineFacts) -> tuple[Prediction | None, str]:
    shape = result.model.shape if result.model else None
    if shape is None:
        return None, "the model's header does not tell its shape, or it was recorded before that was noted"
    if result.cell.test.measurement != BENCH:
        return None, "only contexts of llama-bench are predicted cell by cell"
    if result.n_devices > 1:
        return None, "several devices share it"
    unknown = [name for name in ("tensor_buft_overrides", "tensor_split") if result.cell.params.get(name)]
    if unknown:
        return None, f"{unknown[0]} places weights by hand"
    return predict_cell(result.cell, shape, cpu=cpu_kind(machine.cpu_flags)), ""


def predict_cell(cell: Cell, shape: ModelShape, *, cpu: str) -> Prediction:
    """What one cell takes, as llama-bench runs it: a context of just the tokens of its test."""
    test, params = cell.test, cell.params
    context = cell_context(cell)
    tokens = max(test.n_prompt, test.n_depth, 1)
    work = Work(tokens=min(tokens, context.tokens))
    mapped = str(params.get("load_mode", "mmap")).startswith("mmap")
    found = predict(shape, context, backend=cell.backend, cpu=cpu, work=work, mapped=mapped)
    kept = depth_state(shape, context, depth=test.n_depth)
    if not kept:
        return found
    parts = (*found.parts, Part(name="copy of the depth", host=kept))
    return Prediction(parts=parts, dropped=found.dropped, untouched=found.untouched)


def cell_context(cell: Cell) -> Context:
    """The context that llama-bench makes for a cell."""
    test, params = cell.test, cell.params
    n_batch = _integer(params, "n_batch", 2048)
    asked = _integer(params, "n_gpu_layers", 99)
    return Context(
        n_ctx=test.n_prompt + test.n_gen + test.n_depth,
        n_ubatch=min(_integer(params, "n_ubatch", 512), n_batch),
        flash_attn=params.get("flash_attn") == 1,
        type_k=str(params.get("type_k", "f16")),
        type_v=str(params.get("type_v", "f16")),
        n_gpu_layers=(asked if asked >= 0 else ALL_LAYERS) if BACKENDS[cell.backend].is_gpu else 0,
        n_cpu_moe=_integer(params, "n_cpu_moe", 0),
        kv_offload=not params.get("no_kv_offload"),
        n_threads=_integer(params, "n_threads", 4),
    )


def _integer(params: Mapping[str, ParameterValue], name: str, default: int) -> int:
    value = params.get(name, default)
    return value if isinstance(value, int) else default
