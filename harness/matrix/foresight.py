"""How long the runs take that are ahead: as they took before; what was never made, as `invoke plan` has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.matrix.estimate import ModelSize, run_seconds
from harness.stats.intervals import rate, run_value
from harness.store.history import History
from harness.values.cell import Cell
from harness.values.plan import Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What is known before the first run.

    Attributes:
        repetitions: of a counted run; the warm-up makes one of each test.
        sizes: of the models by name; may lack some.
        rates: tokens per second by cell id, as measured before under whatever key.
    """

    repetitions: int
    sizes: Mapping[str, ModelSize] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)

    def seconds(self, ahead: Iterable[Planned], history: History) -> float:
        """Of all these runs, without waiting for a quiet machine. One of which nothing is known is like those made."""
        mean_s = history.containers_s / history.records if history.records else 0.0
        total_s = 0.0
        for planned in ahead:
            if planned.failure is None:
                found = self._run_s(planned, history)
                total_s += mean_s if found is None else found
        return total_s

    def _run_s(self, planned: Planned, history: History) -> float | None:
        key, cells, counted = planned.key, planned.cells, planned.round > 0
        repetitions = self.repetitions if counted else 1
        before_s = (
            counted_run_s(key, cells, history, repetitions=repetitions) if counted else took(key, cells, history, 0)
        )
        size = self.sizes.get(cells[0].model)
        if before_s is not None or size is None:
            return before_s
        return sum(run_seconds(cells, size, repetitions=repetitions, counted=counted, rates=self.rates).values())


def counted_run_s(key: str, cells: Sequence[Cell], history: History, *, repetitions: int) -> float | None:
    """What a counted run takes: as the last one did; before there is one, from its warm-up; None before that.

    Other groups can have the same key: a depth has a container of its own.
    """
    for round_ in range(history.last_round, 0, -1):
        if (took_s := took(key, cells, history, round_)) is not None:
            return took_s
    took_s = took(key, cells, history, 0)
    if took_s is None:
        return None
    for cell in cells:
        outcome = history.outcomes.get((key, cell.id, 0))
        if outcome is not None and outcome.samples_ns:
            sample_s = outcome.samples_ns[0] / 1e9
            took_s += max((repetitions - 1) * sample_s, cell.test.sustained_s - sample_s)
    return took_s


def took(key: str, cells: Sequence[Cell], history: History, round_: int) -> float | None:
    """What the run of these cells took in a round; None where none was made."""
    found = (history.durations_s.get((key, cell.id, round_)) for cell in cells)
    return max((took_s for took_s in found if took_s is not None), default=None)


def measured_rates(cells: Iterable[Cell], history: History) -> dict[str, float]:
    """Tokens per second by cell id, of the newest counted run that has some, whatever image or model it was with."""
    known = {cell.id: cell for cell in cells}
    return {
        cell: rate(run_value(outcome.samples_ns, n_tokens=known[cell].test.n_tokens))
        for (_, cell, round_), outcome in history.outcomes.items()
        if round_ > 0 and outcome.ok and outcome.samples_ns and cell in known and known[cell].test.n_tokens
    }
