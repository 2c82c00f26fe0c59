"""Server, batches, loading and quality on real containers: measured as said, proven, and shown side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import pytest

from harness.artifacts.models import MODEL_PATH
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.running import run
from harness.flows.workspace import find_workspace
from harness.measure.batched import BatchedBench
from harness.store.records import RecordStore
from harness.store.sessions import read_sessions
from harness.values.cell import Cell
from harness.values.container import BindMount, ContainerSpec
from harness.values.failure import Reason
from harness.values.measured import Asked
from harness.values.record import Outcome, Proof, Record

pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
GEMMA = "gemma3-270m-q4_k_m"
MATRIX = f"""
preset: quick
repetitions: 2
cells:
  - {{backend: cpu, model: {GEMMA}, tests: [pp32, tg8]}}
  - {{backend: cpu, model: {GEMMA}, measure: latency, n_prompt: 32, n_gen: 8, n_depth: [0, 64]}}
  - {{backend: cpu, model: {GEMMA}, measure: latency, n_prompt: 32, n_gen: 8, prompts: text, parallel: 2}}
  - {{backend: cpu, model: {GEMMA}, measure: latency, n_prompt: 32, n_gen: 8, prompts: text, draft: {GEMMA}}}
  - {{backend: cpu, model: {GEMMA}, measure: load, page_cache: [cold, warm]}}
  - {{backend: cpu, model: {GEMMA}, measure: batched, n_prompt: 16, n_gen: 8, parallel: [1, 2]}}
  - {{backend: cpu, model: {GEMMA}, measure: quality, n_prompt: 64}}
"""


@dataclass
class Measured:
    """One matrix, measured."""

    folder: Path
    output: str
    records: list[Record]

    def outcome(self, test: str) -> tuple[Record, Cell, Outcome]:
        """Of the counted round: the record that holds a cell's outcome."""
        for record in self.records:
            for cell, outcome in zip(record.run.cells, record.outcomes, strict=True):
                if record.run.round and cell.test.name == test:
                    return record, cell, outcome
        raise AssertionError(f"{test} is not among {[c.test.name for r in self.records for c in r.run.cells]}")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    if find_engine(os.environ) is None:
        assert not os.environ.get("BENCH_TEST_ENGINE"), "an engine was promised"
        pytest.skip("no container engine answers")
    folder = tmp_path_factory.mktemp("measured")
    (folder / "kinds.yaml").write_text(MATRIX)
    environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports"), "BENCH_LOCK_DIR": str(folder)}
    command = [sys.executable, "-m", "invoke", "matrix", "--file", str(folder / "kinds.yaml"), "--gate-wait", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = folder / "reports/kinds"
    (session,) = read_sessions(reports).values()
    records = RecordStore(reports).read(session.machine.machine)
    return Measured(folder=reports, output=done.stdout, records=list(records))


def proofs(outcome: Outcome) -> dict[str, Proof]:
    return {check.name: check.proof for check in outcome.checks}


def test_a_client_sees_every_token_and_the_server_agrees(measured: Measured) -> None:
    _, cell, outcome = measured.outcome("serve:pp32+tg8")
    series = outcome.series
    assert proofs(outcome)["build"] is proofs(outcome)["cached_prefix"] is Proof.PROVEN
    assert series["generated_tokens"] == (8, 8)
    assert len(series["itl_ns"]) == 7
    # What the server counts as its own work is a part of what the client waits for.
    for ttft_ns, prompt_ms in zip(series["ttft_ns"], series["server_prompt_ms"], strict=True):
        assert 0 < 1e6 * prompt_ms < ttft_ns
    assert all(timing["prompt_n"] == cell.test.n_prompt for group in outcome.row["timings"] for timing in group)


def test_a_prefix_comes_from_the_cache_and_only_the_rest_is_read(measured: Measured) -> None:
    _, _, outcome = measured.outcome("serve:pp32+tg8@d64")
    assert proofs(outcome)["cached_prefix"] is Proof.PROVEN
    assert all(cached >= 0.9 * 64 for cached in outcome.series["server_cache_n"])


def test_requests_at_once_are_in_work_at_the_same_time(measured: Measured) -> None:
    record, _, outcome = measured.outcome("serve:pp32+tg8+textx2")
    assert len(outcome.series["ttft_ns"]) == 2 * 2
    whole, each = outcome.series["all_requests_ns"], outcome.series["request_ns"]
    assert all(together < sum(each[2 * at : 2 * at + 2]) for at, together in enumerate(whole))
    assert record.argv[record.argv.index("-np") + 1] == "2"


def test_a_draft_model_drafts_and_what_it_drafts_is_told(measured: Measured) -> None:
    record, _, outcome = measured.outcome(f"serve:pp32+tg8+text+draft:{GEMMA}")
    assert "-md" in record.argv
    assert proofs(outcome)["draft"] is Proof.PROVEN
    # The same model drafts for itself: it guesses right.
    assert 0 < sum(outcome.series["server_draft_n_accepted"]) <= sum(outcome.series["server_draft_n"])


def test_the_server_s_counters_are_part_of_the_telemetry(measured: Measured) -> None:
    record, _, _ = measured.outcome("serve:pp32+tg8")
    trace = record.telemetry.server
    assert trace is not None
    prompts = trace.columns["prompt_tokens_total"]
    assert len(prompts) == len(trace.at_ms)
    assert list(prompts) == sorted(prompts)
    assert prompts[-1] - prompts[0] >= 2 * 32


def test_a_cold_start_reads_the_file_again(measured: Measured) -> None:
    for name in ("load:cold", "load:warm"):
        record, _, outcome = measured.outcome(name)
        (load_ns,) = outcome.samples_ns
        assert 0 < load_ns <= record.duration_ns


def test_batches_are_timed_as_the_program_prints_them(measured: Measured) -> None:
    for name, parallel in (("batch:pp16+tg8", 1), ("batch:pp16+tg8x2", 2)):
        _, _, outcome = measured.outcome(name)
        rows = outcome.row["rows"]
        assert [(row["pp"], row["tg"], row["pl"]) for row in rows] == [(16, 8, parallel)] * 2
        for row, generation_ns in zip(rows, outcome.series["generation_ns"], strict=True):
            assert generation_ns / 1e9 == pytest.approx(row["t_tg"], rel=1e-3)
            # The program's own rate is that of all sequences together, as ours.
            assert row["speed_tg"] == pytest.approx(parallel * 8 / row["t_tg"], rel=0.01)


def test_the_report_has_each_rate_beside_llama_bench_s(measured: Measured) -> None:
    report = (measured.folder / "report.md").read_text()
    for title in ("## Latency", "## Loading", "## Batching", "## Quality"):
        assert title in report
    (row,) = [line for line in report.splitlines() if "serve:pp32+tg8 " in line and "pp32 " in line.split("|")[-2]]
    assert "tg8 " in row


def test_a_point_that_batched_bench_leaves_out_in_silence_is_named(measured: Measured) -> None:
    """The real program in a context that is too small, 256 tokens a sequence: it ends well, and says nothing."""
    record, one, _ = measured.outcome("batch:pp16+tg8")
    _, two, _ = measured.outcome("batch:pp16+tg8x2")
    argv = list(record.argv)
    argv[argv.index("-c") + 1] = "24"
    argv[argv.index("-npp") + 1] = "600"
    engine = DockerEngine(find_engine(os.environ).host)
    (session,) = read_sessions(measured.folder).values()
    model = next(model for model in session.models if model.name == GEMMA)
    path = next((find_workspace().cache / "models" / model.sha256).glob("*.gguf"))
    spec = ContainerSpec(
        name=f"lbh-test-batched-{os.getpid()}",
        image=record.image,
        argv=tuple(argv),
        labels={"llama-bench-harness.purpose": "test"},
        mounts=(BindMount(source=path, target=MODEL_PATH),),
        memory_bytes=4 * 1024**3,
    )
    ended = run(engine, spec, timeout_s=120, cancel=Event())
    engine.close()
    assert ended.exit_code == 0, ended
    image = next(image for image in session.images if image.id == record.image)
    asked = Asked(passthrough=spec.passthrough, backend="cpu", image=image, model=model, repetitions=2)
    cells = tuple(replace(cell, test=replace(cell.test, n_prompt=600)) for cell in (one, two))
    outcomes = BatchedBench().judge(cells, ended, None, asked)
    assert [outcome.failure and outcome.failure.reason for outcome in outcomes] == [Reason.MISSING_ROWS] * 2
    assert "2 x (600 + 8) tokens" in outcomes[1].failure.detail
