"""What telemetry says of one cell, as shares and rates of its timed part: medians over its counted runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from harness.analysis.observed import Observed
from harness.analysis.results import CellResult
from harness.values.facts import MachineFacts
from harness.values.telemetry import DeviceSummary, HostSummary, ThrottleKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """None where nothing tells it; of CPU time also where a window is too short, or has more than the test in it.

    Attributes:
        n_threads: that llama.cpp was given. container_cpus: CPUs that the container may use.
        cpu_share: CPU time that the container used, as a share of its threads' time.
        cpus_used: the same as a number of CPUs.
        held_share: time for which its CPU quota held it back, as a share of the time of the CPUs that it could use.
        foreign_cpus: CPUs that other programs used meanwhile. steal: share of the machine that the hypervisor took.
        reread_bytes_per_s: pages of the container that were read from disk, again or for the first time.
        io_stall: share of the time in which some task of the machine waited for a disk.
        busy_percent: of the device. throttled: by class, share of the time. power_w: mean.
        link: PCIe generation and lanes.
    """

    n_threads: int | None = None
    container_cpus: int | None = None
    cpu_share: float | None = None
    cpus_used: float | None = None
    held_share: float | None = None
    foreign_cpus: float | None = None
    steal: float | None = None
    reread_bytes_per_s: float | None = None
    io_stall: float | None = None
    busy_percent: float | None = None
    throttled: dict[ThrottleKind, float] | None = None
    power_w: float | None = None
    link: tuple[int, int] | None = None


FEWEST_READINGS = 10
"""Of a window, from which on CPU time within it means something: either end of it is off by up to one reading."""
_PAGE_BYTES = 4096
"""Of x86 and of most others; where pages are larger, more was read than is said."""


def signs(result: CellResult, machine: MachineFacts) -> Signs:
    """The signs of a cell; without telemetry only its threads."""
    threads = result.cell.params.get("n_threads")
    n_threads = int(threads) if isinstance(threads, int) else None
    seen = [(run.summary.host, _lasted_ns(run)) for run in result.observed if run.summary.host and _lasted_ns(run)]
    lasting = [(run.summary.host, _lasted_ns(run)) for run in result.observed if run.summary.host and _of_itself(run)]
    devices = [summary for run in result.observed for summary in _asked(run)]
    return Signs(
        n_threads=n_threads,
        container_cpus=_least(host.container_cpus for host, _ in seen),
        cpu_share=_of(lasting, lambda h, ns: _ratio(h.container_cpu_ns, ns * n_threads if n_threads else None)),
        cpus_used=_of(lasting, lambda h, ns: _ratio(h.container_cpu_ns, ns)),
        held_share=_of(seen, lambda h, ns: _ratio(h.container_throttled_ns, ns * _cpus_for(h, n_threads, machine))),
        foreign_cpus=_of(lasting, lambda h, ns: _foreign(h, ns, machine)),
        steal=_of(seen, lambda h, _: h.cpu_steal),
        reread_bytes_per_s=_of(seen, _reread),
        io_stall=_of(seen, lambda h, ns: _ratio(h.stall_io_ns, ns)),
        busy_percent=_median(summary.utilization_mean_percent for summary in devices),
        throttled=_throttled(devices),
        power_w=_median(summary.power_mean_w for summary in devices),
        link=_link(devices),
    )


def _lasted_ns(run: Observed) -> int:
    return run.summary.window.end_ns - run.summary.window.begin_ns


def _of_itself(run: Observed) -> bool:
    """Whether CPU time in the window is the test's: it is long enough, and the start of the container lies before it.

    At a depth the first test of a run has no beginning that is known, so what the engine does to start a container,
    half a second of other programs' time, is in its window.
    """
    host = run.summary.host
    with_start = run.summary.window.untimed and run.load is None
    return host is not None and host.readings >= FEWEST_READINGS and _lasted_ns(run) > 0 and not with_start


def _asked(run: Observed) -> list[DeviceSummary]:
    pairs = zip(run.traces, run.summary.devices, strict=False)
    return [summary for trace, summary in pairs if trace.asked]


def _cpus_for(host: HostSummary, n_threads: int | None, machine: MachineFacts) -> int:
    """CPUs on which its threads can run at once."""
    return max(1, min(n for n in (n_threads, host.container_cpus, machine.cpu_threads) if n))


def _foreign(host: HostSummary, lasted_ns: int, machine: MachineFacts) -> float | None:
    if host.cpu_busy is None or host.container_cpu_ns is None:
        return None
    all_others = (host.cpu_busy - (host.own_cpu or 0.0)) * machine.cpu_threads - host.container_cpu_ns / lasted_ns
    return max(0.0, all_others)


def _reread(host: HostSummary, lasted_ns: int) -> float | None:
    pages = [n for n in (host.container_refaults, host.container_major_faults) if n is not None]
    return max(pages) * _PAGE_BYTES / (lasted_ns / 1e9) if pages else None


def _of(seen: list[tuple[HostSummary, int]], value: Callable[[HostSummary, int], float | None]) -> float | None:
    return _median(value(host, lasted_ns) for host, lasted_ns in seen)


def _ratio(part: int | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _median(values: Iterable[float | int | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return median(known) if known else None


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _throttled(devices: list[DeviceSummary]) -> dict[ThrottleKind, float] | None:
    told = [summary.throttled for summary in devices if summary.throttled is not None]
    return {kind: median(t.get(kind, 0.0) for t in told) for kind in ThrottleKind} if told else None


def _link(devices: list[DeviceSummary]) -> tuple[int, int] | None:
    links = [(d.pcie_generation, d.pcie_width) for d in devices if d.pcie_generation and d.pcie_width]
    return links[0] if links else None
