"""Causes outside of llama.cpp: memory that is missing, quotas, CPU sets, other programs."""

from __future__ import annotations

from harness.analysis.bottleneck.seen import MORE_MEMORY, Seen, cpus
from harness.analysis.limit_words import gb, percent
from harness.analysis.shares import on_processor
from harness.values.limit import Diagnosis, Limit

HELD = 0.05
"""Share of the time held back by a quota above which it is one: a quota that is never reached holds nothing back."""
FOREIGN = 0.1
"""Share of the machine's CPUs in use by others above which they matter: twice what the gate lets pass."""
WITHOUT_CPU = 0.9
"""Share of their time below which threads lack CPU time."""
LESS_READ = 0.85
"""A probe below this share of the best that the machine has shown means that something else reads memory."""
FAR_LESS_READ = 0.7
"""The same where nobody is to be seen: single readings on shared machines lie 15 % apart with nothing wrong, so less
than twice that tells nothing."""
STEAL = 0.05
"""Of the machine, taken by the hypervisor: as the gate."""
REREAD_SHARE = 0.02
"""Share of what is read for tokens that comes from a disk."""
SLOWER_READ = 0.8
"""Share of the best that memory has shown, below which weights are read slower than alone, if arithmetic has room."""
COMPUTE_BOUND = 0.4
"""Share of the measured arithmetic from which that may be why weights are read slowly."""

_END_OTHERS = "End the other programs, or start with --strict, which waits for a quiet machine."


def from_outside(seen: Seen) -> Diagnosis | None:
    """Causes that are no property of model, backend and device."""
    signs_, cores = seen.signs, seen.machine.machine.cpu_threads
    reread, read = signs_.reread_bytes_per_s, seen.shares.bytes_per_s
    if reread and read and reread > REREAD_SHARE * read:
        return Diagnosis(
            limit=Limit.PAGING,
            decided_by="pages read from disk",
            because=f"{gb(reread)} a second came from disk while {gb(read)} a second were needed",
            todo=MORE_MEMORY,
        )
    if signs_.held_share is not None and signs_.held_share > HELD:
        return Diagnosis(
            limit=Limit.CPU_QUOTA,
            decided_by="time held back by the CPU quota of its control group",
            because=f"the quota held it back for {percent(signs_.held_share, HELD)} of the time; it used "
            f"{cpus(signs_.cpus_used)} of its {signs_.n_threads} threads' CPUs",
            todo="Lift the CPU quota of the engine or of the control group above it.",
        )
    if signs_.container_cpus is not None and signs_.n_threads and signs_.container_cpus < signs_.n_threads:
        return Diagnosis(
            limit=Limit.FEW_CPUS,
            decided_by="the CPU set of its control group",
            because=f"{signs_.n_threads} threads share {signs_.container_cpus} of the machine's {cores} CPUs",
            todo="Give the container more CPUs, or as many threads (n_threads) as it has CPUs.",
        )
    return _neighbour(seen)


def _neighbour(seen: Seen) -> Diagnosis | None:
    signs_, there_are = seen.signs, seen.machine.machine.cpu_threads
    if signs_.steal is not None and signs_.steal > STEAL:
        return Diagnosis(
            limit=Limit.NEIGHBOUR_CPU,
            decided_by="CPU time stolen by the hypervisor",
            because=f"the hypervisor gave {percent(signs_.steal, STEAL)} of the machine's CPU time to others",
            todo="Measure when the host is quiet, or on CPUs of its own.",
        )
    if signs_.foreign_cpus is None or signs_.foreign_cpus < FOREIGN * there_are or not on_processor(seen.result):
        return _less_than_ever(seen)
    others = f"other programs used {cpus(signs_.foreign_cpus)} of {there_are} CPUs meanwhile"
    if signs_.cpu_share is not None and signs_.cpu_share < WITHOUT_CPU:
        return Diagnosis(
            limit=Limit.NEIGHBOUR_CPU,
            decided_by="CPU time of other programs, and CPU time that the threads lacked",
            because=f"{others}, and its threads had {percent(signs_.cpu_share, WITHOUT_CPU)} of their time",
            todo=_END_OTHERS,
        )
    return _bandwidth_taken(seen, others)


def _bandwidth_taken(seen: Seen, others: str) -> Diagnosis | None:
    """Others compute, and the threads have their time: is there less memory bandwidth than the machine has?"""
    roof, best = seen.shares.roof, seen.shares.best_bandwidth
    fell = _fell(seen)
    if fell is not None and fell < LESS_READ and roof is not None:
        return Diagnosis(
            limit=Limit.NEIGHBOUR_BANDWIDTH,
            decided_by="CPU time of other programs, and a probe below the best of this machine",
            because=f"{others}, while its own threads lacked none; the probe at the start read {gb(roof.read)} a "
            f"second, {percent(fell, LESS_READ)} of the best that this machine has shown",
            todo=_END_OTHERS,
        )
    computing = seen.shares.arithmetic is not None and seen.shares.arithmetic >= COMPUTE_BOUND
    if seen.generating and best is not None and best < SLOWER_READ and not computing:
        return Diagnosis(
            limit=Limit.NEIGHBOUR_BANDWIDTH,
            decided_by="CPU time of other programs, and weights read slower than memory can be",
            because=f"{others}, while its own threads lacked none, and the weights were read at "
            f"{percent(best, SLOWER_READ)} of what this machine's memory has shown",
            todo=_END_OTHERS,
        )
    return None


def _less_than_ever(seen: Seen) -> Diagnosis | None:
    """Nobody is to be seen, and memory is far slower than it was: somebody outside of this system, or its clocks."""
    fell, roof = _fell(seen), seen.shares.roof
    slow = seen.shares.best_bandwidth is not None and seen.shares.best_bandwidth < SLOWER_READ
    if fell is None or fell >= FAR_LESS_READ or not slow or not seen.generating or roof is None:
        return None
    return Diagnosis(
        limit=Limit.SLOWER_MEMORY,
        decided_by="a probe far below the best of this machine",
        because=f"the probe at the start read {gb(roof.read)} a second, {percent(fell, FAR_LESS_READ)} of the best "
        "that this machine has shown, and no other program of this system used its CPUs",
        todo="Look for what else uses the memory: other virtual machines, integrated graphics, lowered memory clocks.",
    )


def _fell(seen: Seen) -> float | None:
    """What memory was seen to deliver, of its best: by the probe, or by the run where that read faster."""
    roof = seen.shares.roof
    if roof is None or roof.read is None or not roof.best_read_bytes_per_s:
        return None
    read = seen.shares.bytes_per_s if seen.generating else None
    return max(roof.read, read or 0.0) / roof.best_read_bytes_per_s
