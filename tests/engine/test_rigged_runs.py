"""`invoke matrix` from start to report with a made-up APU on a real engine: proven, and failing in each known way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
ABORT = "/app/ggml/src/ggml-cuda/ggml-cuda.cu:89: ROCm error"
NO_MEMORY = (
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 6550.00 MiB on device 0: cudaMalloc failed: out of memory"
)
FAULTS = {
    "fallback": ("fallback", "cpu_fallback"),
    "on-host": ("host-weights", "cpu_fallback"),
    "other-card": ("other-device=AMD Radeon RX 7900 XTX (RADV NAVI31)", "wrong_device"),
    "no-memory": ("host-memory", "cpu_fallback"),
    "idle": ("idle", "cpu_fallback"),
    "full": (f"load-out-of-memory={NO_MEMORY}", "oom_device"),
    "aborts": (f"abort@tg128={ABORT}", "abort"),
    "killed": ("killed@tg128", "oom_host"),
    "hangs": ("hang@tg128", "timeout"),
    "garbled": ("garbage@tg128", "malformed"),
}
"""By image: what is wrong with it, and the reason that its cell has to have."""
VULKAN = ("other-card",)
"""Mesa's names tell cards apart where ROCm's need not."""


def matrix(names: tuple[str, ...], *, tests: str) -> str:
    images = "".join(f"  {name}: {{ref: 'llama-bench-harness/rig-test:{name}'}}\n" for name in names)
    shape = f"model: synthetic-7b-q8_0, device: 8060S, tests: [{tests}], load_mode: none, timeout: 20"
    backends = {name: "vulkan" if name in VULKAN else "rocm" for name in names}
    cells = "".join(f"  - {{backend: {backends[name]}, image: {name}, {shape}}}\n" for name in names)
    return f"preset: quick\nimages:\n{images}cells:\n{cells}"


@pytest.fixture
def folder() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("device nodes are made by root only")
    # Not in /tmp, over which containers have a file system of their own.
    with tempfile.TemporaryDirectory(prefix="lbh-rig-", dir="/var/tmp") as made:
        yield Path(made)


class Rig:
    """Starts of the rig with one matrix, and what they left."""

    def __init__(self, folder: Path, host: str, text: str) -> None:
        self.folder = folder
        self.file = folder / "rigged.yaml"
        self.file.write_text(text)
        own = {"BENCH_REPORTS": str(folder / "reports"), "BENCH_LOCK_DIR": str(folder), "DOCKER_HOST": host}
        own["XDG_STATE_HOME"] = str(folder / "state")
        self.environment = {**os.environ, **own}

    def start_task(self, *task_options: str) -> subprocess.CompletedProcess[str]:
        """A start with options of the task itself."""
        return self.start(task_options=task_options)

    def start(self, *options: str, task_options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.rig", "--engine", "here", "--home", str(self.folder / "rig")]
        task = ["--", "matrix", "--file", str(self.file), "--gate-wait", "0", *task_options]
        done = subprocess.run(
            [*command, "--card", "strix-halo", "--speed", "4", *options, *task],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        if "no C compiler" in done.stderr:
            pytest.skip("there is no C compiler")
        return done

    def records(self) -> list[dict[str, Any]]:
        paths = (self.folder / "reports/rigged/simulated/records").glob("*.jsonl")
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def report(self) -> str:
        return (self.folder / "reports/rigged/simulated/report.md").read_text()


def test_a_run_with_every_proof(folder: Path, host: str) -> None:
    rig = Rig(folder, host, matrix(("good",), tests="tg128"))
    done = rig.start()
    assert done.returncode == 0, done.stdout + done.stderr
    (_, measured) = rig.records()
    assert measured["simulated"]
    (outcome,) = measured["outcomes"]
    proofs = {check["name"]: check["proof"] for check in outcome["checks"]}
    assert set(proofs.values()) == {"proven"}, proofs
    assert {"device_listed", "device", "device_memory", "device_busy"} <= set(proofs)
    tables = re.findall(r"^\|.*\n\|[:|-]+\|$", rig.report(), re.MULTILINE)
    assert len(tables) > 4
    assert all("(simulated)" in head for head in tables)
    assert not (folder / "reports/rigged/records").exists()


def test_every_way_to_fail_is_told_from_the_others(folder: Path, host: str) -> None:
    rig = Rig(folder, host, matrix(tuple(FAULTS), tests="tg128"))
    done = rig.start(*(f"--fault={name}:{fault}" for name, (fault, _) in FAULTS.items()))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    found = {}
    for record in rig.records():
        for outcome in record["outcomes"]:
            if outcome["failure"]:
                name = re.search(r"^\w+:([\w-]+)@", outcome["cell"])
                found[name[1] if name else outcome["cell"]] = outcome["failure"]
    assert {name: failure["reason"] for name, failure in found.items()} == {
        name: reason for name, (_, reason) in FAULTS.items()
    }
    assert "device_memory" in found["no-memory"]["detail"]
    assert "device_busy" in found["idle"]["detail"]
    assert all(f"{reason}" in rig.report() for _, reason in FAULTS.values())


def test_the_largest_context_of_a_card(folder: Path, host: str) -> None:
    """The card has room for 3,000 tokens: every context that a search up to 8,192 can try above is too much."""
    text = (
        "preset: quick\nimages:\n  good: {ref: 'llama-bench-harness/rig-test:good'}\ncells:\n"
        "  - {backend: rocm, image: good, model: synthetic-7b-q8_0, device: 8060S, load_mode: none, "
        "measure: max_context, n_prompt: 4096}\n"
    )
    rig = Rig(folder, host, text)
    too_much = [f"--fault=good:context-out-of-memory@pp{n}={NO_MEMORY}" for n in range(3072, 4097, 256)]
    done = rig.start(*too_much)
    assert done.returncode == 0, done.stdout + done.stderr
    ended = [
        (record["run"]["cells"][0]["test"]["n_prompt"], (outcome["failure"] or {}).get("reason"))
        for record in rig.records()
        for outcome in record["outcomes"]
    ]
    assert ended[0] == (4096, "oom_device")
    assert all((reason == "oom_device") == (tokens > 3000) for tokens, reason in ended)
    assert ended[-1] == (2816, None)
    assert "| 2,816 | 3,072 (oom_device) |" in re.sub(r" +", " ", rig.report())


def test_a_sweep_over_the_power_limit_puts_it_back(folder: Path, host: str) -> None:
    text = matrix(("good",), tests="tg128").replace("timeout: 20", "timeout: 20, power_limit_w: [60, 90, 120]")
    rig = Rig(folder, host, text)
    done = rig.start()
    assert done.returncode == 1, done.stdout + done.stderr
    assert {o["failure"]["reason"] for r in rig.records() for o in r["outcomes"]} == {"power_limit"}
    assert "--set-power-limit" in rig.report()
    done = rig.start_task("--set-power-limit")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = [o for r in rig.records() for o in r["outcomes"] if r["run"]["round"] == 1]
    checks = [check for outcome in measured for check in outcome["checks"] if check["name"] == "power_limit"]
    assert {check["proof"] for check in checks} == {"proven"}
    assert len(checks) == 3
    assert "## Power limit" in rig.report()
    assert not list(folder.rglob("power-limits.json"))
