"""All runs of a matrix on this machine, as a strategy wants them (`harness.matrix.strategies`).

What is already in the store is not run again; a cell that kills its run costs the others nothing: what is left of the
run is made in a container of its own, since the strategy is asked again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from harness.flows.console import Display, RunsDisplay
from harness.flows.interrupts import Interrupts
from harness.flows.observe import resident_bytes
from harness.flows.powered import power_refusal, powered
from harness.flows.progress import after_round, result, title
from harness.flows.run_once import failed_without_container, run_key, run_once
from harness.flows.setting import Setting
from harness.flows.time_left import TimeLeft
from harness.machine.page_cache import drop, read_through
from harness.machine.sampler import Sampler
from harness.matrix.foresight import Foresight
from harness.matrix.strategies import Strategy
from harness.store.history import History, failures
from harness.values.cell import Cell
from harness.values.failure import Failure, Reason
from harness.values.plan import Group, Planned
from harness.values.record import Record, Run

MAX_ENGINE_RETRIES = 1
LONGER = 1.1
"""A warm-up is mostly slower than what follows, and the time is to be filled."""
MOST_REPETITIONS = 100_000


def make_groups(groups: Sequence[tuple[Cell, ...]], setting: Setting) -> tuple[Group, ...]:
    """Give each group its key, or the reason why it cannot be run."""
    made = []
    for cells in groups:
        failure = setting.prepared.failure(cells[0]) or power_refusal(cells[0], setting)
        key = f"unprepared/{cells[0].id}" if failure else run_key(cells, setting.prepared)
        made.append(Group(cells=cells, key=key, failure=failure))
    return tuple(made)


def sustained_repetitions(run: Run, history: History, *, fewest: int) -> int | None:
    """How many repetitions fill the time of a sustained test, by the one of its warm-up; None for other tests."""
    test, cell = run.cells[0].test, run.cells[0].id
    outcome = history.outcomes.get((run.key, cell, 0))
    if not test.sustained_s or outcome is None or not outcome.samples_ns:
        return None
    once_s = min(outcome.samples_ns) / 1e9
    return min(MOST_REPETITIONS, max(fewest, math.ceil(LONGER * test.sustained_s / once_s)))


class Campaign:
    """Makes the runs that a strategy wants, one after the other.

    Args:
        store: called with each record as soon as it is complete; returns the record as stored.
    """

    def __init__(
        self,
        *,
        strategy: Strategy,
        timeouts: Mapping[str, float],
        setting: Setting,
        store: Callable[[Record], Record],
        history: History,
        foresight: Foresight,
        interrupts: Interrupts,
        display: Display,
    ) -> None:
        self.strategy = strategy
        self.timeouts = timeouts
        self.setting = setting
        self.store = store
        self.history = history
        self.foresight = foresight
        self.left_s = TimeLeft(self._seconds_left)
        self.interrupts = interrupts
        self.display = display
        self._read: set[Path] = set()

    def close(self) -> None:
        """Look at no device any more."""
        if self.setting.watch:
            self.setting.watch.close()

    def left(self) -> int:
        """How many runs are left by what is known now."""
        return len(self.strategy.ahead(self.history))

    def _seconds_left(self) -> float:
        """By the runs so far, and by what `plan` says of those that were never made."""
        return self.foresight.seconds(self.strategy.ahead(self.history), self.history)

    def run(self) -> None:
        """Make what is left. Returns early, with everything so far recorded, when the user wants to stop.

        Raises:
            EngineError: the engine went away and did not come back; what was made so far is recorded.
            MachineError: a record cannot be written.
        """
        left = self.left()
        if not left:
            return
        with self.display.runs(left, self.left_s()) as runs:
            while planned := self.strategy.next(self.history):
                # Runs come and go: what a killed run left over, cells that failed in the warm-up.
                runs.left(self.left())
                if not self._make_all(planned, runs):
                    return

    def _make_all(self, planned: Sequence[Planned], runs: RunsDisplay) -> bool:
        """Runs of one round, up to the first that does not go as planned. Returns False to stop for good."""
        for plan in planned:
            if self.interrupts.stop.is_set():
                return False
            if not self._make(plan, runs):
                return True
        line = after_round(planned[-1].round, self.strategy.groups, self.history)
        if line:
            self.display.say(line)
        return True

    def _make(self, plan: Planned, runs: RunsDisplay) -> bool:
        """One run; one more where the engine went away. Returns whether everything went as planned."""
        cells = plan.cells
        for retries_left in reversed(range(MAX_ENGINE_RETRIES + 1)):
            attempt = self.history.attempts.get((plan.key, plan.round), 0) + 1
            run = Run(
                key=plan.key, round=plan.round, order=plan.order, attempt=attempt, cells=cells, repeat=plan.repeat
            )
            called = title(run, self.history)
            runs.started(called)
            begin = time.monotonic()
            record = self._one(run, plan.failure)
            self.history.take(record)
            beside_s = max(0.0, time.monotonic() - begin - record.duration_ns / 1e9)
            runs.finished(f"{called}  {result(record, self.history)}", beside_s, self.left_s())
            failed = failures(record)
            if all(failure.reason is not Reason.ENGINE for failure in failed.values()):
                # An invalid run spoils its round: the strategy says how it goes on.
                return not failed and not (record.invalid and run.round > 0)
            if not retries_left or plan.failure is not None:
                # Where the engine is gone for good, every further run would say the same.
                self.setting.engine.facts()
                return False
            if self.interrupts.stop.is_set():
                return False
            # The engine went away or refused: once more in a new container, then it is a result.
            cells = tuple(cell for cell in cells if cell.id in failed)
            runs.add(1)
        return False

    def _one(self, run: Run, failure: Failure | None) -> Record:
        if failure is not None:
            with self.interrupts.during_run():
                return self.store(failed_without_container(run, failure, self.setting))
        self._warm_page_cache(run)
        cell, placed = run.cells[0], self.history.placed.get(run.key)
        resident = resident_bytes(cell, self.setting.prepared.model(cell), placed)
        beside = [replace(cell, model=name) for name in cell.beside]
        resident += sum(resident_bytes(each, self.setting.prepared.model(each), None) for each in beside)
        with powered(cell, self.setting) as checked, self._watching(cell) as sampler:
            gate = self.setting.gate(sampler.latest if sampler else tuple, resident)
            with self.interrupts.during_run():
                record = run_once(
                    run,
                    self.setting,
                    gate=gate,
                    timeouts=self.timeouts,
                    cancel=self.interrupts.cancel,
                    sampler=sampler,
                    placed=placed,
                    repetitions=sustained_repetitions(run, self.history, fewest=self.setting.repetitions),
                )
                return self.store(checked(record))

    def _watching(self, cell: Cell) -> AbstractContextManager[Sampler | None]:
        """Looks at the devices of a run from before its gate to its end."""
        watch = self.setting.watch
        return watch.during(self.setting.prepared.target(cell).devices) if watch else nullcontext()

    def _warm_page_cache(self, run: Run) -> None:
        """Read the model once in each start: a campaign that is continued has its warm-up round behind it.

        A cell that measures a cold start has it dropped instead, and read again by whoever comes next.
        """
        path = self.setting.prepared.model(run.cells[0]).path
        if run.cells[0].test.cold:
            drop(path)
            self._read.discard(path)
            return
        if path not in self._read and run.round > 0:
            read_through(path)
        self._read.add(path)
