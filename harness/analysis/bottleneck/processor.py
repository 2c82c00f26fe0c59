"""Causes of cells that compute on the processor."""

from __future__ import annotations

from harness.analysis.bottleneck.seen import Seen, cpus
from harness.values.limit import Diagnosis, Limit

FEW_THREADS = 0.75
"""Fewer threads than cores are the limit only where they leave a quarter of the memory's bandwidth unused."""
IDLE_CPU = 0.5
"""CPUs that have to be idle for another thread to find one: cores that other programs use are none."""


def on_cpu(seen: Seen) -> Diagnosis | None:
    """Causes of cells that compute on the processor."""
    signs_, cores = seen.signs, seen.machine.machine.cpu_cores
    idle = cores - (signs_.n_threads or cores) - (signs_.foreign_cpus or 0.0)
    if signs_.n_threads and idle >= IDLE_CPU and not _memory_full(seen):
        return Diagnosis(
            limit=Limit.FEW_CPUS,
            decided_by="n_threads against the machine's cores",
            because=f"it computes with {signs_.n_threads} of {cores} cores",
            todo=f"Set n_threads: {cores}, and compare.",
        )
    used, threads = signs_.cpus_used, signs_.n_threads
    if used is not None and threads and threads > 1 and used < 0.6 * threads and used < 1.1 * (threads - 1):
        return Diagnosis(
            limit=Limit.FEW_CPUS,
            decided_by="CPU time that the container used",
            because=f"its {threads} threads used {cpus(used)} CPUs together, and no quota or other program held them",
            todo="See whether its CPUs are limited from outside (affinity), or whether fewer threads are as fast.",
        )
    return None


def _memory_full(seen: Seen) -> bool:
    """Whether few threads are enough to use this memory."""
    whole, read = seen.shares.machine_roof, seen.shares.bytes_per_s
    if not seen.generating or whole is None or whole.read is None or read is None:
        return False
    return read >= FEW_THREADS * max(whole.read, whole.best_read_bytes_per_s or 0)
