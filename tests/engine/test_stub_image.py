"""Images of the test rig on a real engine: a build is as fast as its script says, and what it gives is simulated."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from tests.rig.script import Fault, Script
from tests.rig.stub_image import NoCompilerError, stub_image

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
BUILDS = {
    "llama-bench-harness/stub-test:b101": Script(backend="cpu", build_number=101, pp=4e4, tg=4e3),
    "llama-bench-harness/stub-test:b102": Script(
        backend="cpu", build_number=102, pp=4e4, tg=4e3, faults=(Fault(kind="slow", at="tg64", value="1.25"),)
    ),
}
MATRIX = """
preset: quick
images:
  before: {ref: "llama-bench-harness/stub-test:b101"}
  after: {ref: "llama-bench-harness/stub-test:b102"}
cells:
  - {backend: cpu, image: [before, after], model: tiny, tests: [pp64, tg64]}
models:
  tiny:
    synthetic: {architecture: llama, n_layers: 2, n_embd: 256, n_ff: 512, n_heads: 4, n_kv_heads: 4, n_vocab: 1024,
                n_ctx: 512, quantization: Q4_0, seed: 3}
"""


@pytest.fixture
def builds(host: str, tmp_path: Path) -> Iterator[None]:
    client = APIClient(host, version="auto")
    try:
        for tag, script in BUILDS.items():
            stub_image(client, script, tag=tag, folder=tmp_path)
        yield
        for tag in BUILDS:
            client.remove_image(tag)
    except NoCompilerError as problem:
        pytest.skip(str(problem))
    finally:
        client.close()


def invoke(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports"), "BENCH_LOCK_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_two_builds_of_which_one_is_slower(builds: None, tmp_path: Path) -> None:
    matrix = tmp_path / "two.yaml"
    matrix.write_text(MATRIX)
    done = invoke(tmp_path, "matrix", "--file", str(matrix), "--gate-wait", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "simulated" in done.stdout
    folder = tmp_path / "reports/two/simulated"
    assert not (tmp_path / "reports/two/records").exists(), "simulated records among real ones"
    records = [json.loads(line) for path in folder.glob("records/*.jsonl") for line in path.read_text().splitlines()]
    assert records
    assert all(record["simulated"] for record in records)
    medians: dict[str, float] = {}
    for record in records:
        for outcome in record["outcomes"]:
            assert outcome["failure"] is None
            if record["run"]["round"]:
                medians[outcome["cell"]] = statistics.median(outcome["samples_ns"])
    slower = {
        test: max(ns) / min(ns) for test in ("pp64", "tg64") if (ns := [medians[c] for c in medians if test in c])
    }
    assert slower["tg64"] == pytest.approx(1.25, rel=0.05)
    assert slower["pp64"] == pytest.approx(1.0, rel=0.05)
    exported = invoke(tmp_path, "export", "--report", str(folder), "--format", "scoreboard")
    assert exported.returncode == 2
    assert "simulated" in exported.stderr
    published = invoke(tmp_path, "report", "--file", str(folder), "--publish")
    assert published.returncode != 0
    assert "simulated" in published.stdout + published.stderr
