"""The stub as a program of this machine: the same files as in its image, in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.values.matrix import ModelSource
from tests.rig.script import Script
from tests.rig.stub_image import NoCompilerError, stub_program
from tests.rig.templates import templates

TINY = {
    "architecture": "llama",
    "n_layers": 2,
    "n_embd": 256,
    "n_ff": 512,
    "n_heads": 4,
    "n_kv_heads": 4,
    "n_vocab": 1024,
    "n_ctx": 512,
    "quantization": "Q4_0",
    "seed": 3,
}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return stub_program(tmp_path_factory.mktemp("stub"))
    except NoCompilerError as problem:
        pytest.skip(str(problem))


@pytest.fixture
def play(program: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the stub with a script."""

    def go(script: Script, *argv: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / script.sha256[:8]
        if not folder.is_dir():
            folder.mkdir()
            (folder / "llama-bench").hardlink_to(program)
            (folder / "script.txt").write_text(script.text())
            for name, text in templates(script.backend).items():
                (folder / name).write_text(text)
        return subprocess.run(
            [str(folder / "llama-bench"), *argv], capture_output=True, text=True, timeout=60, check=False
        )

    return go


@pytest.fixture
def tiny_source() -> ModelSource:
    return ModelSource(name="tiny", kind="synthetic", recipe=dict(TINY))
