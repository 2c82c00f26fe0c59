"""The time that is left is what `plan` says, until the runs themselves say it."""

import pytest

from harness.matrix.estimate import ModelSize, estimate
from harness.matrix.foresight import Foresight, counted_run_s, measured_rates
from harness.matrix.strategies import Strategy
from harness.matrix.strategies.max_context import MaxContext
from harness.matrix.strategies.rounds import Rounds, fixed
from harness.store.history import History
from harness.values.cell import Cell, Test
from harness.values.measurement import CONTEXT
from harness.values.plan import Group
from harness.values.record import Outcome

SIZES = {"m": ModelSize(n_params=1_000_000_000, size_bytes=600_000_000, attention_flops=1e6)}
FORESIGHT = Foresight(repetitions=5, sizes=SIZES)


def group(name: str, test: Test) -> Group:
    cell = Cell(id=name, backend="cpu", image="cpu", model="m", params={"n_threads": 2}, test=test)
    # Two depths of one setting have one key.
    return Group(cells=(cell,), key="key")


SHALLOW, DEEP = group("pp16", Test(n_prompt=16)), group("pp16@d100000", Test(n_prompt=16, n_depth=100_000))


def rounds(*groups: Group) -> Strategy:
    return Rounds(groups=groups, order=lambda _round: range(len(groups)), wanted=fixed(6))


def planned_s(*groups: Group) -> float:
    return estimate(tuple(g.cells for g in groups), sizes=SIZES, rounds=6, repetitions=5).seconds


def made(history: History, of: Group, round_: int, seconds: float, sample_s: float = 0.1) -> None:
    (cell,) = of.cells
    history.durations_s[of.key, cell.id, round_] = seconds
    history.outcomes[of.key, cell.id, round_] = Outcome(cell=cell.id, samples_ns=(int(sample_s * 1e9),))
    history.last_round = max(history.last_round, round_)
    history.records += 1
    history.containers_s += seconds


def left_s(strategy: Strategy, history: History) -> float:
    return FORESIGHT.seconds(strategy.ahead(history), history)


def test_before_the_first_run_it_is_what_plan_says() -> None:
    assert left_s(rounds(SHALLOW, DEEP), History()) == pytest.approx(planned_s(SHALLOW, DEEP))
    assert planned_s(DEEP) > 1000 * planned_s(SHALLOW) / 100


def test_a_short_run_says_nothing_of_a_deep_one() -> None:
    history = History()
    made(history, SHALLOW, 0, 16.0)
    # Six rounds of the short one, each with four samples more than its warm-up, and all of the deep one.
    assert left_s(rounds(SHALLOW, DEEP), history) == pytest.approx(6 * 16.4 + planned_s(DEEP))


def test_what_ran_is_foreseen_by_its_own_runs() -> None:
    history = History()
    made(history, SHALLOW, 0, 16.0)
    made(history, DEEP, 0, 600.0, sample_s=1.0)
    assert left_s(rounds(SHALLOW, DEEP), history) == pytest.approx(6 * 16.4 + 6 * 604)
    made(history, DEEP, 1, 700.0)
    assert left_s(rounds(SHALLOW, DEEP), history) == pytest.approx(6 * 16.4 + 5 * 700)


def test_a_search_is_planned_as_one_trial_and_no_more_before_one_failed() -> None:
    search = group("ctx", Test(n_prompt=32768, measurement=CONTEXT))
    strategy = MaxContext((search,), limits={"ctx": 32768}, rest=lambda groups: rounds(*groups))
    assert left_s(strategy, History()) == pytest.approx(planned_s(search))


def test_where_nothing_is_known_of_a_model_its_runs_are_like_those_made() -> None:
    history = History()
    made(history, SHALLOW, 0, 10.0)
    made(history, SHALLOW, 1, 20.0)
    blind = Foresight(repetitions=5)
    assert blind.seconds(rounds(DEEP).ahead(history), history) == pytest.approx(7 * 15)
    assert blind.seconds(rounds(DEEP).ahead(History()), History()) == 0


def test_a_sustained_test_takes_its_time_in_the_rounds() -> None:
    history, long = History(), group("long", Test(n_gen=128, sustained_s=600))
    made(history, long, 0, 12.0, sample_s=10.0)
    assert counted_run_s(long.key, long.cells, history, repetitions=5) == pytest.approx(12 + 590)


def test_rates_of_earlier_runs_serve_another_image() -> None:
    history = History()
    made(history, SHALLOW, 1, 20.0, sample_s=2.0)
    assert measured_rates(SHALLOW.cells + DEEP.cells, history) == {"pp16": pytest.approx(8.0)}
