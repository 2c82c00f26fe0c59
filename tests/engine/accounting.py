"""After a soak: is there one record for every planned run, does each say what happened, and is nothing left over?"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import docker

from harness.analysis.audit import audit
from harness.store.history import failures, left_over
from harness.values.failure import RETRIED_ON_RESUME
from harness.values.record import Outcome, Record
from tests.engine.faulty import FAULTS, FaultyHarness, fault_of
from tests.engine.own_engine import OwnEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a soak did.

    Attributes:
        runs: planned and recorded. records: containers, those made again included. faults: records by fault.
    """

    runs: int
    records: int
    faults: dict[str, int]


def account(harness: FaultyHarness, *, groups: int, rounds: int) -> Account:
    """Hold the records against the plan.

    Raises:
        AssertionError: a run is missing, stands twice, or its record does not say what happened in its container.
    """
    records = harness.records()
    attempts: dict[tuple[str, int], list[int]] = defaultdict(list)
    settled: Counter[tuple[str, int]] = Counter()
    for record in records:
        _fits(record)
        attempts[record.run.key, record.run.round].append(record.run.attempt)
        settled.update((outcome.cell, record.run.round) for outcome in _final(record))
    assert all(found == list(range(1, len(found) + 1)) for found in attempts.values()), "attempts follow each other"
    assert set(settled.values()) == {1}, "each cell has one result in each of its rounds"
    assert dict(settled) == _planned(records, rounds), "every planned run is recorded, and no other"
    assert len({key for key, _ in attempts}) == groups
    assert audit(harness.report, simulated=True).findings == ()
    faults = Counter(fault for record in records if (fault := fault_of(record)))
    return Account(runs=len(attempts), records=len(records), faults=dict(sorted(faults.items())))


def _final(record: Record) -> list[Outcome]:
    """Those that are not made again: neither the engine's, nor of a cell that another one kept from its turn."""
    waiting = {cell.id for cell in left_over(record.run.cells, failures(record))}
    return [
        outcome
        for outcome in record.outcomes
        if outcome.cell not in waiting and not (outcome.failure and outcome.failure.reason in RETRIED_ON_RESUME)
    ]


def _fits(record: Record) -> None:
    """The record's outcomes are those of the fault that the stub says it had; without one all is well."""
    reasons = {failure.reason for failure in failures(record).values()}
    if reasons and reasons <= RETRIED_ON_RESUME:
        return
    fault = fault_of(record)
    expected = FAULTS.get(fault, "")
    assert reasons == ({expected} if expected else set()), (fault, failures(record))
    assert (record.kill_stage == "kill") == (fault == "hang")
    assert record.oom_killed == (fault == "host_memory")


def _planned(records: tuple[Record, ...], rounds: int) -> dict[tuple[str, int], int]:
    """The warm-up of each cell, and every round of those that did not fail in it: they are not tried again."""
    cells = {cell.id for record in records for cell in record.run.cells}
    warm_ups = [outcome for record in records if record.run.round == 0 for outcome in _final(record)]
    good = {outcome.cell for outcome in warm_ups if outcome.ok}
    return {(cell, round_): 1 for cell in cells for round_ in range(rounds + 1 if cell in good else 1)}


def nothing_left(own: OwnEngine, harness: FaultyHarness, held: dict[str, list[str]], *, orphans: bool = False) -> None:
    """No container, volume or process of one, no temporary file; the harness's process held nothing at its end.

    Args:
        orphans: an engine that was killed while it made or removed a container can forget the process that watches
            over it (a shim of containerd). Such a one may be left if nothing runs below it.

    Raises:
        AssertionError: something is left.
    """
    assert own.containers() == []
    client = docker.APIClient(base_url=own.host, version="auto")
    try:
        assert client.volumes()["Volumes"] in (None, [])
    finally:
        client.close()
    assert [children for children in own.shims().values() if children or not orphans] == []
    assert harness.leftovers() == []
    assert held == {"threads": [], "files": [], "children": []}
