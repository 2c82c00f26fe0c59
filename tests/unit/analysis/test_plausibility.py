"""No device reads faster than its memory: advice that never ranks or rejects."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.hardware import HARDWARE, data_sheets
from harness.analysis.plausibility import Verdict, plausibility
from harness.analysis.results import CellResult, MachineResults, machine_results
from harness.report.data import ReportData
from harness.report.sections import bandwidth
from harness.values.bench import LogFacts
from harness.values.block import Note, Paragraph, Table
from harness.values.cell import Test
from harness.values.facts import ModelFacts

LLAMA_7B_Q4_0 = 3_750_000_000
"""Bytes that a token reads, roughly."""

MODEL = ModelFacts(
    name="gemma",
    title="Llama 2 7B",
    source="file",
    path=Path("m.gguf"),
    sha256="c" * 64,
    size_bytes=3_825_065_984,
    synthetic=False,
    bytes_per_token=LLAMA_7B_Q4_0,
)
RTX_4090 = "NVIDIA GeForce RTX 4090"


@pytest.fixture
def make(make_cell: Any, make_session: Any, make_record: Any) -> Any:
    def result(
        rate: float = 189.0,
        *,
        device: str = RTX_4090,
        model: ModelFacts = MODEL,
        test: Test | None = None,
    ) -> CellResult:
        test = test or Test(n_gen=128)
        cell = make_cell("cuda/gemma/tg128", backend="cuda", test=test)
        session = make_session([cell], models=(model,))
        samples = [round(test.n_tokens / rate * 1e9)] * 3
        records = [make_record((cell, samples), round_=n, device=device) for n in range(1, 7)]
        return machine_results([session], records).cells[0]

    return result


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [
        (189.0, Verdict.PLAUSIBLE),  # what such a card does
        (0.96 * 1008e9 / LLAMA_7B_Q4_0, Verdict.TOO_FAST),
        (0.94 * 1008e9 / LLAMA_7B_Q4_0, Verdict.PLAUSIBLE),
        (0.16 * 1008e9 / LLAMA_7B_Q4_0, Verdict.PLAUSIBLE),
        (8.0, Verdict.TOO_SLOW),  # what a CPU does
    ],
)
def test_the_share_of_the_bandwidth_decides(make: Any, rate: float, verdict: Verdict) -> None:
    seen = plausibility(make(rate))
    assert seen is not None
    assert seen.verdict is verdict
    assert seen.share == pytest.approx(rate * LLAMA_7B_Q4_0 / 1008e9, rel=1e-3)


def test_prompts_are_not_looked_at(make: Any) -> None:
    assert plausibility(make(test=Test(n_prompt=512))) is None
    assert plausibility(make(test=Test(n_prompt=512, n_gen=128))) is None


def test_integrated_gpus_and_cpus_may_be_slow(make: Any) -> None:
    for device in ("AMD Radeon 8060S", "AMD EPYC 9654 96-Core Processor"):
        seen = plausibility(make(2.0, device=device))
        assert seen is not None
        assert (seen.verdict, seen.share is not None) == (Verdict.PLAUSIBLE, True)


def test_a_card_may_be_slow_behind_a_long_context(make: Any) -> None:
    seen = plausibility(make(20.0, test=Test(n_gen=128, n_depth=32768)))
    assert seen is not None
    assert seen.verdict is Verdict.PLAUSIBLE


def test_the_fastest_variant_of_a_name_is_what_is_impossible(make: Any) -> None:
    # An RTX 3060 Ti has 448 GB/s or 608.
    rate = 500e9 / LLAMA_7B_Q4_0
    seen = plausibility(make(rate, device="NVIDIA GeForce RTX 3060 Ti"))
    assert seen is not None
    assert seen.verdict is Verdict.PLAUSIBLE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"software": True}, "a device in software"),
        ({"model": replace(MODEL, bytes_per_token=None)}, "bytes read for a token are not known"),
        ({"model": replace(MODEL, bytes_per_token=250_000_000)}, "the weights may lie in a cache"),
        ({"model": None}, "bytes read for a token are not known"),
        ({"log": LogFacts(layers_offloaded=20, layers_total=33)}, "the weights lie in several memories"),
        ({"device": "2 x NVIDIA GeForce RTX 4090", "n_devices": 2}, "several devices share the weights"),
        ({"device": "Some Card 9000"}, "no data sheet of this device here"),
        ({"device": "NVIDIA GeForce RTX 4090 Laptop GPU"}, "no data sheet of this device here"),
        ({"device": "NVIDIA B200"}, "the bandwidth of this device is doubtful"),
    ],
)
def test_what_cannot_be_said_has_its_reason(make: Any, changes: dict[str, Any], reason: str) -> None:
    seen = plausibility(replace(make(9999.0), **changes))
    assert seen is not None
    assert (seen.verdict, seen.share, seen.reason) == (Verdict.UNOBSERVABLE, None, reason)


@pytest.mark.parametrize("name", ["tensor_split", "tensor_buft_overrides", "n_cpu_moe"])
def test_split_weights_are_not_judged(make: Any, name: str) -> None:
    found = make(9999.0)
    seen = plausibility(replace(found, cell=replace(found.cell, params={**found.cell.params, name: 1})))
    assert seen is not None
    assert seen.verdict is Verdict.UNOBSERVABLE


def report(*results: CellResult, make_session: Any) -> tuple[Any, ...]:
    session = make_session([found.cell for found in results])
    machine = MachineResults(
        machine=session.machine, sessions=(session,), cells=results, records=(), superseded=0, superseded_cells=()
    )
    return bandwidth.render(ReportData(name="demo", machines=(machine,)))


def test_the_report_shows_the_share_and_warns(make: Any, make_session: Any) -> None:
    blocks = report(make(189.0), make(300.0), make_session=make_session)
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert table.rows[0] == ("cuda/gemma/tg128", "708.8", "1008", "70 %", "")
    assert table.rows[1][3] == "112 %"
    (note,) = (block for block in blocks if isinstance(block, Note))
    assert note.kind == "warning"
    assert "implausible: wrong device, wrong model or wrong data sheet" in note.text


def test_where_the_figures_are_is_said_and_what_they_rest_on(make: Any, make_session: Any) -> None:
    (text,) = (block.text for block in report(make(), make_session=make_session) if isinstance(block, Paragraph))
    (path,) = re.findall(r"\S+\.yaml", text)
    assert (HARDWARE.parents[2] / path).samefile(HARDWARE)
    # The same as the file itself says of its sources.
    sources = [sheet.source for sheet in data_sheets().values()]
    assert all("from memory" in source for source in sources)
    assert sum("data sheet" in source for source in sources) > len(sources) / 2
    assert "mostly a data sheet, written down from memory" in text


def test_the_report_says_nothing_where_no_device_has_a_data_sheet(make: Any, make_session: Any) -> None:
    assert report(make(device="Some Card 9000"), replace(make(), software=True), make_session=make_session) == ()
