"""A disk that becomes full in the middle of a matrix: what was recorded stays whole, and with room again it goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine.discovery import find_engine

pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MATRIX = """
preset: quick
rounds: 4
repetitions: 2
cells:
  - {backend: cpu, model: tiny, tests: [pp8, tg2]}
models:
  tiny:
    synthetic: {architecture: llama, n_layers: 2, n_embd: 256, n_ff: 512, n_heads: 4, n_kv_heads: 4, n_vocab: 1024,
                n_ctx: 512, quantization: Q4_0, seed: 3}
"""
RUNS = 5
PAGE = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if find_engine(os.environ) is None:
        assert not os.environ.get("BENCH_TEST_ENGINE"), "an engine was promised"
        pytest.skip("no container engine answers")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def start(tmp_path: Path, disk: Path) -> tuple[int, str]:
    file = tmp_path / "tiny.yaml"
    file.write_text(MATRIX)
    environment = {**os.environ, "BENCH_REPORTS": str(disk / "reports"), "BENCH_LOCK_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "invoke", "matrix", "--file", str(file), "--gate-wait", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=400)
    return done.returncode, done.stdout + done.stderr


def records(disk: Path) -> list[dict]:
    (file,) = disk.glob("reports/tiny/records/*.jsonl")
    text = file.read_text()
    assert text.endswith("\n"), "the last line is whole"
    return [json.loads(line) for line in text.splitlines()]


def test_a_full_disk_costs_no_record_that_was_made(tmp_path: Path, disk: Path) -> None:
    # A first start measures how much one takes; then there is room for what comes before the report, less half of the
    # records.
    code, output = start(tmp_path, disk)
    assert code == 0, output
    made = [path for path in disk.rglob("*") if path.suffix in {".json", ".jsonl", ".yaml"}]
    used = sum(-(-path.stat().st_size // PAGE) * PAGE for path in made)
    half = sum(path.stat().st_size for path in made if path.parent.name == "records") // 2
    whole = [path for path in disk.rglob("*") if path.is_file()]
    for path in whole:
        path.unlink()
    ballast = disk / "ballast"
    capacity = os.statvfs(disk)
    ballast.write_bytes(bytes(capacity.f_bavail * capacity.f_frsize - used + half))

    code, output = start(tmp_path, disk)
    assert code == 3, output
    assert "no space is left on its disk" in output
    assert "-> " in output
    assert "Traceback" not in output
    before = records(disk)
    assert 0 < len(before) < RUNS

    ballast.unlink()
    code, output = start(tmp_path, disk)
    assert code == 0, output
    after = records(disk)
    assert after[: len(before)] == before
    names = [(record["run"]["key"], record["run"]["round"]) for record in after]
    assert len(names) == len(set(names)) == RUNS
