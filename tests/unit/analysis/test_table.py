"""The results table says the same as the results that it is made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.names import short_hash
from harness.analysis.results import CellResult, machine_results, read_results
from harness.analysis.table import read_rows, rows_of
from harness.store.sessions import Session
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Check, Proof, Record
from harness.values.result_row import ResultRow, Trust

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
PROVEN = (Check(name="samples", proof=Proof.PROVEN, evidence="all"),)


@pytest.mark.parametrize("case", ["complete", "stopped", "two-machines"])
def test_every_cell_has_a_row_with_its_figures(case: str) -> None:
    rows = {(row.machine, row.cell): row for row in read_rows(GOLDEN / case)}
    results = [(m, cell) for m in read_results(GOLDEN / case) for cell in m.cells]
    assert len(rows) == len(results)
    for machine, result in results:
        row = rows[machine.machine.machine, result.cell.id]
        assert (row.value, row.rounds, row.metric) == (result.tokens_per_s, len(result.runs), result.cell.test.kind)
        assert (row.low is None) == (result.interval is None)
        assert row.run_values_ns == tuple(run.ns_per_token for run in result.runs)
        assert row.trust is Trust.MEASURED


@pytest.fixture
def row_of(
    make_cell: Callable[..., Cell], make_session: Callable[..., Session], make_record: Callable[..., Record]
) -> Callable[..., ResultRow]:
    def make(cell: Cell | None = None, samples: Any = (9, 900), **changes: Any) -> ResultRow:
        cell = cell or make_cell()
        screening = changes.pop("screening", False)
        records = [make_record((cell, samples), round_=n, checks=PROVEN, **changes) for n in (0, 1, 2)]
        (row,) = rows_of("demo", [machine_results([make_session([cell], screening=screening)], records)])
        return row

    return make


def test_a_proven_row_may_be_ranked(row_of: Callable[..., ResultRow]) -> None:
    row = row_of()
    assert row.rankable
    assert row.why_not == ""
    assert row.value == 1e9 * 10 / 900


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"screening": True}, "screening"),
        ({"software": True}, "a software device"),
        ({"simulated": True}, "simulated"),
        ({"samples": Failure(phase=Phase.RUN, reason=Reason.OOM_DEVICE, detail="full", remedy="")}, "no number"),
    ],
)
def test_why_a_row_is_not_ranked_is_said(
    row_of: Callable[..., ResultRow], changes: dict[str, Any], reason: str
) -> None:
    row = row_of(**changes)
    assert not row.rankable
    assert row.why_not == reason


def test_a_failed_cell_keeps_its_reason(row_of: Callable[..., ResultRow]) -> None:
    row = row_of(samples=Failure(phase=Phase.RUN, reason=Reason.OOM_DEVICE, detail="full", remedy="less"))
    assert (row.value, row.failure_reason, row.failure_detail, row.remedy) == (None, "oom_device", "full", "less")


def test_flash_attention_that_was_left_open_counts_as_what_the_log_says(
    row_of: Callable[..., ResultRow], make_cell: Callable[..., Cell]
) -> None:
    cell = make_cell()
    left_open = make_cell(params={**cell.params, "flash_attn": "auto"})
    off = row_of(cell)
    seen, unseen = row_of(left_open, log=LogFacts(flash_attn=False)), row_of(left_open)
    assert seen.group == off.group
    assert seen.rankable
    assert unseen.group != off.group
    assert "flash attention" in unseen.why_not


def test_all_layers_are_all_layers_however_they_are_spelled(
    row_of: Callable[..., ResultRow], make_cell: Callable[..., Cell]
) -> None:
    def group(number: int) -> str:
        cell = make_cell(backend="vulkan")
        return row_of(make_cell(backend="vulkan", params={**cell.params, "n_gpu_layers": number})).group

    assert group(99) == group(999)
    assert group(99) != group(20)


def test_loading_and_quality_are_told_in_their_own_units() -> None:
    rows = {row.test: row for row in read_rows(Path(__file__).resolve().parents[3] / "reports/guide")}
    cold, quality = rows["load:cold"], rows["quality:c128"]
    assert (cold.unit, cold.higher_is_better, cold.rankable) == ("ms", False, True)
    assert cold.value is not None
    assert cold.low is not None
    assert cold.high is not None
    assert (round(cold.low), round(cold.value), round(cold.high)) == (1526, 1644, 1787)
    assert cold.ns_per_token == pytest.approx(1e6 * cold.value)
    assert (quality.unit, quality.higher_is_better, quality.rankable) == ("perplexity", False, False)
    assert quality.value == pytest.approx(87.1518)
    assert quality.ns_per_token is None
    assert quality.why_not == "no speed, but a figure of quality"
    assert rows["serve:pp128+tg32"].unit == rows["batch:pp32+tg16x8"].unit == "tokens/s"


def test_the_name_of_a_row_stays_while_its_figures_change(row_of: Callable[..., ResultRow]) -> None:
    assert row_of(samples=(9, 900)).row == row_of(samples=(9, 800)).row
    assert short_hash("a", 1) != short_hash("a", 2)


def test_a_machine_counts_as_one(
    make_cell: Callable[..., Cell], make_session: Callable[..., Session], make_record: Callable[..., Record]
) -> None:
    cell = make_cell()
    result: CellResult
    (result,) = machine_results([make_session([cell])], [make_record((cell, [9, 900]))]).cells
    assert result.tokens_per_s is not None
    rows = rows_of("demo", [machine_results([make_session([cell])], [make_record((cell, [9, 900]))])])
    assert len({row.machine for row in rows}) == 1
