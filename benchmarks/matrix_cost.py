"""How much longer is a whole matrix than the same number of bare `docker run` commands with the same llama-bench?

Each round makes, in random order, one `invoke matrix` and one shell loop over `docker run --rm` with the argv that the
matrix recorded. The gate's looks and waits are subtracted and shown apart: a loop does not wait for a quiet machine.

    .venv/bin/python benchmarks/matrix_cost.py --rounds 6
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.engine.discovery import find_engine
from harness.flows.workspace import find_workspace
from harness.machine.gate import WINDOW_S
from harness.stats.paired import compare_paired

MATRIX = """
preset: quick
rounds: 3
cells:
  - {backend: cpu, model: gemma3-270m-q4_k_m, tests: [pp128, tg32]}
  - {backend: cpu, model: gemma3-270m-q4_k_m, tests: [pp128, tg32], flash_attn: 1}
"""


def records(folder: Path) -> list[dict[str, object]]:
    paths = sorted(folder.glob("reports/cost/records/*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def by_harness(folder: Path) -> tuple[float, list[dict[str, object]]]:
    """Wall time of one start without the gate, in seconds, and what it recorded."""
    (folder / "cost.yaml").write_text(MATRIX)
    environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports")}
    command = [sys.executable, "-m", "invoke", "matrix", "--file", str(folder / "cost.yaml"), "--gate-wait", "60"]
    begin = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall = time.monotonic() - begin
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    made = records(folder)
    gate = sum(WINDOW_S + float(record["gate"]["waited_s"]) for record in made)  # type: ignore[index]
    return wall - gate, made


def by_loop(made: list[dict[str, object]], host: str, model: Path) -> float:
    begin = time.monotonic()
    for record in made:
        command = ["docker", "-H", host, "run", "--rm", "--network", "none", "-v", f"{model}:/models/model.gguf:ro"]
        argv = [str(word) for word in record["argv"]]  # type: ignore[attr-defined]
        command += ["--entrypoint", argv[0], str(record["image"]), *argv[1:]]
        subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    asked = parser.parse_args()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    harness_s: list[float] = []
    loop_s: list[float] = []
    shuffle = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        _, made = by_harness(Path(scratch))
    model = next(find_workspace().cache.rglob("*gemma*.gguf"))
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as scratch:
            arms = [
                lambda scratch=scratch: harness_s.append(by_harness(Path(scratch))[0]),
                lambda: loop_s.append(by_loop(made, endpoint.host, model)),
            ]
            shuffle.shuffle(arms)
            for arm in arms:
                arm()
        print(f"matrix {harness_s[-1]:.2f} s, loop {loop_s[-1]:.2f} s", flush=True)
    found = compare_paired(harness_s, loop_s)
    assert found is not None
    # compare_paired gives speed of the second over the first, which is time of the first over the second.
    interval = f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"
    print(f"{len(made)} containers; wall time of the matrix over the loop: {interval}")


if __name__ == "__main__":
    main()
