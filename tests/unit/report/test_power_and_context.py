"""The sections about power limits and the largest context, and the knee."""

from dataclasses import replace

import pytest

from harness.analysis.context_limits import context_limits
from harness.analysis.energy import TokenEnergy, Validity
from harness.analysis.power import sweeps
from harness.analysis.results import machine_results
from harness.matrix.strategies.max_context import trial
from harness.report.data import ReportData
from harness.report.sections import context_limits as section
from harness.report.sections import power
from harness.values.block import Chart, Paragraph, Table
from harness.values.cell import Cell, Test
from harness.values.failure import Failure, Phase, Reason
from harness.values.measurement import CONTEXT
from harness.values.record import Outcome, Violation
from tests.unit.report.test_depth_and_offload import cell, machine, six

SPEEDS = {150: 60, 200: 90, 250: 97, 300: 100}


def swept(speeds=SPEEDS):
    return machine([(cell(f"W{w}", power_limit_w=w), six(round(1e6 / v)), None) for w, v in speeds.items()])


def said(speeds) -> str:
    blocks = power.render(ReportData(name="m", machines=(swept(speeds),)))
    return [block.text for block in blocks if isinstance(block, Paragraph)][-1]


def test_the_knee_is_the_lowest_limit_that_keeps_the_speed() -> None:
    (sweep,) = sweeps(swept())
    assert [step.watts for step in sweep.steps] == [150, 200, 250, 300]
    assert sweep.knee is not None
    assert sweep.knee.watts == 250
    assert "the knee is at 250 W: 3.0 % slower than under 300 W" in said(SPEEDS)


@pytest.mark.parametrize(
    ("speeds", "words"),
    [
        ({200: 90, 300: 100}, "no knee, since fewer than three limits"),
        ({200: 80, 250: 90, 300: 100}, "no knee below 300 W"),
        ({200: 99, 250: 100, 300: 100}, "the real one may lie below"),
        ({200: 96, 250: 90, 300: 100}, "no knee below 300 W"),
    ],
)
def test_where_there_is_none_or_it_is_not_sure(speeds, words: str) -> None:
    assert words in said(speeds)


def test_tokens_for_a_joule_and_the_chart(monkeypatch) -> None:
    joules = {150: 0.5, 200: 0.25, 250: 0.4, 300: 0.5}

    def energy(result, _machine):
        return TokenEnergy(validity=Validity.VALID, net_j=joules[result.cell.params["power_limit_w"]], gross_j=1.0)

    monkeypatch.setattr("harness.analysis.power.token_energy", energy)
    blocks = power.render(ReportData(name="m", machines=(swept(),)))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert table.rows[1][3:] == ("90 %", "4.00", "0.250")
    (chart,) = [block for block in blocks if isinstance(block, Chart)]
    assert [series.name for series in chart.series] == ["Speed", "Tokens per joule"]
    assert [(p.x, round(p.y)) for p in chart.series[1].points] == [(150, 100), (200, 200), (250, 125), (300, 100)]
    assert "Most tokens for a joule at 200 W." in said(SPEEDS)


def test_one_limit_is_no_section() -> None:
    assert power.render(ReportData(name="m", machines=(swept({200: 1}),))) == ()


def searched(contexts: dict[int, str], found: int):
    """What a search leaves: its trials with how they ended, and the rounds of what it found."""
    params = {"flash_attn": 1, "type_k": "q8_0", "type_v": "f16", "n_gpu_layers": 0}
    plan = Cell(
        id="cpu/m/ctx:pp16384",
        backend="cpu",
        image="vulkan",
        model="m",
        params=params,
        test=Test(n_prompt=16384, measurement=CONTEXT),
    )
    results = machine([(plan, [1000], None)])
    (base, *_) = results.records

    def record(made: Cell, round_: int, ended: str):
        failure = Failure(phase=Phase.LOAD, reason=Reason(ended), detail="d") if ended not in {"", "paging"} else None
        outcome = Outcome(cell=made.id, failure=failure, samples_ns=() if failure else (1, 10 * made.test.n_prompt))
        return replace(
            base,
            id=f"{made.id}{round_}",
            run=replace(base.run, cells=(made,), round=round_),
            outcomes=(outcome,),
            container={"memory_bytes": 1 << 30},
            invalid=(Violation(rule="refaults", evidence="x"),) if ended == "paging" else (),
        )

    records = [record(trial(plan, tokens), 0, ended) for tokens, ended in contexts.items()]
    if found:
        measured = replace(plan, test=replace(plan.test, n_prompt=found))
        records += [record(measured, round_, "") for round_ in range(7)]
    return machine_results([results.latest], records)


def test_what_fits_what_was_too_much_and_why() -> None:
    results = searched({4096: "oom_host", 1024: "", 2048: "", 2304: "paging"}, 2048)
    (limit,) = context_limits(results)
    assert (limit.fits, limit.too_much, limit.why, limit.memory_bytes) == (2048, 2304, "paging", 1 << 30)
    assert limit.tried == (4096, 1024, 2048, 2304)
    assert limit.result.tokens_per_s == pytest.approx(1e8)
    assert results.superseded == 0, "trials are the search's, and nothing that is out of date"
    blocks = section.render(ReportData(name="m", machines=(results,)))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert table.rows[0][2:7] == ("q8_0/f16", "1 GiB", "2,048", "2,304 (paging)", "4")


def test_a_search_that_ended_at_its_limit_says_so() -> None:
    blocks = section.render(ReportData(name="m", machines=(searched({8192: ""}, 8192),)))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert table.rows[0][4:6] == ("8,192 (all that was asked for)", "-")


def test_a_search_that_found_nothing() -> None:
    (limit,) = context_limits(searched({4096: "oom_host", 256: "oom_host"}, 0))
    assert (limit.fits, limit.too_much, limit.why) == (None, 256, "oom_host")
