"""How fast the processor is just now, against the best that this start has seen: a frequency for machines that hide it.

Clocks that were lowered, and on rented machines the other thread of the same core, which somebody else uses, slow a run
down by a quarter to a half without any CPU time of others to be seen. A fixed piece of work tells, in milliseconds.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from harness.machine.device_gate import Condition

LOWEST = 0.75
"""Of the best speed. A turbo that the cooling cannot keep up costs less; a shared core, or a lowered clock, more."""

MOST_CPUS = 16
"""On larger machines so many, evenly spread, stand for all."""

_PIECES = 15
_PIECE = bytes(64 * 1024)


def piece_ns(cpu: int) -> float | None:
    """How long a piece of work takes on a CPU now, by the median of fifteen; None where that cannot be asked."""
    try:
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})
    except (AttributeError, OSError):
        return None
    try:
        taken = []
        for _ in range(_PIECES):
            begin = time.perf_counter_ns()
            hashlib.sha256(_PIECE).digest()
            taken.append(time.perf_counter_ns() - begin)
        return float(median(taken))
    finally:
        os.sched_setaffinity(0, allowed)


def spread(cpus: Iterable[int]) -> tuple[int, ...]:
    """At most sixteen of these CPUs, evenly spread."""
    ordered = sorted(cpus)
    count = min(MOST_CPUS, len(ordered))
    return tuple(ordered[i * len(ordered) // count] for i in range(count))


def _own_cpus() -> tuple[int, ...]:
    try:
        return spread(os.sched_getaffinity(0))
    except AttributeError:
        return ()


@dataclass(slots=True, kw_only=True)
class Pace:
    """Remembers the best speed of each CPU.

    Attributes:
        cpus: that are looked at. piece: how long a piece of work takes on one, in ns; None where it cannot be told.
    """

    cpus: tuple[int, ...] = field(default_factory=_own_cpus)
    piece: Callable[[int], float | None] = piece_ns
    best_ns: dict[int, float] = field(default_factory=dict)

    def look(self) -> float | None:
        """The speed of the slowest CPU now, as a share of its best; None where nothing tells."""
        shares = []
        for cpu in self.cpus:
            now = self.piece(cpu)
            if now is not None and now > 0:
                best = self.best_ns[cpu] = min(now, self.best_ns.get(cpu, now))
                shares.append(best / now)
        return round(min(shares), 3) if shares else None

    def closed(self) -> tuple[Condition, ...]:
        """The condition that does not hold, if it does not."""
        share = self.look()
        if share is None or share >= LOWEST:
            return ()
        value = (
            f"the processor is at {100 * share:.0f} % of the best speed of this start, at least {100 * LOWEST:.0f} %: "
            "its clock was lowered, or its core is shared with another machine"
        )
        return (Condition(name="frequency", value=value),)
