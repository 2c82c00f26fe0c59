"""How much of what the hardware can do a cell uses: of memory bandwidth, of arithmetic. With what it is a share of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.hardware import DataSheet, data_sheet_of
from harness.analysis.results import CellResult, MachineResults
from harness.analysis.traffic import Traffic, traffic
from harness.values.backend import BACKENDS
from harness.values.roof import Roof

MEMORY_BOUND = 0.6
"""Share of the measured bandwidth from which memory limits: most kernels read at 60 to 90 % of a plain reader."""
COMPUTE_BOUND = 0.4
"""Share of the measured or rated arithmetic from which that limits: matrix kernels of llama.cpp reach 40 to 80 %."""

_SPLIT = ("tensor_split", "tensor_buft_overrides", "n_cpu_moe")
_ALL_LAYERS = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """None where either side of a share is not known.

    Attributes:
        traffic: what a token needs.
        bytes_per_s: read while generating. operations_per_s: computed.
        roof: of the processor, measured in the same session with as many threads; None for GPUs, and without a probe.
        machine_roof: likewise with all physical cores.
        sheet: of the device.
        measured_bandwidth: share of the roof. best_bandwidth: of the most that this machine ever showed.
        sheet_bandwidth: of the data sheet's bandwidth.
        arithmetic: share of the roof's 8-bit or 32-bit products; of the data sheet's peak for GPUs.
        peak: what `arithmetic` is a share of, in operations a second, with its name in `peak_name`.
    """

    traffic: Traffic
    bytes_per_s: float | None = None
    operations_per_s: float | None = None
    roof: Roof | None = None
    machine_roof: Roof | None = None
    sheet: DataSheet | None = None
    measured_bandwidth: float | None = None
    best_bandwidth: float | None = None
    sheet_bandwidth: float | None = None
    arithmetic: float | None = None
    peak: float | None = None
    peak_name: str = ""


def on_processor(result: CellResult) -> bool:
    """Whether the cell computes on the CPU, be it through a device in software."""
    return result.software or not BACKENDS[result.cell.backend].is_gpu


def layers_on_host(result: CellResult) -> float | None:
    """Share of the layers that a GPU backend leaves to the CPU; None where that is not known."""
    log, params = result.log, result.cell.params
    if any(params.get(name) for name in _SPLIT):
        return None
    if log is not None and log.layers_total and log.layers_offloaded is not None:
        return 1 - log.layers_offloaded / log.layers_total
    wanted = params.get("n_gpu_layers")
    layers = result.model.n_layers if result.model else None
    if not isinstance(wanted, int) or wanted >= _ALL_LAYERS or not layers:
        return 0.0 if isinstance(wanted, int) and wanted >= _ALL_LAYERS else None
    return max(0.0, 1 - wanted / (layers + 1))


def shares(result: CellResult, machine: MachineResults) -> Shares:
    """The shares of a cell that has a rate; without one only what a token needs."""
    needs, rate = traffic(result), result.tokens_per_s
    roof, whole = _roofs(result, machine)
    sheet = None if result.software else data_sheet_of(result.device)
    if rate is None:
        return Shares(traffic=needs, roof=roof, machine_roof=whole, sheet=sheet)
    bytes_per_s = None if needs.bytes is None else needs.bytes * rate
    operations = None if needs.operations is None else needs.operations * rate
    own = roof if on_processor(result) else None
    peak, name = _peak(result, own, sheet)
    in_one = result.n_devices == 1 and (on_processor(result) or layers_on_host(result) == 0)
    return Shares(
        traffic=needs,
        bytes_per_s=bytes_per_s,
        operations_per_s=operations,
        roof=own,
        machine_roof=whole,
        sheet=sheet,
        measured_bandwidth=_share(bytes_per_s, own.read if own else None),
        best_bandwidth=_share(bytes_per_s, own.best_read_bytes_per_s if own else None),
        sheet_bandwidth=_share(bytes_per_s, 1e9 * sheet.bandwidth_gb_s) if sheet and in_one else None,
        arithmetic=_share(operations, peak) if in_one else None,
        peak=peak,
        peak_name=name,
    )


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _roofs(result: CellResult, machine: MachineResults) -> tuple[Roof | None, Roof | None]:
    """Of the last session that this cell's runs are of; of the latest session where it has no runs."""
    sessions = [session for session in machine.sessions if session.id in result.sessions] or [machine.latest]
    measured: Sequence[Roof] = next((s.roofs for s in reversed(sessions) if s.roofs), ())
    usable = {roof.n_threads: roof for roof in measured if roof.read is not None}
    threads = result.cell.params.get("n_threads")
    return usable.get(threads if isinstance(threads, int) else -1), usable.get(machine.machine.cpu_cores)


def _peak(result: CellResult, roof: Roof | None, sheet: DataSheet | None) -> tuple[float | None, str]:
    """What arithmetic is compared with. Weights of few bits are multiplied as bytes on a CPU."""
    if on_processor(result):
        kind = (result.model.file_type or "") if result.model else ""
        if roof is None:
            return None, ""
        if kind.startswith(("Q", "IQ")) and roof.int8 is not None and not result.software:
            return roof.int8, f"8-bit products ({roof.int8_kernel}) measured in the same container"
        return roof.fp32, f"32-bit products ({roof.fp32_kernel}) measured in the same container"
    if sheet is None:
        return None, ""
    for figure, name in (
        (sheet.fp16_fp32acc_tflops, "16-bit products of the data sheet"),
        (sheet.fp16_tflops, "16-bit products of the data sheet"),
        (sheet.fp32_tflops, "32-bit products of the data sheet"),
    ):
        if figure is not None:
            return 1e12 * figure, name
    return None, ""
