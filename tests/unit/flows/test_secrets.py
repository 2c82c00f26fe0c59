"""Canaries: secrets planted wherever the harness could pick them up are found in no file that it writes."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.engine.replay import scripted
from harness.errors import CellsFailedError
from harness.flows import prepare as prepare_flow

CANARY = "c4n4ry"
SECRETS = {
    "HF_TOKEN": f"hf_{CANARY}{'A1' * 12}",
    "AWS_SECRET_ACCESS_KEY": f"aws-{CANARY}-9a8b7c",
    "LLAMA_API_KEY": f"llama-{CANARY}-key",
    "LLAMA_ARG_HF_TOKEN": f"hf_{CANARY}{'B2' * 12}",
    "GGML_RPC_PASSWORD": f"rpc-{CANARY}-pass",
    "DOCKER_AUTH_CONFIG": f'{{"auths":"{CANARY}"}}',
}
UUID = f"GPU-{'8f2c9a1e'}-1111-2222-3333-444455556666"
MATRIX = """
preset: quick
repetitions: 2
models: {{own: {{file: "{path}"}}}}
cells:
  - {{backend: cpu, model: own, n_threads: 2, tests: [pp8, tg4]}}
"""


def written(folder: Path) -> dict[Path, str]:
    return {p: p.read_text(errors="replace") for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("fails", [False, True])
def test_no_canary_is_in_any_artefact(
    harness: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: bool
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", UUID)
    home = tmp_path / f"home-{CANARY}"
    monkeypatch.setenv("HOME", str(home))
    model = home / f"project-{CANARY}" / "model.gguf"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"GGUF")
    monkeypatch.setattr(
        prepare_flow, "prepare_model", lambda s, **_how: replace(harness.model, name=s.name, path=model)
    )
    model.chmod(0o644)
    url = f"https://user:{CANARY}pw@example.org/matrix"
    file = harness.matrix(MATRIX.format(path=model))
    monkeypatch.setattr(sys, "argv", ["invoke", "matrix", "--file", str(home / "x.yaml"), "--machine", "box", url])
    if fails:
        said = [
            f"error: bind source path does not exist: {model}",
            f"curl: 401 for {url} with {SECRETS['HF_TOKEN']}",
            f"error: out of memory near {SECRETS['AWS_SECRET_ACCESS_KEY']} at {model.parent}",
            "error: failed to load model",
        ]
        harness.bench.ends.extend([scripted("", "\n".join(said), exit_code=1)] * 8)
        with pytest.raises(CellsFailedError):
            harness.measure(file)
    else:
        harness.measure(file)
    files = written(harness.workspace.reports / "tiny")
    assert any("records" in str(path) for path in files)
    assert any("sessions" in str(path) for path in files)
    for path, text in files.items():
        if path.name == "matrix.yaml":
            # The user's own words; the path of a local model is among them, and docs/security.md says so.
            continue
        found = re.findall(rf".{{0,60}}(?:{CANARY}|{UUID}).{{0,40}}", text)
        assert found == [], path
    if fails:
        assert any("[redacted]" in text for text in files.values())
