"""Secrets planted around a campaign with real containers, failures among them: none is seen inside, none written."""

import re
from pathlib import Path

import pytest

from tests.engine.faulty import FaultyHarness, build_faulty, matrix
from tests.engine.own_engine import OwnEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

CANARY = "c4n4ry"
PLANTED = {
    "HF_TOKEN": f"hf_{CANARY}{'A1' * 12}",
    "HUGGING_FACE_HUB_TOKEN": f"hf_{CANARY}{'B2' * 12}",
    "AWS_SECRET_ACCESS_KEY": f"aws-{CANARY}-9a8b7c",
    "LLAMA_ARG_HF_TOKEN": f"hf_{CANARY}{'C3' * 12}",
    "GGML_RPC_PASSWORD": f"rpc-{CANARY}-pass",
    "GGML_HARMLESS": "harmless-value",
    "HTTPS_PROXY": f"http://user:{CANARY}@proxy.invalid:1",
    "NO_PROXY": "*",
}


def test_no_canary_in_a_container_nor_in_any_file(own: OwnEngine, tmp_path: Path) -> None:
    # The llama-bench of this image prints its whole environment and fails; half of its runs are well.
    tag = build_faulty(own.host, rate=0.5, faults=["environment", "abort"], name="environment")
    folder = tmp_path / f"home-{CANARY}"
    environment = {**own.environment(folder), **PLANTED, "HOME": str(folder)}
    harness = FaultyHarness.made(folder, matrix(tag, groups=8, rounds=1), environment)
    harness.run(f"https://user:{CANARY}@example.invalid/x")
    said = "\n".join(record.diagnosis for record in harness.records())
    assert "HOME=/tmp" in said, "the environment of a container was recorded"
    assert "harmless-value" not in said, "nothing of the harness's environment is handed on"
    for path in (path for path in folder.rglob("*") if path.is_file() and path != harness.file):
        found = re.findall(rb".{0,60}" + CANARY.encode() + rb".{0,30}", path.read_bytes())
        assert found == [], path
