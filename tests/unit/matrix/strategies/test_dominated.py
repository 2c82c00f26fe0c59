from dataclasses import replace

import pytest

from harness.matrix.strategies.dominated import SkipDominated, dominates
from harness.matrix.strategies.rounds import Rounds, fixed
from harness.store.history import History
from harness.values.cell import Cell, ParameterValue, Test
from harness.values.failure import Failure, Phase, Reason
from harness.values.plan import Group
from harness.values.record import Outcome


def cell(test: Test, *, label: str = "", model: str = "m", **params: ParameterValue) -> Cell:
    everything = {"n_batch": 2048, "n_ubatch": 512, "flash_attn": 0, **params}
    marks = ",".join(f"{name}{value}" for name, value in params.items())
    identity = f"cuda/{model}/{test.name}/{marks}#{label}"
    return Cell(id=identity, label=label, backend="cuda", image="cuda", model=model, params=everything, test=test)


SMALL = cell(Test(n_gen=128, n_depth=4096))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (cell(Test(n_gen=128, n_depth=8192)), True),
        (cell(Test(n_prompt=512, n_depth=4096)), True),
        (cell(Test(n_gen=128, n_depth=8192), label="b"), True),
        (cell(Test(n_gen=128, n_depth=4096), n_batch=4096), True),
        (cell(Test(n_gen=128, n_depth=4096), n_ubatch=1024), True),
        (cell(Test(n_gen=128, n_depth=4096), label="b"), False),
        (cell(Test(n_gen=128, n_depth=2048)), False),
        (cell(Test(n_gen=128, n_depth=8192), n_ubatch=256), False),
        (cell(Test(n_gen=128, n_depth=8192), flash_attn=1), False),
        (cell(Test(n_gen=128, n_depth=8192), model="other"), False),
    ],
    ids=lambda value: value.id if isinstance(value, Cell) else None,
)
def test_a_cell_dominates_what_needs_more_in_some_way_and_less_in_none(other: Cell, expected: bool) -> None:
    assert dominates(SMALL, other) is expected


@pytest.mark.parametrize(
    "larger",
    [
        {"measurement": "quality"},
        {"measurement": "latency", "n_parallel": 32},
        {"measurement": "latency", "draft": "small"},
        {"measurement": "quality", "against": "f16"},
    ],
    ids=str,
)
def test_another_program_shows_nothing_of_what_llama_bench_needs(larger: dict[str, str | int]) -> None:
    other = cell(Test(n_prompt=512, **larger))
    assert not dominates(other, cell(Test(n_prompt=2048)))
    assert dominates(other, replace(other, test=replace(other.test, n_prompt=2048)))


def test_more_requests_at_once_need_more_and_fewer_longer_ones_are_not_known() -> None:
    four = cell(Test(n_prompt=512, n_gen=64, measurement="latency", n_parallel=4))
    assert dominates(four, replace(four, test=replace(four.test, n_parallel=8)))
    assert not dominates(four, replace(four, test=replace(four.test, n_parallel=1, n_prompt=8192)))


def failed(reason: Reason) -> Outcome:
    return Outcome(cell="x", failure=Failure(phase=Phase.LOAD, reason=reason, detail="d"))


def skipping(*cells: Cell) -> SkipDominated:
    groups = tuple(Group(cells=(c,), key=c.id) for c in cells)
    return SkipDominated(Rounds(groups=groups, order=lambda _round: range(len(groups)), wanted=fixed(1)))


DEEP, SHALLOW = cell(Test(n_gen=128, n_depth=8192)), cell(Test(n_gen=128))


@pytest.mark.parametrize("reason", [Reason.OOM_DEVICE, Reason.OOM_HOST])
def test_what_is_dominated_is_planned_as_skipped(reason: Reason) -> None:
    history = History()
    history.outcomes[SMALL.id, SMALL.id, 0] = failed(reason)
    shallow, deep = skipping(SMALL, SHALLOW, DEEP).next(history)
    assert (shallow.cells, shallow.failure) == ((SHALLOW,), None)
    assert deep.failure is not None
    assert deep.failure.reason is Reason.SKIPPED_DOMINATED
    assert SMALL.id in deep.failure.detail


@pytest.mark.parametrize(("reason", "round_"), [(Reason.TIMEOUT, 0), (Reason.OOM_DEVICE, 1)])
def test_other_failures_and_later_rounds_skip_nothing(reason: Reason, round_: int) -> None:
    history = History()
    history.outcomes[SMALL.id, SMALL.id, 0] = Outcome(cell=SMALL.id, samples_ns=(1,))
    history.outcomes[SMALL.id, SMALL.id, round_] = failed(reason)
    assert [planned.failure for planned in skipping(SMALL, SHALLOW, DEEP).next(history)] == [None, None]


def test_the_cells_of_one_run_are_parted() -> None:
    history = History()
    history.outcomes[SMALL.id, SMALL.id, 0] = failed(Reason.OOM_DEVICE)
    groups = (Group(cells=(SMALL,), key=SMALL.id), Group(cells=(SHALLOW, DEEP), key="both"))
    strategy = SkipDominated(Rounds(groups=groups, order=lambda _round: range(2), wanted=fixed(1)))
    first, second = strategy.next(history)
    assert (first.cells, second.cells) == ((SHALLOW,), (DEEP,))
    assert first.key == second.key == "both"
