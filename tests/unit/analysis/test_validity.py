from dataclasses import replace

from harness.analysis.results import machine_results
from harness.values.failure import Failure, Phase, Reason
from harness.values.plan import MAX_REPEATS
from harness.values.record import Check, Proof, Run, Violation

HOT = (Violation(rule="thermal_slowdown", evidence="made up"),)


def made(make_record, cell, *runs, key="key"):
    """Records from (round, repeat, samples or failure, invalid)."""
    records = []
    for attempt, (round_, repeat, result, invalid) in enumerate(runs, start=1):
        record = make_record((cell, result), round_=round_, attempt=attempt, key=key)
        run = Run(key=key, round=round_, order=0, attempt=attempt, cells=(cell,), repeat=repeat)

        records.append(replace(record, run=run, invalid=HOT if invalid else ()))
    return records


def test_an_invalid_run_does_not_count_and_its_repetition_does(make_cell, make_session, make_record):
    cell = make_cell()
    records = made(make_record, cell, (1, 0, [9, 900], True), (1, 1, [9, 100], False), (2, 0, [9, 100], False))
    (result,) = machine_results([make_session([cell], rounds=2)], records).cells
    assert [(run.round, run.ns_per_token) for run in result.runs] == [(1, 10.0), (2, 10.0)]
    assert result.complete
    (invalid,) = result.invalid
    assert (invalid.round, invalid.repeat, invalid.rules, invalid.made_again) == (1, 0, HOT, True)
    assert result.holes == 0


def test_a_round_is_repeated_whole_so_its_valid_runs_are_set_aside(make_cell, make_session, make_record):
    a, b = make_cell("cpu/gemma/tg10#a", label="a"), make_cell("cpu/gemma/tg10#b", label="b")
    session = make_session([a, b], rounds=1, keys={a.id: "A", b.id: "B"})
    records = [
        *made(make_record, a, (1, 0, [9, 700], False), (1, 1, [9, 100], False), key="A"),
        *made(make_record, b, (1, 0, [9, 700], True), (1, 1, [9, 200], False), key="B"),
    ]
    first, second = machine_results([session], records).cells
    assert [run.ns_per_token for run in (*first.runs, *second.runs)] == [10.0, 20.0]
    assert (first.set_aside, second.set_aside) == (1, 0)


def test_a_round_whose_repetition_is_not_made_yet_is_a_hole(make_cell, make_session, make_record):
    a, b = make_cell("cpu/gemma/tg10#a", label="a"), make_cell("cpu/gemma/tg10#b", label="b")
    session = make_session([a, b], rounds=1, keys={a.id: "A", b.id: "B"})
    records = [
        *made(make_record, a, (1, 0, [9, 700], False), key="A"),
        *made(make_record, b, (1, 0, [9, 700], True), key="B"),
    ]
    first, second = machine_results([session], records).cells
    assert (first.runs, second.runs) == ((), ())


def test_after_the_last_repetition_there_is_a_hole_with_its_reason(make_cell, make_session, make_record):
    cell = make_cell()
    runs = [(1, repeat, [9, 900], True) for repeat in range(MAX_REPEATS + 1)]
    (result,) = machine_results([make_session([cell], rounds=1)], made(make_record, cell, *runs)).cells
    assert result.runs == ()
    assert not result.complete
    assert [run.made_again for run in result.invalid] == [True] * MAX_REPEATS + [False]
    assert result.holes == 1


def test_what_failed_for_good_stays_a_failure_of_its_round(make_cell, make_session, make_record):
    cell, other = make_cell("cpu/gemma/tg10#a", label="a"), make_cell("cpu/gemma/tg10#b", label="b")
    abort = Failure(phase=Phase.RUN, reason=Reason.ABORT, detail="x")
    session = make_session([cell, other], rounds=1, keys={cell.id: "A", other.id: "B"})
    records = [
        *made(make_record, cell, (1, 0, abort, False), key="A"),
        *made(make_record, other, (1, 0, [9, 900], True), (1, 1, [9, 100], False), key="B"),
    ]
    first, second = machine_results([session], records).cells
    assert first.failures == ((1, abort),)
    assert len(second.runs) == 1


def test_an_invalid_warm_up_spoils_nothing(make_cell, make_session, make_record):
    cell = make_cell()
    records = made(make_record, cell, (0, 0, [9], True), (1, 0, [9, 100], False))
    (result,) = machine_results([make_session([cell], rounds=1)], records).cells
    assert (len(result.runs), result.invalid) == (1, ())


def check(name, proof, evidence=""):
    return Check(name=name, proof=proof, evidence=evidence)


def test_what_watches_the_device_is_taken_from_the_counted_runs_and_the_weakest_counts(
    make_cell, make_session, make_record
):
    cell = make_cell()
    short = (check("weights", Proof.PROVEN, "warm-up"), check("device_busy", Proof.UNOBSERVABLE, "too short"))
    busy = (check("device_busy", Proof.PROVEN, "97 %"),)
    unsure = (check("device_busy", Proof.UNOBSERVABLE, "7 %"),)
    records = [
        make_record((cell, [9]), round_=0, checks=short),
        make_record((cell, [9, 100]), round_=1, checks=busy),
        make_record((cell, [9, 100]), round_=2, checks=busy),
    ]
    (result,) = machine_results([make_session([cell], rounds=2)], records).cells
    assert [(c.name, c.proof, c.evidence) for c in result.checks] == [
        ("weights", Proof.PROVEN, "warm-up"),
        ("device_busy", Proof.PROVEN, "97 %"),
    ]
    records.append(make_record((cell, [9, 100]), round_=3, checks=unsure))
    (result,) = machine_results([make_session([cell], rounds=3)], records).cells
    assert result.checks[-1].evidence == "7 %"
