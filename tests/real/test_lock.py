"""The lock on a real engine and a real image: written, measured, and refused when what it names is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine.discovery import find_engine
from harness.engine.image_store import DockerImageStore

pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MATRIX = """
preset: quick
rounds: 1
repetitions: 2
cells:
  - {backend: cpu, model: tiny, tests: [pp32]}
models:
  tiny:
    synthetic: {architecture: llama, n_layers: 2, n_embd: 256, n_ff: 512, n_heads: 4, n_kv_heads: 4, n_vocab: 1024,
                n_ctx: 512, quantization: Q4_0, seed: 3}
"""


@pytest.fixture
def images():
    endpoint = find_engine(os.environ)
    if endpoint is None:
        assert not os.environ.get("BENCH_TEST_ENGINE"), "an engine was promised"
        pytest.skip("no container engine answers")
    store = DockerImageStore.connect(endpoint.host)
    yield store
    store.close()


def invoke(folder: Path, *words: str) -> tuple[int, str]:
    environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports"), "BENCH_LOCK_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=500,
        check=False,
    )
    return done.returncode, done.stdout


def test_what_is_locked_is_measured_and_what_is_gone_is_refused(tmp_path: Path, images: DockerImageStore) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(MATRIX)
    code, said = invoke(tmp_path, "lock", "--file", str(file))
    assert code == 0, said
    lock = tmp_path / "tiny.lock.yaml"
    described = images.inspect("llama-bench-harness/llama.cpp:full-cpu-b11312")
    assert described is not None
    assert f'id: "{described["Id"]}"' in lock.read_text()
    assert "build_number: 11312\n" in lock.read_text()

    measuring = ("matrix", "--file", str(file), "--locked", "--gate-wait", "0")
    code, said = invoke(tmp_path, *measuring)
    assert code == 0, said
    (session,) = (tmp_path / "reports/tiny/sessions").glob("*.json")
    facts = json.loads(session.read_text())
    assert len(facts["lock_sha256"]) == 64
    assert [image["id"] for image in facts["images"]] == [described["Id"]]

    gone = str(described["Id"])[:-4] + "0000"
    lock.write_text(lock.read_text().replace(str(described["Id"]), gone))
    code, said = invoke(tmp_path, *measuring)
    assert code == 2, said
    assert gone in said
    assert "is not here" in said
    assert "docker save" in said
    assert "Traceback" not in said
