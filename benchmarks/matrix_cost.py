"""How much longer is a whole matrix than the same number of bare `docker run` commands with the same llama-bench?

Each round makes, in random order, one `invoke matrix` and one shell loop over `docker run --rm` with the argv that a
matrix recorded. The gate's looks and waits are subtracted and shown apart: a loop does not wait for a quiet machine.

A start also costs what it costs however many containers follow: until the first run, with the probe of what the
processor can do, and the report at its end. So the runs alone, each from before its container is created until it is
recorded, stand beside the whole.

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
from datetime import UTC, datetime
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
rounds: {{rounds}}
cells:
  - {{{{backend: cpu, model: {MODEL}, tests: [pp128, tg32]}}}}
  - {{{{backend: cpu, model: {MODEL}, tests: [pp128, tg32], flash_attn: 1}}}}
"""


def by_harness(folder: Path, matrix: str) -> tuple[dict[str, float], list[Row]]:
    """Seconds of one start: without the gate, of the gate, of the runs, before and after them; what it recorded."""
    (folder / "cost.yaml").write_text(matrix)
    environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports")}
    command = [sys.executable, "-m", "invoke", "matrix", "--file", str(folder / "cost.yaml"), "--gate-wait", "0"]
    begun, begin = datetime.now(UTC), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall, ended = time.monotonic() - begin, datetime.now(UTC)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    paths = sorted(folder.glob("reports/cost/records/*.jsonl"))
    made = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    gate = sum(WINDOW_S + float(record["gate"]["waited_s"]) for record in made)
    events = [json.loads(line) for line in next(folder.glob("reports/cost/journal/*.jsonl")).read_text().splitlines()]
    begins, ends = ([_at(e) for e in events if e["event"] == event] for event in ("creating", "recorded"))
    runs = sum((end - start).total_seconds() for start, end in zip(begins, ends, strict=True))
    before = (begins[0] - begun).total_seconds() - WINDOW_S - float(made[0]["gate"]["waited_s"])
    after = (ended - ends[-1]).total_seconds()
    return {"harness_s": wall - gate, "gate_s": gate, "runs_s": runs, "before_s": before, "after_s": after}, made


def _at(event: Row) -> datetime:
    return datetime.fromisoformat(event["at_utc"])


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
    lines = []
    for what, name in (("whole matrix, without the gate", "harness_s"), ("its runs alone", "runs_s")):
        seconds, loop = ([row[key] for row in rows] for key in (name, "loop_s"))
        # compare_paired gives speed of the second over the first, which is time of the first over the second.
        found = compare_paired(seconds, loop)
        lines.append([
            what,
            f"{statistics.median(seconds):.1f} s",
            f"{statistics.median(loop):.1f} s",
            f"{found.ratio:.3f}" if found else "-",
            f"{found.low:.3f} to {found.high:.3f}" if found else "fewer than two rounds",
        ])  # fmt: skip
    table(
        f"A matrix of {containers} containers and the same `docker run` commands in a loop, {len(rows)} rounds",
        ["", "Seconds", "The loop", "Ratio", "95 % interval"],
        lines if rows else [],
    )
    for name, what in (
        ("before_s", "before the first run"), ("after_s", "after the last"), ("gate_s", "the gate's looks and waits")
    ):  # fmt: skip
        print(f"{what}: {statistics.median(row[name] for row in rows):.1f} s" if rows else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--counted-rounds", type=int, default=3, help="of the matrix: it has two containers for each, and two"
    )
    add_arguments(parser)
    asked = parser.parse_args()
    matrix = MATRIX.format(rounds=asked.counted_rounds)
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    workspace = find_workspace()
    model = prepare_model(load_registry(workspace.registry)[MODEL], cache=workspace.cache, base=workspace.cache).path
    with tempfile.TemporaryDirectory() as scratch:
        _, made = by_harness(Path(scratch), matrix)  # caches are filled; and what a loop has to run is known
    by_loop(made[:1], endpoint.host, model)
    raw = RawResults("matrix_cost", asked, {"matrix": matrix, "image": made[0]["image"], "parts": True})
    while len(raw.rows) < asked.rounds and raw.time_left():
        row: Row = {}
        arms = ["harness", "loop"]
        random.Random(f"{len(raw.rows)}").shuffle(arms)
        for arm in arms:
            if arm == "loop":
                row["loop_s"] = by_loop(made, endpoint.host, model)
            else:
                with tempfile.TemporaryDirectory() as scratch:
                    row |= by_harness(Path(scratch), matrix)[0]
        raw.add(first=arms[0], **row)
        print(", ".join(f"{name[:-2]} {row[name]:.2f} s" for name in row if name.endswith("_s")), flush=True)
    show(raw.rows, len(made))


if __name__ == "__main__":
    main()
