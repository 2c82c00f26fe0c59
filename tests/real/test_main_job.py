"""The main job on real containers and real llama.cpp: measured, recomputed, resumed, killed, interrupted."""

import collections
import io
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore

pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MATRIX = """
preset: standard
repetitions: 2
cells:
  - {backend: cpu, model: tiny, tests: [pp32, tg8]}
  - {backend: cpu, model: tiny, tests: [tg8], n_depth: 16, label: x}
models:
  tiny:
    synthetic: {architecture: llama, n_layers: 2, n_embd: 256, n_ff: 512, n_heads: 4, n_kv_heads: 4, n_vocab: 1024,
                n_ctx: 512, quantization: Q4_0, seed: 3}
"""
N_RUNS = 2 * 7


@pytest.fixture
def engine(tmp_path: Path):
    endpoint = find_engine(os.environ)
    if endpoint is None:
        assert not os.environ.get("BENCH_TEST_ENGINE"), "an engine was promised"
        pytest.skip("no container engine answers")
    engine = DockerEngine(endpoint.host)
    yield engine
    # Of this test's own starts: others may be measuring under another lock.
    left = engine.sweep(labels={"llama-bench-harness.lock": str(tmp_path)})
    engine.close()
    assert left == (), "containers were left behind"


class Harness:
    """`invoke matrix` on a small matrix, with reports and lock of its own."""

    def __init__(self, folder: Path, matrix: str = MATRIX) -> None:
        self.file = folder / "tiny.yaml"
        self.file.write_text(matrix)
        self.folder = folder / "reports/tiny"
        self.environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports"), "BENCH_LOCK_DIR": str(folder)}

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "invoke", "matrix", "--file", str(self.file), "--gate-wait", "0", *options]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *options: str) -> tuple[int, str]:
        process = self.start(*options)
        output, _ = process.communicate(timeout=400)
        return process.returncode, output

    def records(self) -> list[dict]:
        paths = list((self.folder / "records").glob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def wait_for_records(self, count: int) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            paths = list((self.folder / "records").glob("*.jsonl"))
            if sum(path.read_bytes().count(b"\n") for path in paths) >= count:
                return
            time.sleep(0.05)
        pytest.fail(f"{count} records did not come")


@pytest.fixture
def harness(tmp_path: Path, engine: DockerEngine) -> Harness:
    return Harness(tmp_path)


def half_a_place(low: float, high: float) -> float:
    """How far rounding moves a number whose interval is shown: two digits of half its width are kept."""
    return 0.51 * 10 ** (math.floor(math.log10(1.05 * (high - low) / 2)) - 1) if high > low else 0.006 * high


def test_every_number_of_the_report_follows_from_the_samples_and_a_second_start_does_nothing(harness: Harness) -> None:
    code, output = harness.run()
    assert code == 0, output
    values = collections.defaultdict(list)
    for record in harness.records():
        tests = {cell["id"]: cell["test"] for cell in record["run"]["cells"]}
        for outcome in record["outcomes"] if record["run"]["round"] else ():
            test = tests[outcome["cell"]]
            counted = sorted(outcome["samples_ns"][1:])
            values[outcome["cell"]].append(sum(counted) / len(counted) / (test["n_prompt"] + test["n_gen"]))
    report = (harness.folder / "report.md").read_text()
    for runs in values.values():
        ordered = sorted(runs)
        rate = 1e9 / ((ordered[2] + ordered[3]) / 2)
        found = re.findall(r"(?<=\| )\s*([\d.]+) \(([\d.]+) to ([\d.]+)\)", report)
        shown = [tuple(float(text) for text in texts) for texts in found]
        assert any(abs(number - rate) <= half_a_place(low, high) for number, low, high in shown), (rate, shown)
    assert len(values) == 3

    before = harness.records()
    begin = time.monotonic()
    code, output = harness.run()
    assert (code, harness.records()) == (0, before)
    assert "measured already" in output
    assert time.monotonic() - begin < 20


def test_killed_at_three_moments_it_completes_with_one_record_a_run(harness: Harness, engine: DockerEngine) -> None:
    generator = random.Random(4)
    for target in (1, 4, 8):
        process = harness.start()
        harness.wait_for_records(target)
        time.sleep(generator.random() * 2)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    code, output = harness.run()
    assert code == 0, output
    runs = collections.Counter(
        (r["run"]["key"], tuple(c["id"] for c in r["run"]["cells"]), r["run"]["round"]) for r in harness.records()
    )
    assert len(runs) == N_RUNS
    assert set(runs.values()) == {1}


def test_one_sigint_finishes_the_run_and_the_report_says_partial(harness: Harness) -> None:
    process = harness.start()
    harness.wait_for_records(3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert all(o["failure"] is None for r in harness.records() for o in r["outcomes"])
    assert "Partial" in (harness.folder / "report.md").read_text()
    code, output = harness.run()
    assert code == 0, output
    assert len(harness.records()) == N_RUNS


LONG = MATRIX.replace("tests: [pp32, tg8]", "tests: [pp512, tg400], poll: 0").replace(
    "repetitions: 2", "repetitions: 400"
)


@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)], ids=["sigterm", "two-sigints"])
def test_a_second_sigint_or_sigterm_ends_the_container_within_fifteen_seconds(
    tmp_path: Path, engine: DockerEngine, signals: tuple[signal.Signals, ...]
) -> None:
    harness = Harness(tmp_path, LONG)
    process = harness.start()
    harness.wait_for_records(2)
    time.sleep(6)
    begin = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - begin < 15
    assert process.returncode == 130, output
    reasons = {o["failure"]["reason"] for r in harness.records() for o in r["outcomes"] if o["failure"]}
    assert reasons <= {"interrupted"}


def test_a_cell_that_fails_costs_the_others_nothing(tmp_path: Path, engine: DockerEngine) -> None:
    matrix = MATRIX.replace("label: x}", "label: x, type_v: [f16, q4_0]}").replace("preset: standard", "preset: quick")
    harness = Harness(tmp_path, matrix)
    code, output = harness.run()
    assert code == 1, output
    failed = {o["cell"]: o["failure"] for r in harness.records() for o in r["outcomes"] if o["failure"]}
    assert [cell.split("/")[-1] for cell in failed] == ["ctvq4_0#x"]
    assert {failure["reason"] for failure in failed.values()} == {"context"}
    report = (harness.folder / "report.md").read_text()
    assert "Without a result" in report
    assert "context" in report


def test_two_at_once_would_disturb_each_other(harness: Harness) -> None:
    first = harness.start()
    harness.wait_for_records(1)
    code, output = harness.run()
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert code == 3
    assert f"process {first.pid}" in output


def test_a_start_under_another_lock_leaves_these_containers_alone(tmp_path: Path, engine: DockerEngine) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (Harness(folder) for folder in folders)
    process = first.start()
    first.wait_for_records(1)
    code, output = second.run()
    assert code == 0, output
    assert "left behind" not in output
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert all(o["failure"] is None for r in first.records() for o in r["outcomes"])


def test_what_comes_from_a_stand_in_is_marked_and_kept_apart(tmp_path: Path, engine: DockerEngine) -> None:
    store = DockerImageStore.connect(find_engine(os.environ).host)
    dockerfile = b"FROM llama-bench-harness/llama.cpp:full-cpu-b11312\n"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        tar.addfile(entry, io.BytesIO(dockerfile))
    context.seek(0)
    labels = {"llama-bench-harness.simulated": "1"}
    store.build(
        context, tag="llama-bench-harness/stand-in:test", build_args={}, labels=labels, on_text=lambda _text: None
    )
    store.close()
    matrix = MATRIX.replace(
        "preset: standard", 'preset: quick\nimages: {cpu: {ref: "llama-bench-harness/stand-in:test"}}'
    )
    harness = Harness(tmp_path, matrix)
    code, output = harness.run()
    assert code == 0, output
    assert not (harness.folder / "records").exists()
    assert "must not be published" in (harness.folder / "simulated/report.md").read_text()
    code, output = harness.run()
    assert "measured already" in output
