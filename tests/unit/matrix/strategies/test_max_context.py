"""The search for the largest context, against made-up memories."""

from dataclasses import replace

import pytest

from harness.matrix.strategies.dominated import SkipDominated
from harness.matrix.strategies.max_context import GRAIN, RESOLUTION, MaxContext, bisect_context, needs_more
from harness.matrix.strategies.rounds import Rounds, fixed
from harness.store.history import History
from harness.values.cell import Cell, Test
from harness.values.failure import Failure, Phase, Reason
from harness.values.measurement import CONTEXT
from harness.values.plan import Group
from harness.values.record import Outcome

PARAMS = {"n_batch": 2048, "n_ubatch": 512, "type_k": "f16", "type_v": "f16", "flash_attn": 1}
OUT = Failure(phase=Phase.LOAD, reason=Reason.OOM_DEVICE, detail="no memory")


def search(n_prompt: int = 0, **params) -> Group:
    test = Test(n_prompt=n_prompt, measurement=CONTEXT)
    identity = "cuda/m/" + test.name + "".join(f",{k}{v}" for k, v in params.items())
    cell = Cell(id=identity, backend="cuda", image="cuda", model="m", params={**PARAMS, **params}, test=test)
    return Group(cells=(cell,), key=identity)


def strategy(*groups: Group, limit: int = 131072, rounds: int = 2) -> MaxContext:
    def rest(groups):
        return SkipDominated(Rounds(groups=groups, order=lambda _r: range(len(groups)), wanted=fixed(rounds)))

    return MaxContext(groups, limits={g.cells[0].id: limit for g in groups}, rest=rest)


def play(strategy: MaxContext, memory, history: History | None = None) -> tuple[History, list[tuple[int, Cell]]]:
    """Make every run that is wanted: `memory(cell)` says how large a context of a cell may be, or how it fails."""
    history, made = history or History(), []
    while planned := strategy.next(history):
        for plan in planned:
            for cell in plan.cells:
                made.append((plan.round, cell))
                room = memory(cell)
                failure = plan.failure or (
                    room if isinstance(room, Failure) else OUT if cell.test.n_prompt > room else None
                )
                place = (plan.key, cell.id, plan.round)
                history.outcomes[place] = Outcome(cell=cell.id, failure=failure, samples_ns=() if failure else (1,))
                history.tried.add(place)
                history.last_round = max(history.last_round, plan.round)
        assert len(made) < 100, "it does not end"
    return history, made


@pytest.mark.parametrize("room", [GRAIN, 300, 1000, 4096, 5000, 33333, 100_000, 131_071])
def test_it_ends_close_below_what_there_is_room_for(room: int) -> None:
    known: dict[int, bool] = {}
    while (step := bisect_context(131072, known)).next is not None:
        assert step.next not in known, "nothing is tried twice"
        known[step.next] = step.next <= room
    assert step.fits is not None
    assert step.fits <= room
    assert step.too_much is not None
    assert step.too_much - step.fits <= max(GRAIN, step.fits // RESOLUTION)
    assert len(known) <= 16


def test_what_does_not_fit_beside_another_model_says_nothing_of_the_model_alone() -> None:
    alone = search()
    beside = replace(alone.cells[0], id="cuda/m/ctx/beside", beside=("big",))
    crowded = Group(cells=(beside,), key=beside.id)
    history, _ = play(strategy(crowded, alone, limit=8192), lambda cell: 2048 if cell.beside else 8192)
    found = {cell.id: cell.test.n_prompt for plan in [strategy(crowded, alone, limit=8192)._after(history)]
             for group in plan.groups for cell in group.cells}  # fmt: skip
    assert found == {beside.id: 2048, alone.cells[0].id: 8192}


def test_the_limit_itself_is_tried_first_and_ends_the_search() -> None:
    assert bisect_context(8192, {}).next == 8192
    step = bisect_context(8192, {8192: True})
    assert (step.next, step.fits, step.too_much) == (None, 8192, None)


def test_what_is_found_is_measured_under_the_id_of_the_plan() -> None:
    group = search()
    history, made = play(strategy(group), lambda _cell: 20_000)
    counted = [(round_, cell) for round_, cell in made if cell.id == group.cells[0].id]
    assert [round_ for round_, _ in counted] == [0, 1, 2]
    (context,) = {cell.test.n_prompt for _, cell in counted}
    assert 20_000 / (1 + 1 / RESOLUTION) - GRAIN <= context <= 20_000
    assert strategy(group).lacking(history) == ()
    trials = [cell for _, cell in made if cell.id != group.cells[0].id]
    assert {cell.planned_id for cell in trials} == {group.cells[0].id}


def test_a_start_that_was_interrupted_goes_on_where_it_was() -> None:
    group = search()
    _, whole = play(strategy(group), lambda _cell: 20_000)
    history = History()
    for _, cell in whole[:4]:
        failure = OUT if cell.test.n_prompt > 20_000 else None
        history.outcomes[group.key, cell.id, 0] = Outcome(cell=cell.id, failure=failure, samples_ns=())
    _, rest = play(strategy(group), lambda _cell: 20_000, history)
    assert [cell.id for _, cell in rest] == [cell.id for _, cell in whole[4:]]


def test_what_needs_more_is_not_tried_where_less_was_too_much() -> None:
    small, large = search(type_k="q8_0", type_v="q8_0"), search()
    _, made = play(strategy(small, large), lambda cell: 40_000 if cell.params["type_k"] == "q8_0" else 21_000)
    too_much = min(c.test.n_prompt for _, c in made if c.params["type_k"] == "q8_0" and c.test.n_prompt > 40_000)
    tried = [c.test.n_prompt for _, c in made if c.params["type_k"] == "f16"]
    assert tried
    assert max(tried) < too_much
    assert not needs_more(large.cells[0], small.cells[0])
    assert not needs_more(small.cells[0], replace(large.cells[0], model="other"))


def test_not_even_the_least_is_a_failure_and_lacks() -> None:
    group = search()
    history, made = play(strategy(group), lambda _cell: 0)
    assert strategy(group).lacking(history) == (group.cells[0].id,)
    failure = history.outcomes[group.key, group.cells[0].id, 0].failure
    assert failure is not None
    assert failure.reason is Reason.OOM_DEVICE
    assert "not even a context of 256 tokens fits" in failure.detail
    assert [round_ for round_, cell in made if cell.id == group.cells[0].id] == [0]


def test_another_failure_ends_the_search_and_is_told() -> None:
    crash = Failure(phase=Phase.RUN, reason=Reason.CRASH, detail="SIGSEGV")
    group = search()
    history, made = play(strategy(group), lambda _cell: crash)
    assert len(made) == 2
    assert history.outcomes[group.key, group.cells[0].id, 0].failure == crash


def test_a_run_whose_weights_did_not_stay_in_memory_does_not_fit() -> None:
    group, history = search(), History()
    (first,) = strategy(group).next(history)
    (cell,) = first.cells
    history.outcomes[group.key, cell.id, 0] = Outcome(cell=cell.id, samples_ns=(1,))
    history.thrashed.add((group.key, cell.id, 0))
    (second,) = strategy(group).next(history)
    assert second.cells[0].test.n_prompt < cell.test.n_prompt


def test_the_file_may_ask_for_less_than_the_model_was_trained_for() -> None:
    (planned,) = strategy(search(n_prompt=5000)).next(History())
    assert planned.cells[0].test.n_prompt == 4864
    (planned,) = strategy(search(), limit=100).next(History())
    assert planned.cells[0].test.n_prompt == 100
