"""The gate before a run: wait, within bounds, until nothing else uses the machine and its devices are as at first.

llama.cpp's threads spin while they wait for each other: with two threads on two busy cores it can be fifty times
slower than alone. So a run starts only when the others are quiet, and a run that had to start all the same is flagged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from harness.machine.device_gate import Condition
from harness.machine.facts import memory_available_bytes, memory_used_bytes
from harness.machine.roots import MachineRoots

WINDOW_S = 2.0
"""CPU time is looked at over this long. Not the load average: that still counts our own last run."""
LIMIT = 0.05
"""Foreign CPU time above this share of the machine closes the gate."""
MAX_WAIT_S = 300.0

_MIB = 1024 * 1024


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
        passed: False where the wait ended before every condition held.
        waited_s: seconds beyond the first look.
        foreign_cpu: share of the machine that others used in the last look, 0 to 1; None where it cannot be read.
        steal: share that the hypervisor gave to others.
        closed: the conditions that did not hold at the last look, with their values.
        waited_for: names of the conditions that did not hold at any look.
    """

    passed: bool
    waited_s: float
    foreign_cpu: float | None
    steal: float | None
    closed: tuple[Condition, ...] = ()
    waited_for: tuple[str, ...] = ()


Conditions = Callable[[], Sequence[Condition]]
"""What else has to hold: looked at after each window; what it returns keeps the gate closed."""


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
    conditions: Conditions = tuple,
    on_wait: Callable[[Sequence[Condition]], None] = lambda _closed: None,
) -> GateResult:
    """Look at the machine over two seconds, again and again until every condition holds or `max_wait_s` has passed.

    Args:
        cancel: set by the user's interrupt; ends the wait at once.
        limit: of foreign CPU time and of steal, as a share of the machine.
        conditions: further conditions, on devices and memory.
        on_wait: called with the conditions that do not hold, each time the gate stays closed.
    """
    begin = clock()
    waited_for: dict[str, None] = {}
    while True:
        before = read()
        cancel.wait(WINDOW_S)
        after = read()
        foreign = steal = None
        if before is not None and after is not None:
            foreign = round(foreign_share(before, after), 4)
            steal = round((after.steal - before.steal) / max(1, after.total - before.total), 4)
        closed = (*_processor(foreign, steal, limit), *conditions())
        waited = max(0.0, clock() - begin - WINDOW_S)
        waited_for |= dict.fromkeys(condition.name for condition in closed)
        if not closed or waited >= max_wait_s or cancel.is_set():
            return GateResult(
                passed=not closed,
                waited_s=round(waited, 1),
                foreign_cpu=foreign,
                steal=steal,
                closed=closed,
                waited_for=tuple(waited_for),
            )
        on_wait(closed)


def _processor(foreign: float | None, steal: float | None, limit: float) -> tuple[Condition, ...]:
    found = []
    if foreign is not None and foreign > limit:
        value = f"other programs use {100 * foreign:.0f} % of the CPU time, at most {100 * limit:.0f} %"
        found.append(Condition(name="foreign_cpu", value=value))
    if steal is not None and steal > limit:
        value = f"the hypervisor gives {100 * steal:.0f} % of the CPU time to others, at most {100 * limit:.0f} %"
        found.append(Condition(name="steal", value=value))
    return tuple(found)


def memory_room(needed_bytes: int, roots: MachineRoots | None = None) -> tuple[Condition, ...]:
    """Whether the host has room for what will be resident on it.

    A machine that could never have it is not waited for: the run will say what it lacks.

    Args:
        needed_bytes: what the run will hold in the host's memory.
        roots: where the kernel shows itself.
    """
    available, used = memory_available_bytes(roots), memory_used_bytes(roots)
    if used is None or needed_bytes <= available or needed_bytes > available + used:
        return ()
    value = f"{available // _MIB} MiB can be had, the model takes {needed_bytes // _MIB} MiB"
    return (Condition(name="host_memory", value=value),)


def one_minute_load() -> float | None:
    """The one-minute load average, for `doctor` only."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
