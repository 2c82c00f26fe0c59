from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.comparability import proof_of
from harness.analysis.results import machine_results, read_results
from harness.errors import InputError
from harness.store.records import RecordStore
from harness.store.sessions import Session
from harness.values.bench import LogFacts
from harness.values.cell import Cell, Test
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Check, Proof, Record

MakeCell = Callable[..., Cell]
MakeSession = Callable[..., Session]
MakeRecord = Callable[..., Record]

OOM = Failure(phase=Phase.LOAD, reason=Reason.OOM_DEVICE, detail="ErrorOutOfDeviceMemory")
GONE = Failure(phase=Phase.START, reason=Reason.ENGINE, detail="connection refused")


@pytest.fixture
def cell(make_cell: MakeCell) -> Cell:
    return make_cell()


def test_a_cell_is_the_median_of_its_runs(cell: Cell, make_session: MakeSession, make_record: MakeRecord) -> None:
    # 10 tokens: 90, 100, ..., 140 ns per token; the first sample of each does not count, nor does the warm-up.
    records = [make_record((cell, [5]), round_=0)]
    records += [make_record((cell, [9, 900 + 100 * r, 900 + 100 * r]), round_=r) for r in range(6)[1:]]
    records += [make_record((cell, [9, 900, 900]), round_=6)]
    (result,) = machine_results([make_session([cell])], records).cells
    assert [run.ns_per_token for run in result.runs] == [100, 110, 120, 130, 140, 90]
    assert result.ns_per_token == 115
    assert result.tokens_per_s == pytest.approx(1e9 / 115)
    assert result.interval is not None
    assert (result.interval.low, result.interval.high) == (pytest.approx(1e9 / 140), pytest.approx(1e9 / 90))
    assert result.complete
    assert result.within_runs == 0
    assert result.between_runs == pytest.approx(0.1627, abs=1e-4)


def test_five_rounds_have_no_interval_and_are_not_complete(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    records = [make_record((cell, [9, 900]), round_=r) for r in range(1, 6)]
    (result,) = machine_results([make_session([cell])], records).cells
    assert result.interval is None
    assert not result.complete
    assert result.tokens_per_s == pytest.approx(1e9 / 90)


def test_screening_has_no_interval_however_many_rounds_there_are(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    records = [make_record((cell, [9, 900]), round_=r) for r in range(1, 7)]
    (result,) = machine_results([make_session([cell], screening=True)], records).cells
    assert result.interval is None


def test_everything_planned_is_there(make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord) -> None:
    done, never = make_cell("a"), make_cell("b")
    results = machine_results([make_session([done, never])], [make_record((done, [9, 900]))])
    assert [result.cell.id for result in results.cells] == ["a", "b"]
    assert (results.cells[1].runs, results.cells[1].failures, results.cells[1].tokens_per_s) == ((), (), None)


def test_failures_are_told_by_round_and_cost_only_theirs(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    records = [make_record((cell, [9, 900]), round_=1), make_record((cell, OOM), round_=2)]
    (result,) = machine_results([make_session([cell])], records).cells
    assert result.failures == ((2, OOM),)
    assert [run.round for run in result.runs] == [1]


def test_a_later_attempt_takes_the_place_of_an_earlier(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    records = [make_record((cell, GONE)), make_record((cell, [9, 900]), attempt=2)]
    (result,) = machine_results([make_session([cell])], records).cells
    assert result.failures == ()
    assert len(result.runs) == 1


def test_the_rest_of_a_broken_run_is_joined_from_its_second_attempt(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    first, killer, last = make_cell("a"), make_cell("b"), make_cell("c")
    records = [
        make_record((first, [9, 900]), (killer, OOM), (last, OOM)),
        make_record((last, [9, 800]), attempt=2),
    ]
    results = machine_results([make_session([first, killer, last])], records).cells
    assert [(len(r.runs), len(r.failures)) for r in results] == [(1, 0), (0, 1), (1, 0)]


def test_records_under_another_key_are_of_another_thing(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    records = [make_record((cell, [9, 100]), key="old image"), make_record((cell, [9, 900]))]
    results = machine_results([make_session([cell])], records)
    assert [run.ns_per_token for run in results.cells[0].runs] == [90]
    assert results.superseded == 1


def test_a_start_with_only_some_cells_keeps_the_others(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    a, b = make_cell("a"), make_cell("b")
    sessions = [make_session([a, b]), make_session([b], id_="20261125T000000Z-000002", keys={"b": "new"})]
    records = [make_record((a, [9, 900]), (b, [9, 900])), make_record((b, [9, 500]), key="new")]
    results = machine_results(sessions, records)
    assert {r.cell.id: [run.ns_per_token for run in r.runs] for r in results.cells} == {"a": [90], "b": [50]}


def test_cells_of_an_earlier_matrix_file_are_gone_and_counted(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    old, new = make_cell("old"), make_cell("new")
    sessions = [make_session([old]), make_session([new], id_="20261125T000000Z-000002", matrix_sha256="f" * 64)]
    results = machine_results(sessions, [make_record((old, [9, 900])), make_record((new, [9, 900]))])
    assert [r.cell.id for r in results.cells] == ["new"]
    assert results.superseded == 1


def test_the_sessions_that_a_cell_comes_from_are_told(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    later = "20261125T000000Z-000002"
    records = [make_record((cell, [9, 900])), make_record((cell, [9, 900]), round_=2, session=later)]
    (result,) = machine_results([make_session([cell]), make_session([cell], id_=later)], records).cells
    assert result.sessions == ("20261124T000000Z-000001", later)


def test_software_is_software_by_plan_or_by_what_ran(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
        ({}, {}, False),
        ({"device": "software"}, {}, True),
        ({}, {"software": True}, True),
    ]
    for of_cell, of_record, software in cases:
        cell = make_cell(**of_cell)
        (result,) = machine_results([make_session([cell])], [make_record((cell, [9, 900]), **of_record)]).cells
        assert result.software is software


def test_a_run_that_started_all_the_same_is_flagged(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    records = [make_record((cell, [9, 900])), make_record((cell, [9, 900]), round_=2, gate={"passed": False})]
    (result,) = machine_results([make_session([cell])], records).cells
    assert [run.gate_passed for run in result.runs] == [True, False]


def test_log_and_checks_are_the_warm_ups_and_the_command_a_counted_runs(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    close = Check(name="weights", proof=Proof.PROVEN, evidence="CPU 1 MiB")
    records = [
        make_record((cell, [9]), round_=0, log=LogFacts(cpu_variant="zen4"), checks=(close,)),
        make_record((cell, [9, 900]), round_=1),
    ]
    (result,) = machine_results([make_session([cell])], records).cells
    assert result.log == LogFacts(cpu_variant="zen4")
    assert result.checks == (close,)
    assert result.argv == ("/app/llama-bench", "-r1")


def test_without_the_record_of_its_warm_up_a_cell_is_not_proven(
    cell: Cell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    check = Check(name="parameters", proof=Proof.PROVEN, evidence="all")
    records = [make_record((cell, [9, 900]), round_=round_, checks=(check,)) for round_ in (0, 1)]
    for kept, proof in ((records, Proof.PROVEN), (records[1:], Proof.UNOBSERVABLE)):
        (result,) = machine_results([make_session([cell])], kept).cells
        assert proof_of(result) is proof
    assert "warm-up is not there" in result.checks[-1].evidence


def test_mixed_prompt_and_generation_counts_both(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    cell = make_cell(test=Test(n_prompt=6, n_gen=4, n_depth=4096))
    (result,) = machine_results([make_session([cell])], [make_record((cell, [9, 900]))]).cells
    assert result.ns_per_token == 90


def test_a_folder_without_records_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no records") as caught:
        read_results(tmp_path)
    assert caught.value.remedy


def test_records_without_their_session_say_what_is_missing(tmp_path: Path, cell: Cell, make_record: MakeRecord) -> None:
    store = RecordStore(tmp_path)
    store.append(replace(make_record((cell, [9, 900])), id="", session="20261124T000000Z-00000a"))
    with pytest.raises(InputError, match="records of box but no session"):
        read_results(tmp_path)


def test_a_steady_change_from_round_to_round_is_a_drift(
    make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord
) -> None:
    cell = make_cell()
    rising = [make_record((cell, [9, 1000 + 10 * round_]), round_=round_) for round_ in range(1, 7)]
    (result,) = machine_results([make_session([cell])], rising).cells
    assert result.drift is not None
    assert result.drift.drifts
    assert result.drift.change == pytest.approx(50 / 1035)
    (few,) = machine_results([make_session([cell])], rising[:3]).cells
    assert few.drift is None
