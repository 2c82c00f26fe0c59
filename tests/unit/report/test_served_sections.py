"""What is said of servers, batches and quality: each figure with what it is of, and rates side by side."""

from dataclasses import replace
from types import SimpleNamespace

from harness.analysis.limit_words import gb
from harness.analysis.results import CellResult, RunValue
from harness.report import words
from harness.report.data import ReportData
from harness.report.sections import batching, depth, latency, levels, quality
from harness.values.block import Paragraph, Table
from harness.values.cell import Cell, Test
from harness.values.record import Check, Proof

PARAMS = {"flash_attn": 0, "n_threads": 2}


def result(test: Test, *, rate: float = 100.0, params=PARAMS, label: str = "", **metrics: float) -> CellResult:
    """Six runs that all say the same."""
    cell = Cell(id=test.name, label=label, backend="cpu", image="cpu", model="m", params=params, test=test)
    runs = tuple(
        RunValue(
            round=round_,
            session="s",
            record=f"r{round_}",
            ns_per_token=1e9 / rate,
            samples_ns=(1, 1),
            gate_passed=True,
            metrics=metrics,
        )
        for round_ in range(1, 7)
    )
    return CellResult(
        cell=cell,
        image=None,
        model=None,
        device="Some CPU",
        runs=runs,
        failures=(),
        rounds_planned=6,
        confidence=0.95,
        screening=False,
        software=False,
        simulated=False,
        checks=(Check(name="build", proof=Proof.PROVEN, evidence=""),),
        log=None,
        argv=(),
    )


def report(*cells: CellResult) -> ReportData:
    machine = SimpleNamespace(machine=SimpleNamespace(machine="box", memory_bytes=1), cells=cells)
    return ReportData(name="r", machines=(machine,))


def tables(blocks) -> list[Table]:
    return [block for block in blocks if isinstance(block, Table)]


def text(blocks) -> str:
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph))


def served(**more: float) -> CellResult:
    known = {"ttft_ms": 512.0, "itl_p50_ms": 20.0, "itl_p95_ms": 30.0, "itl_p99_ms": 40.0}
    known |= {"client_prompt_tokens_per_s": 250.0, "server_prompt_tokens_per_s": 256.0}
    known |= {"client_generation_tokens_per_s": 49.0, "server_generation_tokens_per_s": 50.0}
    n_depth = int(more.pop("n_depth", 0))
    return result(Test(n_prompt=128, n_gen=32, n_depth=n_depth, measurement="latency"), **{**known, **more})


def test_the_rates_of_client_server_and_llama_bench_stand_side_by_side_and_are_put_in_relation() -> None:
    others = (
        result(Test(n_prompt=128), rate=320.0),
        result(Test(n_gen=32), rate=62.5),
        # Other tests, which are not the same: another length, a depth, a setting, a label.
        result(Test(n_gen=64), rate=1.0),
        result(Test(n_prompt=128, n_depth=512), rate=1.0),
        result(Test(n_prompt=128), rate=1.0, params={**PARAMS, "flash_attn": 1}),
        result(Test(n_gen=32, sustained_s=10), rate=1.0, label="x"),
    )
    blocks = latency.render(report(*reversed(others), served()))
    waiting, rates = tables(blocks)
    assert [float(text.split(" ")[0]) for text in waiting.rows[0][5:9]] == [512, 20, 30, 40]
    row = dict(zip(rates.columns, rates.rows[0], strict=True))
    assert row["llama-bench"].startswith("pp128 320")
    assert "tg32 62.5" in row["llama-bench"]
    said = text(blocks)
    assert "prompt: the client saw 97.7 % of the server's rate, the server reached 80.0 % of llama-bench's" in said
    assert "generation: the client saw 98.0 % of the server's rate" in said


def test_without_llama_bench_nothing_is_said_of_it() -> None:
    blocks = latency.render(report(served()))
    assert tables(blocks)[1].rows[0][-1] == "-"
    assert "reached" not in text(blocks)


def test_waiting_behind_a_prefix_is_shown_over_its_depth() -> None:
    blocks = depth.render(report(served(), served(n_depth=512, ttft_ms=600.0)))
    (table,) = tables(blocks)
    assert [row[3] for row in table.rows] == ["0", "512"]
    assert [float(row[4].split(" ")[0]) for row in table.rows] == [512, 600]
    assert depth.render(report(served())) == ()


def test_a_cold_start_says_what_it_makes_of_the_disk() -> None:
    model = SimpleNamespace(title="M", size_bytes=2 * 10**9, synthetic=False)
    cold, warm = (
        replace(result(Test(measurement="load", cold=cold), load_ms=ms), model=model)
        for cold, ms in ((True, 3000.0), (False, 1000.0))
    )
    said = text(latency.render(report(cold, warm)))
    assert "cold takes 2.00 s longer by the medians, as from a disk of 1.00 GB/s" in said
    assert "as from a disk" not in text(latency.render(report(cold)))
    assert "no slower than warm" in text(latency.render(report(replace(cold, runs=warm.runs), warm)))


def batch(parallel: int, rate: float) -> CellResult:
    test = Test(n_prompt=16, n_gen=8, n_parallel=parallel, measurement="batched")
    return result(test, rate=rate, prompt_tokens_per_s=500.0, generation_tokens_per_s=rate)


def test_a_batch_is_held_against_what_guides_promise() -> None:
    (table,) = tables(batching.render(report(batch(1, 50.0), batch(2, 75.0), batch(4, 125.0), batch(8, 250.0))))
    found = {row[1]: row[8] for row in table.rows}
    assert found == {
        "batch:pp16+tg8": "",
        "batch:pp16+tg8x2": "below",
        "batch:pp16+tg8x4": "within",
        "batch:pp16+tg8x8": "above",
    }


def test_quality_without_a_base_says_what_is_missing() -> None:
    alone = result(Test(n_prompt=512, measurement="quality"), perplexity=12.0, perplexity_error=0.5)
    against = result(Test(n_prompt=512, measurement="quality", against="big"), perplexity=12.0, kl_divergence=0.01)
    assert "has its perplexity only" in text(quality.render(report(alone)))
    assert "has its perplexity only" not in text(quality.render(report(against)))


def test_levels_of_a_server_name_the_wait() -> None:
    slow = served(ttft_ms=2500.0)
    blocks = levels.render(report(slow))
    (row,) = tables(blocks)[0].rows
    assert row[1:4] == ("first token", "warning", "2500 ms after the request")


def test_a_share_of_almost_all_is_a_hundred_percent_and_no_power_of_ten() -> None:
    assert [words.percent(share) for share in (0.0123, 0.994, 0.997, 1.2)] == ["1.2 %", "99 %", "100 %", "120 %"]
    assert gb(1.79e12) == "1790 GB"
