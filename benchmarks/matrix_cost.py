"""How much longer is a whole matrix than the same number of bare `docker run` commands with the same llama-bench?

Each round makes, in random order, one `invoke matrix` and one shell loop over `docker run --rm` with the argv that a
matrix recorded. The gate's looks and waits are subtracted and shown apart: a loop does not wait for a quiet machine.

    .venv/bin/python benchmarks/matrix_cost.py --rounds 10 --minutes 14
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from raw_results import RawResults, Row, add_arguments, table

from harness.artifacts.models import MODEL_PATH, prepare_model
from harness.engine.discovery import find_engine
from harness.flows.workspace import find_workspace
from harness.machine.gate import WINDOW_S
from harness.matrix.registry import load_registry
from harness.stats.paired import compare_paired

MODEL = "gemma3-270m-q4_k_m"
MATRIX = f"""
preset: quick
rounds: 3
cells:
  - {{backend: cpu, model: {MODEL}, tests: [pp128, tg32]}}
  - {{backend: cpu, model: {MODEL}, tests: [pp128, tg32], flash_attn: 1}}
"""


def by_harness(folder: Path) -> tuple[float, float, list[Row]]:
    """Wall time of one start without the gate, that of the gate, in seconds, and what it recorded."""
    (folder / "cost.yaml").write_text(MATRIX)
    environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports")}
    command = [sys.executable, "-m", "invoke", "matrix", "--file", str(folder / "cost.yaml"), "--gate-wait", "0"]
    begin = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall = time.monotonic() - begin
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    paths = sorted(folder.glob("reports/cost/records/*.jsonl"))
    made = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    gate = sum(WINDOW_S + float(record["gate"]["waited_s"]) for record in made)
    return wall - gate, gate, made


def by_loop(made: list[Row], host: str, model: Path) -> float:
    """Wall time of one `docker run` after the other, in seconds."""
    begin = time.monotonic()
    for record in made:
        command = ["docker", "-H", host, "run", "--rm", "--network", "none", "-v", f"{model}:{MODEL_PATH}:ro"]
        command += ["--entrypoint", record["argv"][0], record["image"], *record["argv"][1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"docker run failed: {done.stderr[-500:]}")
    return time.monotonic() - begin


def show(rows: list[Row], containers: int) -> None:
    harness_s, loop_s = ([row[name] for row in rows] for name in ("harness_s", "loop_s"))
    # compare_paired gives speed of the second over the first, which is time of the first over the second.
    found = compare_paired(harness_s, loop_s)
    table(
        f"A matrix of {containers} containers and the same `docker run` commands in a loop, {len(rows)} rounds",
        ["Matrix, without the gate", "The loop", "Ratio", "95 % interval", "The gate's looks and waits, apart"],
        [[
            f"{statistics.median(harness_s):.1f} s",
            f"{statistics.median(loop_s):.1f} s",
            f"{found.ratio:.3f}" if found else "-",
            f"{found.low:.3f} to {found.high:.3f}" if found else "fewer than two rounds",
            f"{statistics.median(row['gate_s'] for row in rows):.1f} s",
        ]] if rows else [],
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    add_arguments(parser)
    asked = parser.parse_args()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    workspace = find_workspace()
    model = prepare_model(load_registry(workspace.registry)[MODEL], cache=workspace.cache, base=workspace.cache).path
    with tempfile.TemporaryDirectory() as scratch:
        _, _, made = by_harness(Path(scratch))  # caches are filled; and what a loop has to run is known
    by_loop(made[:1], endpoint.host, model)
    raw = RawResults("matrix_cost", asked, {"matrix": MATRIX, "image": made[0]["image"]})
    while len(raw.rows) < asked.rounds and raw.time_left():
        row: Row = {}
        arms = ["harness", "loop"]
        random.Random(f"{len(raw.rows)}").shuffle(arms)
        for arm in arms:
            if arm == "loop":
                row["loop_s"] = by_loop(made, endpoint.host, model)
            else:
                with tempfile.TemporaryDirectory() as scratch:
                    row["harness_s"], row["gate_s"], _ = by_harness(Path(scratch))
        raw.add(first=arms[0], **row)
        print(f"matrix {row['harness_s']:.2f} s, loop {row['loop_s']:.2f} s, gate {row['gate_s']:.1f} s", flush=True)
    show(raw.rows, len(made))


if __name__ == "__main__":
    main()
