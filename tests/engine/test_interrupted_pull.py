"""SIGTERM while an image is pulled: the program ends at once and cleanly, and the next start goes on."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.engine.docker_engine import DockerEngine

pytestmark = [pytest.mark.engine]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def silent_registry() -> Iterator[tuple[int, threading.Event]]:
    """A registry on this machine that takes connections and never answers; the event tells of the first."""
    asked = threading.Event()
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    asked.set()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for connection in held:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_pull_that_hangs_ends_at_once_and_leaves_nothing(
    tmp_path: Path, host: str, shared_engine: DockerEngine, silent_registry: tuple[int, threading.Event], number: int
) -> None:
    port, asked = silent_registry
    ref = f"127.0.0.1:{port}/nobody/llama.cpp:full-b1"
    matrix = tmp_path / "pull.yaml"
    matrix.write_text(
        f"""
preset: quick
images: {{cpu: {{ref: "{ref}"}}}}
cells: [{{backend: cpu, model: synthetic-17m-q4_0, tests: [pp8]}}]
"""
    )
    environment = {
        **os.environ,
        "BENCH_REPORTS": str(tmp_path / "reports"),
        "BENCH_LOCK_DIR": str(tmp_path),
        "DOCKER_HOST": host,
    }
    command = [sys.executable, "-m", "invoke", "matrix", "--file", str(matrix), "--gate-wait", "0"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert asked.wait(60), "the engine never asked the registry"
    begin = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - begin < 15
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "-> " in output, "it says how to go on"
    assert shared_engine.image_id(ref) is None
    records = [json.loads(line) for path in tmp_path.glob("reports/*/records/*") for line in path.open()]
    assert records == []
