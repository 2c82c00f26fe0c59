from harness.matrix.strategies.rounds import Rounds
from harness.matrix.strategies.until import Until, arms_together
from harness.store.history import History
from harness.values.cell import Cell, Test
from harness.values.failure import Failure, Phase, Reason
from harness.values.plan import Group
from harness.values.record import Outcome


def group(key: str, *, label: str = "", model: str = "m") -> Group:
    cell = Cell(id=key, label=label, backend="cpu", image="cpu", model=model, test=Test(n_gen=1))
    return Group(cells=(cell,), key=key)


def measured(history: History, cell: str, rounds: range, *, scatter: float, key: str = "") -> None:
    for round_ in rounds:
        value = int(1e9 * (1 + scatter * (-1) ** round_))
        history.outcomes[key or cell, cell, round_] = Outcome(cell=cell, samples_ns=(value,))
        history.last_round = max(history.last_round, round_)


def rounds_of(history: History, *groups: Group) -> list[int]:
    until = Until(goal=0.01, groups=groups)
    return [until(each, history) for each in groups]


def test_each_cell_stops_by_itself() -> None:
    history, steady, wild = History(), group("steady"), group("wild")
    measured(history, "steady", range(9), scatter=0.001)
    measured(history, "wild", range(9), scatter=0.2)
    assert rounds_of(history, steady, wild) == [8, 12]


def test_a_depth_is_not_stopped_by_the_interval_of_another() -> None:
    history, wild, steady = History(), group("wild"), group("steady")
    # Depths of one setting have runs of one key.
    groups = tuple(Group(cells=each.cells, key="same") for each in (wild, steady))
    measured(history, "wild", range(9), scatter=0.2, key="same")
    measured(history, "steady", range(9), scatter=0.001, key="same")
    assert rounds_of(history, *groups) == [12, 8]


def test_arms_stop_together() -> None:
    history, steady, wild = History(), group("steady", label="a"), group("wild", label="b")
    measured(history, "steady", range(9), scatter=0.001)
    measured(history, "wild", range(9), scatter=0.2)
    assert rounds_of(history, steady, wild) == [12, 12]
    assert [len(block) for block in arms_together((steady, wild, group("x", label="c", model="n"), group("y")))] == [
        2,
        1,
        1,
    ]


def test_a_cell_that_failed_for_good_holds_nobody_up() -> None:
    history, steady, broken = History(), group("steady", label="a"), group("broken", label="b")
    measured(history, "steady", range(9), scatter=0.001)
    failure = Failure(phase=Phase.LOAD, reason=Reason.LOAD, detail="d")
    history.outcomes["broken", "broken", 0] = Outcome(cell="broken", failure=failure)
    assert rounds_of(history, steady, broken) == [8, 8]


def test_the_rounds_go_on_where_one_is_too_wide() -> None:
    history, steady, wild = History(), group("steady"), group("wild")
    groups = (steady, wild)
    strategy = Rounds(groups=groups, order=lambda _r: range(2), wanted=Until(goal=0.01, groups=groups))
    assert len(strategy.ahead(history)) == 18
    measured(history, "steady", range(9), scatter=0.001)
    measured(history, "wild", range(9), scatter=0.2)
    assert [(planned.key, planned.round) for planned in strategy.next(history)] == [("wild", 9)]
    assert len(strategy.ahead(history)) == 4
    measured(history, "wild", range(9, 21), scatter=0.2)
    assert strategy.next(history) == ()
    assert strategy.lacking(history) == ()
