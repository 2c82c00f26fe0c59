import pytest

from harness.errors import InputError
from harness.matrix.strategies.budget import Budget
from harness.store.history import History
from harness.values.cell import Cell, Test
from harness.values.plan import Group
from harness.values.record import Outcome

CELLS = tuple(Cell(id=f"c{i}", backend="cpu", image="cpu", model="m", test=Test(n_gen=8)) for i in range(2))
GROUPS = tuple(Group(cells=(cell,), key=cell.id) for cell in CELLS)


class Clock:
    """Time that passes as runs are made."""

    def __init__(self, budget_s: float, fewest: int = 6, repetitions: int = 5) -> None:
        self.now = 0.0
        self.history = History()
        self.budget = Budget(
            budget_s=budget_s, elapsed_s=lambda: self.now, groups=GROUPS, fewest=fewest, repetitions=repetitions
        )

    def made(self, round_: int, seconds: float, *, groups: tuple[Group, ...] = GROUPS, sample_s: float = 0.0) -> None:
        for group in groups:
            self.now += seconds
            self.history.records += 1
            self.history.containers_s += seconds
            self.history.last_round = max(round_, self.history.last_round)
            self.history.durations_s.update({(group.key, cell.id, round_): seconds for cell in group.cells})
            outcome = Outcome(cell=group.key, samples_ns=(int(sample_s * 1e9) or 1,))
            self.history.outcomes[group.key, group.key, round_] = outcome

    def rounds(self) -> int:
        return self.budget(GROUPS[0], self.history)


def test_before_the_warm_up_those_of_the_preset_are_planned() -> None:
    assert Clock(10.0).rounds() == 6


def test_a_run_is_foreseen_from_the_warm_up() -> None:
    # A warm-up run of 10 s with a sample of 5 s in it: a run of five repetitions takes 30 s, a round 60 s.
    clock = Clock(1200.0)
    clock.made(0, 10.0, sample_s=5.0)
    assert clock.rounds() == int((0.95 * 1200 - 20) / 60) == 18


def test_it_is_planned_anew_after_each_round() -> None:
    clock = Clock(1200.0)
    clock.made(0, 10.0, sample_s=5.0)
    clock.made(1, 60.0)
    assert clock.rounds() == 1 + int((0.95 * 1200 - 140) / 120) == 9


def test_in_the_middle_of_a_round_nothing_is_decided() -> None:
    clock = Clock(1200.0)
    clock.made(0, 10.0, sample_s=5.0)
    assert clock.rounds() == 18
    clock.made(1, 600.0, groups=GROUPS[:1])
    assert clock.rounds() == 18


def test_the_rounds_of_the_preset_are_completed_even_if_they_take_longer() -> None:
    clock = Clock(1200.0)
    clock.made(0, 10.0, sample_s=5.0)
    assert clock.rounds() == 18
    clock.made(1, 600.0)
    assert clock.rounds() == 6


def test_too_little_is_refused_after_the_warm_up_with_what_would_fit() -> None:
    clock = Clock(300.0)
    clock.made(0, 10.0, sample_s=5.0)
    with pytest.raises(InputError, match=r"6 rounds of about 60 s do not fit into 5 minutes; 4 would fit") as caught:
        clock.rounds()
    assert "--budget 7m" in caught.value.remedy


def test_what_an_earlier_start_made_counts() -> None:
    clock = Clock(300.0)
    for round_ in range(4):
        clock.made(round_, 30.0)
    clock.now = 0.0
    assert clock.rounds() == 3 + int(0.95 * 300 / 60) == 7


def test_what_runs_take_beside_their_containers_is_foreseen_too() -> None:
    clock = Clock(1200.0)
    assert clock.rounds() == 6
    clock.made(0, 10.0, sample_s=5.0)
    # The gate waited for 15 s before each of the two runs.
    clock.now += 30.0
    assert clock.rounds() == int((0.95 * 1200 - 50) / (60 + 30)) == 12


def test_another_rule_may_want_fewer() -> None:
    clock = Clock(1200.0)
    clock.budget.most = lambda _group, _history: 12
    clock.made(0, 10.0, sample_s=5.0)
    assert clock.rounds() == 12


def test_depths_that_share_a_key_are_foreseen_each_by_its_own_runs() -> None:
    # Tests are not in a run's key: the deep one and the flat one have the same, and containers of their own.
    groups = tuple(Group(cells=(cell,), key="same") for cell in CELLS)
    history = History()
    history.records, history.containers_s, history.last_round = 2, 110.0, 1
    for round_ in (0, 1):
        for cell, seconds in zip(CELLS, (100.0, 10.0), strict=True):
            history.durations_s["same", cell.id, round_] = seconds
            history.outcomes["same", cell.id, round_] = Outcome(cell=cell.id, samples_ns=(1,))
    budget = Budget(budget_s=2000.0, elapsed_s=lambda: 0.0, groups=groups, fewest=2, repetitions=5)
    assert budget(groups[0], history) == 1 + int(0.95 * 2000 / 110) == 18
