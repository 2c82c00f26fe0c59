"""`--budget 30m`: as many whole rounds as fit into a time, by what the runs so far took."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.errors import InputError
from harness.matrix.foresight import counted_run_s, took
from harness.matrix.strategies.rounds import Wanted
from harness.store.history import History
from harness.values.plan import Group

SHARE_KEPT = 0.05
"""Of the budget, for what does not come as foreseen."""


MOST = 1000
"""As many rounds as a matrix file can ask for."""


class Budget:
    """Rounds that fit: at least those of the preset, at most those that another rule wants.

    Args:
        budget_s: for everything, the warm-up included.
        elapsed_s: since the start of the first run.
        fewest: rounds without which there is no result; they are completed even if they take longer than foreseen.
        most: a rule that may want fewer rounds than fit, such as `until`; None for no limit.
        repetitions: of a counted run; the warm-up makes one of each test.
    """

    def __init__(
        self,
        *,
        budget_s: float,
        elapsed_s: Callable[[], float],
        groups: Sequence[Group],
        fewest: int,
        repetitions: int,
        most: Wanted | None = None,
    ) -> None:
        self.budget_s = budget_s
        self.elapsed_s = elapsed_s
        self.groups = tuple(group for group in groups if group.failure is None)
        self.fewest = fewest
        self.repetitions = repetitions
        self.most = most
        self._planned = 0
        self._checked = False
        self._fit, self._seen = fewest, -1
        self._before = 0, 0.0

    def __call__(self, group: Group, history: History) -> int:
        """The rounds that fit by what is known now; those of the preset until the warm-up has told more.

        Raises:
            InputError: after the warm-up it is clear that not even the rounds of the preset fit.
        """
        if self._seen < 0:
            self._before = history.records, history.containers_s
        if self._seen != history.records:
            self._fit, self._seen = self.fitting(history), history.records
        fit = self._fit
        return fit if self.most is None else min(fit, self.most(group, history))

    def fitting(self, history: History) -> int:
        """Whole rounds that fit for all groups together."""
        runnable = [g for g in self.groups if any(not history.lasting_failure(g.key, c.id, 0) for c in g.cells)]
        if not runnable or any(took(group.key, group.cells, history, 0) is None for group in runnable):
            return self.fewest
        begun = history.last_round
        complete = min(_complete(group, history, begun) for group in runnable)
        if begun > complete:
            # In the middle of a round nothing is decided.
            return max(begun, self._planned, self.fewest)
        round_s = sum(self._run_s(group, history) for group in runnable) + len(runnable) * self._between_s(history)
        left_s = (1 - SHARE_KEPT) * self.budget_s - self.elapsed_s()
        self._planned = min(MOST, complete + max(0, int(left_s / round_s))) if round_s else MOST
        if not self._checked and self._planned < self.fewest:
            self._refuse(round_s, complete)
        self._checked = True
        self._planned = max(self._planned, self.fewest)
        return self._planned

    def _run_s(self, group: Group, history: History) -> float:
        return counted_run_s(group.key, group.cells, history, repetitions=self.repetitions) or 0.0

    def _between_s(self, history: History) -> float:
        """What a run takes beside its container, the waiting for a quiet machine above all: the mean of this start."""
        records, containers_s = self._before
        made = history.records - records
        return max(0.0, self.elapsed_s() - (history.containers_s - containers_s)) / made if made else 0.0

    def _refuse(self, round_s: float, complete: int) -> None:
        missing, fit = self.fewest - complete, self._planned - complete
        needed_s = (self.elapsed_s() + missing * round_s) / (1 - SHARE_KEPT)
        more = "more " if complete else ""
        raise InputError(
            f"{missing} {more}rounds of about {round_s:.0f} s do not fit into {self.budget_s / 60:.3g} minutes; "
            + (f"{fit} would fit" if fit else "not one would fit"),
            where="--budget",
            remedy=f"Give --budget {_minutes(needed_s)}m, a preset with fewer rounds, or fewer cells by --only. "
            "What was run so far is recorded and is not made again.",
        )


def _complete(group: Group, history: History, begun: int) -> int:
    """The last round up to which every round of the group is settled."""
    cells = [cell for cell in group.cells if history.lasting_failure(group.key, cell.id, 0) is None]
    for round_ in range(1, begun + 1):
        if not all(history.settled(group.key, cell.id, round_) for cell in cells):
            return round_ - 1
    return begun


def _minutes(seconds: float) -> int:
    return int(seconds // 60) + 1
