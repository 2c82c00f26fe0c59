"""`--only-stale`: of what was measured before, what has to be measured again since something under it changed?

A cell is stale where it has results under another key than today's: another image, model, device, driver, parameter or
protocol. What has results under today's key is kept, and what was never measured waits for a start without the option.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.superseded import changes
from harness.store.sessions import Session
from harness.values.cell import Cell
from harness.values.plan import Group
from harness.values.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """What is to be run.

    Attributes:
        groups: those to be run again, with the cells of them that are stale.
        why: by cell id, what is another now than then.
        keys: by cell id, the key under which each cell of the plan counts: today's for what is run again and for what
            was never measured, the earlier one for what cannot be had today.
    """

    groups: tuple[Group, ...]
    why: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, str]


def find_stale(
    groups: Sequence[Group], records: Iterable[Record], sessions: Mapping[str, Session], now: Session
) -> Stale:
    """Hold the groups of today's plan against what was measured before.

    Args:
        records: of this machine, in the order in which they were made.
        sessions: all of the report, by id. now: the one that is about to begin.
    """
    latest: dict[str, Record] = {}
    measured: set[tuple[str, str]] = set()
    for record in records:
        for outcome in record.outcomes:
            if outcome.ok and record.counted:
                latest[outcome.cell] = record
                measured.add((outcome.cell, record.run.key))
    again: list[Group] = []
    why: dict[str, tuple[str, ...]] = {}
    keys: dict[str, str] = {}
    for group in groups:
        stale: list[Cell] = []
        for cell in group.cells:
            earlier = latest.get(cell.id)
            keys[cell.id] = group.key
            if earlier is None or ((cell.id, group.key) in measured and earlier.run.key == group.key):
                continue
            if group.failure is not None:
                # It cannot be had today: what was measured is the best that there is.
                keys[cell.id] = earlier.run.key
                continue
            stale.append(cell)
            why[cell.id] = changes(earlier, cell.id, (cell, now), sessions)
        if stale:
            again.append(replace(group, cells=tuple(stale)))
    return Stale(groups=tuple(again), why=why, keys=keys)
