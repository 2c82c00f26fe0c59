from dataclasses import replace

import pytest

from harness.engine.replay import scripted
from harness.errors import EngineError
from harness.flows.console import duration
from harness.flows.interrupts import Interrupts
from harness.matrix.estimate import ModelSize, estimate
from harness.values.cell import Test
from harness.values.failure import RETRIED_ON_RESUME, Failure, Phase, Reason
from harness.values.record import Outcome, Record, Run, Violation

ENGINE_GONE = replace(scripted(exit_code=None), error="the engine went away during the run: EOF", error_phase="wait")
MODEL_BROKEN = replace(scripted(stderr="llama_model_load: error loading model: x\nfailed to load model"), exit_code=1)


def stop_after(count: int):
    """Sets the user's wish to stop with the given record."""
    left = count

    def on_record(_record: Record, interrupts: Interrupts) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            interrupts.stop.set()

    return on_record


def with_reason(record: Record, reason: Reason) -> Record:
    failure = Failure(phase=Phase.RUN, reason=reason, detail="made up")
    return replace(record, outcomes=tuple(Outcome(cell=o.cell, failure=failure) for o in record.outcomes))


def test_rounds_follow_each_other_and_each_has_its_own_order(campaigning, pp, tg) -> None:
    # Three groups, since they differ in label; the order of round 2 is turned around.
    made = campaigning(
        cells=(pp(8, label="a"), pp(8, label="b"), tg(4, label="c")),
        rounds=2,
        order=lambda n, round_: range(n) if round_ != 2 else reversed(range(n)),
    )
    made.go()
    labels = [(r.run.round, r.run.order, r.run.cells[0].label) for r in made.records]
    assert labels == [
        (0, 0, "a"), (0, 1, "b"), (0, 2, "c"),
        (1, 0, "a"), (1, 1, "b"), (1, 2, "c"),
        (2, 0, "c"), (2, 1, "b"), (2, 2, "a"),
    ]  # fmt: skip


def test_a_second_start_has_nothing_to_do(campaigning, pp, tg) -> None:
    made = campaigning(cells=(pp(8), tg(4)), rounds=2)
    made.go()
    before = list(made.records)
    engine = made.go()
    assert made.records == before
    assert engine.started == []


def test_a_start_that_was_stopped_is_continued_where_it_stopped(campaigning, pp, tg) -> None:
    made = campaigning(cells=(pp(8, label="a"), tg(4, label="b")), rounds=2)
    made.go(on_record=stop_after(3))
    assert len(made.records) == 3
    made.go()
    names = [(r.run.key, r.run.round, r.run.attempt) for r in made.records]
    assert len(names) == len(set(names)) == 6
    assert {attempt for _, _, attempt in names} == {1}


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.SKIPPED_DOMINATED])
def test_only_reasons_outside_of_the_cell_are_tried_again_by_the_next_start(campaigning, pp, reason: Reason) -> None:
    made = campaigning(cells=(pp(8),), rounds=2)
    made.go()
    made.records[1] = with_reason(made.records[1], reason)
    engine = made.go()
    again = reason in RETRIED_ON_RESUME
    assert len(engine.started) == again
    if again:
        assert made.runs()[-1] == (1, 2, ("pp8",))


def test_a_lasting_failure_in_the_warm_up_is_not_tried_in_later_rounds(campaigning, pp, tg) -> None:
    made = campaigning(cells=(pp(8), tg(4)), rounds=3)
    made.bench.kills["tg4"] = {"exit_code": 134}
    made.go()
    assert made.reasons() == {"cpu/gemma/pp8": ["ok"] * 4, "cpu/gemma/tg4": ["abort"]}
    assert made.runs()[1:] == [(1, 1, ("pp8",)), (2, 1, ("pp8",)), (3, 1, ("pp8",))]


def test_a_passing_failure_in_the_warm_up_does_not_stop_later_rounds(campaigning, pp) -> None:
    made = campaigning(cells=(pp(8),), rounds=1)
    made.bench.ends.append(replace(scripted(exit_code=137), cancelled=True))
    made.go()
    assert made.reasons() == {"cpu/gemma/pp8": ["interrupted", "ok"]}


class TestACellThatKillsItsRun:
    def test_costs_only_itself(self, campaigning, pp, tg) -> None:
        made = campaigning(cells=(pp(8), pp(16), tg(4), tg(8)), rounds=0)
        made.bench.kills["pp16"] = {"exit_code": 139}
        made.go()
        assert made.runs() == [(0, 1, ("pp8", "pp16", "tg4", "tg8")), (0, 2, ("tg4", "tg8"))]
        last = {outcome.cell: outcome for record in made.records for outcome in record.outcomes}
        assert [cell for cell, outcome in last.items() if not outcome.ok] == ["cpu/gemma/pp16"]
        assert last["cpu/gemma/pp16"].failure.reason is Reason.CRASH

    def test_is_not_tried_again_in_its_round(self, campaigning, pp, tg) -> None:
        made = campaigning(cells=(pp(8), tg(4)), rounds=0)
        made.bench.kills = {"pp8": {"exit_code": 134}, "tg4": {"exit_code": 139}}
        made.go()
        assert made.runs() == [(0, 1, ("pp8", "tg4")), (0, 2, ("tg4",))]
        assert made.reasons() == {"cpu/gemma/pp8": ["abort"], "cpu/gemma/tg4": ["abort", "crash"]}

    def test_the_rest_has_its_turn_even_if_the_user_stopped_in_between(self, campaigning, pp, tg) -> None:
        made = campaigning(cells=(pp(8), tg(4)), rounds=0)
        made.bench.kills["pp8"] = {"exit_code": 134}
        made.go(on_record=stop_after(1))
        assert made.reasons() == {"cpu/gemma/pp8": ["abort"], "cpu/gemma/tg4": ["abort"]}
        engine = made.go()
        assert len(engine.started) == 1
        assert made.reasons() == {"cpu/gemma/pp8": ["abort"], "cpu/gemma/tg4": ["abort", "ok"]}

    def test_costs_the_others_nothing_where_a_row_before_it_was_refused(self, campaigning, pp, tg) -> None:
        # pp8's row is there and contradicts the cell: that did not end the run, pp16 did.
        made = campaigning(cells=(pp(8), pp(16), tg(4)), rounds=0)
        made.bench.kills["pp16"] = {"exit_code": 134}
        made.bench.refused = "pp8"
        made.go()
        assert made.runs() == [(0, 1, ("pp8", "pp16", "tg4")), (0, 2, ("tg4",))]
        assert made.reasons() == {
            "cpu/gemma/pp8": ["wrong_parameters"],
            "cpu/gemma/pp16": ["abort"],
            "cpu/gemma/tg4": ["abort", "ok"],
        }


def test_what_fails_the_whole_run_fails_all_its_cells_once(campaigning, pp, tg) -> None:
    made = campaigning(cells=(pp(8), tg(4), pp(8, model="other")), rounds=1)
    made.bench.ends.append(MODEL_BROKEN)
    made.go()
    assert made.reasons() == {
        "cpu/gemma/pp8": ["load"],
        "cpu/gemma/tg4": ["load"],
        "cpu/other/pp8": ["ok", "ok"],
    }
    assert made.runs()[0] == (0, 1, ("pp8", "tg4"))


def test_an_option_that_the_build_does_not_know_is_asked_for_once(campaigning, pp, tg) -> None:
    made = campaigning(cells=(pp(8), tg(4)), rounds=1)
    made.bench.ends.append(scripted(stderr="error: invalid parameter for argument: -ctk", exit_code=1))
    made.go()
    assert made.reasons() == {"cpu/gemma/pp8": ["unsupported"], "cpu/gemma/tg4": ["unsupported"]}


class TestAnEngineThatFails:
    def test_gets_one_more_container(self, campaigning, pp) -> None:
        made = campaigning(cells=(pp(8),), rounds=0)
        made.bench.ends.append(ENGINE_GONE)
        engine = made.go()
        assert made.runs() == [(0, 1, ("pp8",)), (0, 2, ("pp8",))]
        assert made.reasons() == {"cpu/gemma/pp8": ["engine", "ok"]}
        assert len({spec.name for spec in engine.started}) == 2

    def test_is_then_a_recorded_failure_and_the_next_run_is_made(self, campaigning, pp, tg) -> None:
        made = campaigning(cells=(pp(8, label="a"), tg(4, label="b")), rounds=0)
        made.bench.ends.extend([ENGINE_GONE, ENGINE_GONE])
        made.go()
        assert made.reasons() == {"cpu/gemma/pp8#a": ["engine", "engine"], "cpu/gemma/tg4#b": ["ok"]}

    def test_does_not_cost_the_rows_that_were_printed(self, campaigning, pp, tg) -> None:
        made = campaigning(cells=(pp(8), tg(4)), rounds=0)
        made.bench.kills["tg4"] = {"exit_code": None, "error": ENGINE_GONE.error, "error_phase": "wait"}
        made.go()
        assert made.runs() == [(0, 1, ("pp8", "tg4")), (0, 2, ("tg4",))]
        assert made.reasons()["cpu/gemma/pp8"] == ["ok"]

    def test_ends_the_campaign_where_it_is_gone_for_good(self, campaigning, pp, tg) -> None:
        class Gone(campaigning.__dataclass_fields__["engine_class"].default):
            def facts(self):
                raise EngineError("the engine does not answer")

        made = campaigning(cells=(pp(8, label="a"), tg(4, label="b")), rounds=6, engine_class=Gone)
        made.bench.ends.extend([ENGINE_GONE] * 20)
        with pytest.raises(EngineError, match="does not answer"):
            made.go()
        assert made.runs() == [(0, 1, ("pp8",)), (0, 2, ("pp8",))]
        # The next start begins where it ended.
        made.bench.ends.clear()
        made.engine_class = type(made).__dataclass_fields__["engine_class"].default
        made.rounds = 0
        made.go()
        assert made.reasons() == {"cpu/gemma/pp8#a": ["engine", "engine", "ok"], "cpu/gemma/tg4#b": ["ok"]}


def test_a_stop_while_a_run_is_measured_lets_it_finish_and_starts_no_other(campaigning, pp, tg) -> None:
    made = campaigning(cells=(pp(8, label="a"), tg(4, label="b")), rounds=1)
    made.bench.seen = lambda _spec: made.last_interrupts.stop.set()
    engine = made.go()
    assert len(engine.started) == 1
    assert made.reasons() == {"cpu/gemma/pp8#a": ["ok"], "cpu/gemma/tg4#b": []}


def test_a_cancelled_run_is_recorded_and_made_again_by_the_next_start(campaigning, pp) -> None:
    made = campaigning(cells=(pp(8),), rounds=0)

    def cancel(_spec) -> None:
        made.last_interrupts.stop.set()
        made.last_interrupts.cancel.set()

    made.bench.seen = cancel
    made.go()
    assert made.reasons() == {"cpu/gemma/pp8": ["interrupted"]}
    made.bench.seen = lambda _spec: None
    made.go()
    assert made.runs() == [(0, 1, ("pp8",)), (0, 2, ("pp8",))]
    assert made.reasons() == {"cpu/gemma/pp8": ["interrupted", "ok"]}


def test_there_is_one_record_for_each_key_round_and_attempt(campaigning, pp, tg) -> None:
    made = campaigning(cells=(pp(8), pp(16), tg(4), tg(4, label="a"), pp(8, model="other")), rounds=2)
    made.bench.kills["pp16"] = {"exit_code": 134}
    made.bench.ends.append(ENGINE_GONE)
    for count in (2, 1, 3, 99):
        made.go(on_record=stop_after(count))
    names = [(r.run.key, r.run.round, r.run.attempt) for r in made.records]
    assert len(names) == len(set(names))
    for key, round_ in {(key, round_) for key, round_, _ in names}:
        attempts = [attempt for k, r, attempt in names if (k, r) == (key, round_)]
        assert attempts == list(range(1, len(attempts) + 1))
    numbers = made.reasons()
    assert [cell for cell, words in numbers.items() if words.count("ok") != 3] == ["cpu/gemma/pp16"]


def test_what_could_not_be_prepared_is_recorded_once_and_started_never(campaigning, pp) -> None:
    absent = Failure(phase=Phase.PREPARE, reason=Reason.NO_DEVICE, detail="no device")
    made = campaigning(cells=(pp(8), pp(8, backend="vulkan")), rounds=2)
    targets = {**made.prepared.targets, ("vulkan", "default"): absent}
    made.prepared = replace(made.prepared, targets=targets)
    engine = made.go()
    assert made.reasons() == {"cpu/gemma/pp8": ["ok"] * 3, "vulkan/gemma/pp8": ["no_device"]}
    assert len(engine.started) == 3


def test_the_display_counts_runs_that_come_and_go(campaigning, pp, tg) -> None:
    # One run more than planned, since a cell kills the warm-up; one less, since the other is alone in its group.
    made = campaigning(cells=(pp(16, label="a"), pp(8), tg(4)), rounds=1)
    made.bench.kills = {"pp8": {"exit_code": 134}, "pp16": {"exit_code": 134}}
    made.go()
    last = made.lines()[-1]
    done, total = last[1 : last.index("]")].split("/")
    assert done == total


def test_a_short_run_does_not_foretell_a_deep_one(campaigning, make_cell) -> None:
    # Each depth has a container of its own, under the key of the other: one run of two is made, and it was short.
    deep = Test(n_prompt=16, n_depth=100_000)
    cells = tuple(make_cell(test) for test in (Test(n_prompt=16), deep))
    size = ModelSize(n_params=1_000_000_000, size_bytes=600_000_000, attention_flops=1e6)
    made = campaigning(cells=cells, rounds=0, sizes={"gemma": size})
    made.go()
    planned = estimate((cells[1:],), sizes=made.sizes, rounds=0, repetitions=1).seconds
    assert planned > 3600
    assert f"({duration(planned)} left)" in made.lines()[0]


OUT_OF_MEMORY = {"exit_code": 137, "oom_killed": True}


class TestACellThatRunsOutOfMemory:
    def test_is_a_row_and_what_it_dominates_is_skipped(self, campaigning, pp, tg) -> None:
        made = campaigning(cells=(pp(8), pp(64), tg(4), pp(128), pp(512, model="other")), rounds=1)
        made.bench.kills["pp64"] = OUT_OF_MEMORY
        made.go()
        assert made.reasons() == {
            "cpu/gemma/pp8": ["ok", "ok"],
            "cpu/gemma/pp64": ["oom_host"],
            # It stood in the run that was killed, and never had its turn.
            "cpu/gemma/pp128": ["oom_host", "skipped_dominated"],
            "cpu/gemma/tg4": ["oom_host", "ok", "ok"],
            "cpu/other/pp512": ["ok", "ok"],
        }

    def test_costs_no_container_for_what_it_dominates(self, campaigning, pp) -> None:
        made = campaigning(cells=(pp(64, label="a"), pp(128, label="b"), pp(8, label="c")), rounds=2)
        made.bench.kills["pp64"] = OUT_OF_MEMORY
        engine = made.go()
        assert [options[options.index("-p") + 1] for options in (s.argv for s in engine.started)] == [
            "64",
            "8",
            "8",
            "8",
        ]
        skipped = [r for r in made.records if r.outcomes[0].failure and r.run.cells[0].label == "b"]
        assert [r.outcomes[0].failure.reason for r in skipped] == [Reason.SKIPPED_DOMINATED]

    def test_is_remembered_by_the_next_start(self, campaigning, pp) -> None:
        made = campaigning(cells=(pp(64, label="a"), pp(128, label="b")), rounds=1)
        made.bench.kills["pp64"] = OUT_OF_MEMORY
        made.go(on_record=stop_after(1))
        engine = made.go()
        assert engine.started == []
        assert made.reasons() == {"cpu/gemma/pp64#a": ["oom_host"], "cpu/gemma/pp128#b": ["skipped_dominated"]}


def spoil(*spoiled: tuple[str, int, int]):
    """Makes the runs invalid that are named by label, round and repetition, as if their telemetry had said so."""
    broken = (Violation(rule="thermal_slowdown", evidence="made up"),)

    def judged(run: Run) -> tuple[Violation, ...]:
        return broken if (run.cells[0].label, run.round, run.repeat) in spoiled else ()

    return judged


class TestARoundWithAnInvalidRun:
    def made(self, campaigning, pp, tg, *spoiled, rounds=1):
        made = campaigning(cells=(pp(8, label="a"), tg(4, label="b")), rounds=rounds)
        made.judged = spoil(*spoiled)
        return made

    def seen(self, made):
        return [(r.run.round, r.run.repeat, r.run.cells[0].label, bool(r.invalid)) for r in made.records]

    def test_is_made_again_whole(self, campaigning, pp, tg) -> None:
        made = self.made(campaigning, pp, tg, ("b", 1, 0), rounds=2)
        made.go()
        assert self.seen(made)[2:] == [
            (1, 0, "a", False), (1, 0, "b", True),
            (1, 1, "a", False), (1, 1, "b", False),
            (2, 0, "a", False), (2, 0, "b", False),
        ]  # fmt: skip
        assert made.campaign.strategy.lacking(made.campaign.history) == ()

    def test_is_not_finished_first(self, campaigning, pp, tg) -> None:
        made = self.made(campaigning, pp, tg, ("a", 1, 0))
        made.go()
        assert self.seen(made)[2:] == [(1, 0, "a", True), (1, 1, "a", False), (1, 1, "b", False)]

    def test_is_repeated_three_times_at_most_and_then_lacks_a_number(self, campaigning, pp, tg) -> None:
        made = self.made(campaigning, pp, tg, *(("a", 1, repeat) for repeat in range(9)))
        made.go()
        assert self.seen(made)[2:] == [
            (1, 0, "a", True), (1, 1, "a", True), (1, 2, "a", True), (1, 3, "a", True), (1, 3, "b", False),
        ]  # fmt: skip
        assert made.campaign.strategy.lacking(made.campaign.history) == ("cpu/gemma/pp8#a",)
        assert made.go().started == []

    def test_is_continued_by_the_next_start(self, campaigning, pp, tg) -> None:
        made = self.made(campaigning, pp, tg, ("b", 1, 0))
        made.go(on_record=stop_after(5))
        assert self.seen(made)[2:] == [(1, 0, "a", False), (1, 0, "b", True), (1, 1, "a", False)]
        made.go()
        assert self.seen(made)[5:] == [(1, 1, "b", False)]

    def test_does_not_try_again_what_failed_for_good(self, campaigning, pp, tg) -> None:
        made = campaigning(cells=(pp(8, label="a"), pp(16, label="b"), tg(4, label="c")), rounds=1)
        made.judged = spoil(("c", 1, 0))

        def dies_in_round_one(record: Record, _interrupts: Interrupts) -> None:
            made.bench.kills = {"pp16": {"exit_code": 134}} if record.run.cells[0].label == "a" else {}

        made.go(on_record=lambda r, i: dies_in_round_one(r, i) if r.run.round else None)
        assert self.seen(made)[3:] == [
            (1, 0, "a", False), (1, 0, "b", False), (1, 0, "c", True), (1, 1, "a", False), (1, 1, "c", False),
        ]  # fmt: skip

    def test_warm_ups_do_not_count_and_are_not_repeated(self, campaigning, pp, tg) -> None:
        made = self.made(campaigning, pp, tg, ("a", 0, 0))
        made.go()
        assert [(round_, repeat) for round_, repeat, *_ in self.seen(made)] == [(0, 0), (0, 0), (1, 0), (1, 0)]

    def test_says_so_on_the_display(self, campaigning, pp, tg) -> None:
        made = self.made(campaigning, pp, tg, ("a", 1, 0))
        made.go()
        assert any("invalid: thermal_slowdown: made up" in line for line in made.lines())
        assert any("the round's repetition 1" in line for line in made.lines())


def test_a_sustained_test_is_repeated_until_its_time_is_filled(campaigning, make_cell) -> None:
    # A repetition of four tokens takes 4 ms here.
    long = make_cell(Test(n_gen=4, sustained_s=10))
    made = campaigning(cells=(long, make_cell(Test(n_gen=4))), rounds=1)
    engine = made.go()
    repetitions = [spec.argv[spec.argv.index("-r") + 1] for spec in engine.started]
    assert repetitions == ["1", "1", "2750", "3"]
    (sustained,) = [r for r in made.records if r.run.round == 1 and r.run.cells == (long,)]
    assert sum(sustained.outcomes[0].samples_ns) > 10 * 10**9
