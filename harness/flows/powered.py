"""Runs under a power limit: what a cell asks for, why it may not have it, and the proof that it had it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.flows.console import Display
from harness.flows.setting import Setting
from harness.machine.power_limit import OPTION, PowerLimits
from harness.values.cell import POWER_LIMIT, Cell
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Outcome, Record


def power_limits(state: Path, display: Display, *, allowed: bool) -> PowerLimits:
    """Who sets power limits; what a start that was killed left in force is put back first.

    Args:
        state: folder of what survives a crash. allowed: whether the user said that limits may be changed.
    """
    power = PowerLimits(state, allowed=allowed)
    for line in power.restore():
        display.say(f"an earlier start was killed under a power limit: {line}")
    return power


def power_refusal(cell: Cell, setting: Setting) -> Failure | None:
    """Why a cell cannot have the power limit that it asks for; None where it can, and where it asks for none."""
    if POWER_LIMIT not in cell.params:
        return None
    if setting.power is None:
        detail = "limits are changed only where that is asked for"
        return Failure(phase=Phase.PREPARE, reason=Reason.POWER_LIMIT, detail=detail, remedy=f"Add {OPTION}.")
    return setting.power.refusal(setting.prepared.target(cell).devices, float(cell.params[POWER_LIMIT]))


@contextmanager
def powered(cell: Cell, setting: Setting) -> Iterator[Callable[[Record], Record]]:
    """Hold the devices of a cell to its power limit until the block is left.

    Yields:
        Adds to the record of the run whether the limit was in force.
    """
    if POWER_LIMIT not in cell.params or setting.power is None:
        yield lambda record: record
        return
    devices, watts = setting.prepared.target(cell).devices, float(cell.params[POWER_LIMIT])
    setting.journal("power_limit", {"devices": [device.name for device in devices], "watts": watts})
    with setting.power.during(devices, watts) as held:

        def checked(record: Record) -> Record:
            found = held()
            if isinstance(found, Failure):
                return replace(record, outcomes=tuple(_without_number(o, found) for o in record.outcomes))
            return replace(
                record,
                outcomes=tuple(replace(o, checks=(*o.checks, found)) if o.ok else o for o in record.outcomes),
            )

        yield checked
    setting.journal("power_limit_restored", {"devices": [device.name for device in devices]})


def _without_number(outcome: Outcome, failure: Failure) -> Outcome:
    """What was not run under the limit is no number of it; a failure of the run's own stays."""
    return replace(outcome, samples_ns=(), series={}, failure=failure) if outcome.ok else outcome
