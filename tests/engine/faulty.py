"""A stub image, whose llama-bench computes nothing and fails in every way, and a harness that measures with it.

What comes from it is marked simulated by the image's label. Its faults and what becomes of each stand in `FAULTS`.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.engine.image_store import DockerImageStore
from harness.store.records import RecordStore
from harness.values.record import Record
from tests.engine.own_engine import IMAGE

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests/captures"
FAULTS: Mapping[str, str] = {
    "abort": "abort",
    "segv": "crash",
    "exit": "exit",
    "load": "load",
    "device_memory": "oom_device",
    "host_memory": "oom_host",
    "hang": "hang",
    "slow": "timeout",
    "empty": "missing_rows",
    "forks": "exit",
    "closed": "missing_rows",
    "samples": "inconsistent",
    "parameters": "wrong_parameters",
    "nan": "malformed",
    "cut": "malformed",
    "rates": "inconsistent",
    "bytes": "",
    "flood": "",
    "orphans": "",
}
"""What the stub does at random, and the reason that is recorded for it; empty where it costs nothing.

Two more are for single tests: `pause` takes six seconds and is well, `environment` prints its own and fails."""

SYNTHETIC = (
    "{architecture: llama, n_layers: 1, n_embd: 64, n_ff: 64, n_heads: 2, n_kv_heads: 2, n_vocab: 128, n_ctx: 128,"
    " quantization: Q4_0, seed: 3}"
)
N_PARAMS = 45_248


def matrix(tag: str, *, groups: int, rounds: int, timeout_s: float = 10) -> str:
    """A matrix with this many containers a round: every third has two tests, in one container."""
    one, two = groups - groups // 3, groups // 3
    labels = [f"a{index}" for index in range(one)], [f"b{index}" for index in range(two)]
    cells = [f"  - {{backend: cpu, model: tiny, tests: [tg4], label: {json.dumps(labels[0])}, timeout: {timeout_s}}}"]
    if two:
        both = json.dumps(labels[1])
        cells.append(f"  - {{backend: cpu, model: tiny, tests: [pp4, tg4], label: {both}, timeout: {timeout_s}}}")
    head = f"preset: quick\nrounds: {rounds}\nrepetitions: 2\nmemory: 128MiB\nimages: {{cpu: {{ref: {tag!r}}}}}\n"
    return f"{head}models: {{tiny: {{synthetic: {SYNTHETIC}}}}}\ncells:\n" + "\n".join(cells) + "\n"


def build_faulty(host: str, *, rate: float, faults: Sequence[str] = tuple(FAULTS), name: str = "soak") -> str:
    """Build the stub's image on top of the base image; its tag."""
    tag = f"llama-bench-harness/faulty:{name}"
    row = (CAPTURES / "cpu-b11312/good-v.stdout").read_text().splitlines()[0]
    for key, value in {
        "n_prompt": "%PROMPT%", "n_gen": "%GEN%", "n_depth": "%DEPTH%", "n_gpu_layers": "%LAYERS%",
        "n_threads": "%THREADS%", "type_v": '"%TYPEV%"', "samples_ns": "[%NS%]", "samples_ts": "[%TS%]",
        "avg_ts": "%AVG%", "model_n_params": str(N_PARAMS), "model_size": "1000",
    }.items():  # fmt: skip
        row, count = re.subn(rf'"{key}": (\[[^]]*\]|"[^"]*"|[^,}}]+)', lambda _m, k=key, v=value: f'"{k}": {v}', row)
        assert count == 1, key
    files = {
        "Dockerfile": f"FROM {IMAGE}\nCOPY llama-bench help.txt log.txt row.txt faults.txt /app/\n",
        "llama-bench": Path(__file__).with_name("faulty_bench.pl").read_text(),
        "help.txt": (CAPTURES / "llama-bench-help/b11312.txt").read_text(),
        "log.txt": (CAPTURES / "cpu-b11312/good-v.stderr").read_text(),
        "row.txt": row[:-1] + ', "stub_fault": "%FAULT%"}\n',
        "faults.txt": f"{rate} {' '.join(faults)}\n",
    }
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    store = DockerImageStore.connect(host)
    try:
        labels = {"llama-bench-harness.simulated": "1"}
        store.build(context, tag=tag, build_args={}, labels=labels, on_text=lambda _text: None)
    finally:
        store.close()
    return tag


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyHarness:
    """Starts of the harness over one matrix, in processes of their own that can be killed.

    Attributes:
        folder: reports, cache, lock and temporary files of these starts and of no others.
        file: the matrix file. environment: of the processes.
    """

    folder: Path
    file: Path
    environment: Mapping[str, str]

    @classmethod
    def made(cls, folder: Path, text: str, environment: Mapping[str, str]) -> FaultyHarness:
        """Write the matrix file and make the folders."""
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        file = folder / "stub.yaml"
        file.write_text(text)
        return cls(folder=folder, file=file, environment=environment)

    @property
    def report(self) -> Path:
        """The folder of the simulated results."""
        return self.folder / "reports/stub/simulated"

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Begin; its output is a pipe."""
        command = [sys.executable, "-m", "tests.engine.quick_start", str(self.file), *options]
        return subprocess.Popen(
            command, cwd=ROOT, env=dict(self.environment), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *options: str, timeout_s: float = 600) -> tuple[int, list[str], dict[str, list[str]]]:
        """From start to end: exit code, lines, and what the process held at its end."""
        process = self.start(*options)
        output, _ = process.communicate(timeout=timeout_s)
        lines = output.splitlines()
        held = json.loads(lines.pop()) if lines and lines[-1].startswith("{") else {}
        return process.returncode, lines, held

    def count(self) -> int:
        """Lines of records so far."""
        return sum(path.read_bytes().count(b"\n") for path in (self.report / "records").glob("*.jsonl"))

    def wait_for(self, count: int, process: subprocess.Popen[str], seconds: float = 120) -> bool:
        """Wait until so many records are there; False where the process ended before."""
        limit = time.monotonic() + seconds
        while self.count() < count:
            if process.poll() is not None:
                return False
            assert time.monotonic() < limit, f"{count} records did not come, {self.count()} are there"
            time.sleep(0.02)
        return True

    def records(self) -> tuple[Record, ...]:
        """What was recorded, read and checked as the harness does."""
        store = RecordStore(self.report, simulated=True)
        (machine,) = store.machines()
        return store.read(machine)

    def leftovers(self) -> list[str]:
        """Temporary and half-written files."""
        names = [
            path for path in self.folder.rglob("*") if re.search(r"\.partial$|\.tmp|^\.answers-|\.torn", path.name)
        ]
        return sorted(str(path) for path in [*names, *(self.folder / "tmp").iterdir()])


def fault_of(record: Record) -> str:
    """What the stub says it did in the container of this record; empty for nothing."""
    for outcome in record.outcomes:
        if outcome.row and outcome.row.get("stub_fault"):
            return str(outcome.row["stub_fault"])
    said = re.search(r"stub: fault (\w+)", record.diagnosis)
    return said[1] if said else ""


def open_files(pid: int) -> int:
    """How many descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are enough
