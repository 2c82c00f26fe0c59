"""The gate before a run: wait, within bounds, until nothing else uses the machine.

llama.cpp's threads spin while they wait for each other: with two threads on two busy cores it can be fifty times
slower than alone. So a run starts only when the others are quiet, and a run that had to start all the same is flagged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

WINDOW_S = 2.0
"""CPU time is looked at over this long. Not the load average: that still counts our own last run."""
LIMIT = 0.05
"""Foreign CPU time above this share of the machine closes the gate."""
MAX_WAIT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Clock ticks since boot: of the whole machine, busy and in all, and of this process with its children."""

    busy: int
    total: int
    own: int
    steal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """How the gate was passed.

    Attributes:
        passed: False where the wait ended before the machine was quiet.
        waited_s: seconds beyond the first look.
        foreign_cpu: share of the machine that others used in the last look, 0 to 1; None where it cannot be read.
        steal: share that the hypervisor gave to others.
    """

    passed: bool
    waited_s: float
    foreign_cpu: float | None
    steal: float | None


def read_cpu_times(proc: Path = Path("/proc")) -> CpuTimes | None:
    """The counters now; None where /proc does not show them."""
    try:
        fields = [int(field) for field in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        # The command's name may hold spaces and brackets: the numbers start after the last one.
        own = (proc / "self/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError, IndexError):
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = fields
    busy = user + nice + system + irq + softirq
    # utime, stime, cutime and cstime are fields 14 to 17 of the file, and the first two were cut off.
    return CpuTimes(busy=busy, total=busy + idle + iowait + steal, own=sum(int(f) for f in own[11:15]), steal=steal)


def foreign_share(before: CpuTimes, after: CpuTimes) -> float:
    """What others used of the machine between two looks, 0 to 1."""
    total = after.total - before.total
    foreign = (after.busy - before.busy) - (after.own - before.own)
    return min(1.0, max(0.0, foreign / total)) if total > 0 else 0.0


def wait_until_quiet(
    *,
    cancel: Event,
    max_wait_s: float = MAX_WAIT_S,
    limit: float = LIMIT,
    read: Callable[[], CpuTimes | None] = read_cpu_times,
    clock: Callable[[], float] = time.monotonic,
    on_wait: Callable[[float], None] = lambda _share: None,
) -> GateResult:
    """Look at the machine over two seconds, again and again until it is quiet or `max_wait_s` has passed.

    Args:
        cancel: set by the user's interrupt; ends the wait at once.
        on_wait: called with the foreign share each time the gate stays closed.
    """
    begin = clock()
    while True:
        before = read()
        cancel.wait(WINDOW_S)
        after = read()
        if before is None or after is None:
            return GateResult(passed=True, waited_s=0.0, foreign_cpu=None, steal=None)
        share = foreign_share(before, after)
        total = max(1, after.total - before.total)
        waited = max(0.0, clock() - begin - WINDOW_S)
        result = GateResult(
            passed=share <= limit,
            waited_s=round(waited, 1),
            foreign_cpu=round(share, 4),
            steal=round((after.steal - before.steal) / total, 4),
        )
        if result.passed or waited >= max_wait_s or cancel.is_set():
            return result
        on_wait(share)


def one_minute_load() -> float | None:
    """The one-minute load average, for `doctor` only."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
