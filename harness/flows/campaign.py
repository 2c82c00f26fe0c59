"""All runs of a matrix on this machine: the warm-up round, then the counted rounds, each cell once a round.

What is already in the store is not run again; a cell that failed for good in the warm-up is not tried again; a cell
that kills its run costs the others nothing: what is left of the run is made in a container of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.flows.console import Display, RunsDisplay
from harness.flows.interrupts import Interrupts
from harness.flows.run_once import Setting, failed_without_container, run_key, run_once
from harness.machine.page_cache import read_through
from harness.values.cell import Cell
from harness.values.failure import RETRIED_ON_RESUME, Failure, Phase, Reason
from harness.values.record import Outcome, Record, Run

WHOLE_RUN = frozenset(
    {
        Reason.LOAD,
        Reason.UNSUPPORTED,
        Reason.IMAGE,
        Reason.ENGINE,
        Reason.NO_DEVICE,
        Reason.PERMISSION,
        Reason.DRIVER_TOO_OLD,
        Reason.INTERRUPTED,
    }
)
"""Reasons that concern the whole run: what is left of it would fail in the same way."""

MAX_ENGINE_RETRIES = 1


@dataclass(slots=True)
class History:
    """What is known of each cell: from the store when a campaign is continued, and from the runs made since.

    Attributes:
        outcomes: the latest outcome by (run key, cell id, round); none of a cell that never had its turn.
        attempts: the last attempt by (run key, round).
    """

    outcomes: dict[tuple[str, str, int], Outcome] = field(default_factory=dict)
    attempts: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Remember a record, later ones over earlier ones."""
        run = record.run
        self.attempts[run.key, run.round] = max(run.attempt, self.attempts.get((run.key, run.round), 0))
        left = {cell.id for cell in _left_over(run.cells, _failures(record))}
        for outcome in record.outcomes:
            if outcome.cell not in left:
                self.outcomes[run.key, outcome.cell, run.round] = outcome

    def settled(self, key: str, cell: str, round_: int) -> bool:
        """Whether there is nothing left to do for this cell in this round."""
        outcome = self.outcomes.get((key, cell, round_))
        return outcome is not None and (outcome.failure is None or outcome.failure.reason not in RETRIED_ON_RESUME)

    def failed_warm_up(self, key: str, cell: str) -> bool:
        """Whether the cell failed in the warm-up for a reason that does not go away by itself."""
        outcome = self.outcomes.get((key, cell, 0))
        return outcome is not None and outcome.failure is not None and self.settled(key, cell, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The cells that share one loaded model, with the key of their runs; no key where they cannot be run at all."""

    cells: tuple[Cell, ...]
    key: str
    failure: Failure | None = None


def make_groups(groups: Sequence[tuple[Cell, ...]], setting: Setting) -> tuple[Group, ...]:
    """Give each group its key, or the reason why it cannot be run."""
    made = []
    for cells in groups:
        failure = setting.prepared.failure(cells[0])
        key = f"unprepared/{cells[0].id}" if failure else run_key(cells, setting.prepared)
        made.append(Group(cells=cells, key=key, failure=failure))
    return tuple(made)


class Campaign:
    """The loop over rounds and groups.

    Args:
        order: the order of the groups in a round, as indices.
        store: called with each record as soon as it is complete; returns the record as stored.
    """

    def __init__(
        self,
        *,
        groups: tuple[Group, ...],
        rounds: int,
        order: Callable[[int], Sequence[int]],
        timeouts: Mapping[str, float],
        setting: Setting,
        store: Callable[[Record], Record],
        history: History,
        interrupts: Interrupts,
        display: Display,
    ) -> None:
        self.groups = groups
        self.rounds = rounds
        self.order = order
        self.timeouts = timeouts
        self.setting = setting
        self.store = store
        self.history = history
        self.interrupts = interrupts
        self.display = display
        self._read: set[Path] = set()

    def todo(self) -> tuple[tuple[int, int, Group], ...]:
        """The runs that are left, as (round, place in the round, group), in the order in which they will be made."""
        left = []
        for round_ in range(self.rounds + 1):
            for place, index in enumerate(self.order(round_)):
                group = self.groups[index]
                if self._cells_left(group, round_):
                    left.append((round_, place, group))
        return tuple(left)

    def run(self) -> None:
        """Make what is left. Returns early, with everything so far recorded, when the user wants to stop.

        Raises:
            EngineError: the engine went away and did not come back; what was made so far is recorded.
            MachineError: a record cannot be written.
        """
        todo = self.todo()
        if not todo:
            return
        with self.display.runs(len(todo)) as runs:
            for round_, place, group in todo:
                if self.interrupts.stop.is_set():
                    return
                cells = self._cells_left(group, round_)
                if cells:
                    self._make(group, round_, place, cells, runs)
                else:
                    # Its cells failed in the warm-up, which was not known when the runs were counted.
                    runs.add(-1)

    def _cells_left(self, group: Group, round_: int) -> tuple[Cell, ...]:
        if group.failure is not None and round_ > 0:
            return ()
        return tuple(
            cell
            for cell in group.cells
            if not self.history.settled(group.key, cell.id, round_)
            and not (round_ > 0 and self.history.failed_warm_up(group.key, cell.id))
        )

    def _make(self, group: Group, round_: int, place: int, cells: tuple[Cell, ...], runs: RunsDisplay) -> None:
        """One run, and where a cell killed it, further runs for those that came after it."""
        engine_retries = 0
        while cells and not self.interrupts.stop.is_set():
            attempt = self.history.attempts.get((group.key, round_), 0) + 1
            run = Run(key=group.key, round=round_, order=place, attempt=attempt, cells=cells)
            runs.started(_title(run))
            begin = time.monotonic()
            record = self._one(run, group)
            self.history.take(record)
            runs.finished(f"{_title(run)}  {_result(record)}", time.monotonic() - begin)
            failures = _failures(record)
            if any(failure.reason is Reason.ENGINE for failure in failures.values()):
                # The engine went away or refused: once more in a new container, then it is a result.
                if engine_retries >= MAX_ENGINE_RETRIES or group.failure is not None:
                    # Where it is gone for good, every further run would say the same.
                    self.setting.engine.facts()
                    return
                engine_retries += 1
                cells = tuple(cell for cell in cells if cell.id in failures)
            else:
                cells = _left_over(cells, failures)
            if cells:
                runs.add(1)

    def _one(self, run: Run, group: Group) -> Record:
        if group.failure is not None:
            with self.interrupts.during_run():
                return self.store(failed_without_container(run, group.failure, self.setting))
        self._warm_page_cache(run)
        gate = self.setting.gate()
        with self.interrupts.during_run():
            record = run_once(run, self.setting, gate=gate, timeouts=self.timeouts, cancel=self.interrupts.cancel)
            return self.store(record)

    def _warm_page_cache(self, run: Run) -> None:
        """Read the model once in each start: a campaign that is continued has its warm-up round behind it."""
        path = self.setting.prepared.model(run.cells[0]).path
        if path not in self._read and run.round > 0:
            read_through(path)
        self._read.add(path)


def _failures(record: Record) -> dict[str, Failure]:
    """By cell id."""
    return {outcome.cell: outcome.failure for outcome in record.outcomes if outcome.failure is not None}


def _left_over(cells: tuple[Cell, ...], failures: Mapping[str, Failure]) -> tuple[Cell, ...]:
    """The cells after the one that ended the run: they never had their turn.

    The first cell without a row is the one that ended it; one that was refused by its proof has a row. A failure of
    the whole run, and output that cannot be read, leave nothing over.
    """
    for index, cell in enumerate(cells):
        failure = failures.get(cell.id)
        if failure is None or failure.phase is Phase.PROOF:
            continue
        if failure.phase in {Phase.READ, Phase.PREPARE, Phase.START} or failure.reason in WHOLE_RUN:
            return ()
        return tuple(c for c in cells[index + 1 :] if c.id in failures and failures[c.id].phase is not Phase.PROOF)
    return ()


def _title(run: Run) -> str:
    first = run.cells[0]
    label = f"#{first.label}" if first.label else ""
    what = "warm-up" if run.round == 0 else f"round {run.round}"
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    return f"{what}{again}: {first.backend}/{first.model}{label}"


def _result(record: Record) -> str:
    """The rates of a run in a few words, or the reason why there are none."""
    tests = {cell.id: cell.test for cell in record.run.cells}
    words = []
    for outcome in record.outcomes:
        test = tests[outcome.cell]
        if outcome.failure is not None:
            words.append(f"{test.name} {outcome.failure.reason}: {outcome.failure.detail[:120]}")
        else:
            samples = outcome.samples_ns[1:] or outcome.samples_ns
            middle = sorted(samples)[len(samples) // 2]
            words.append(f"{test.name} {1e9 * test.n_tokens / middle:.4g} t/s")
    return ", ".join(words)
