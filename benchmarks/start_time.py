"""How long from `invoke matrix` to the first container, with image, model and their hashes cached?

Prints each start's seconds from the command to the first look of the gate and to the container's creation. The gate
looks at the machine for two seconds before a run; that look is part of the second figure.

    .venv/bin/python benchmarks/start_time.py --starts 7
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.machine.gate import WINDOW_S

MATRIX = """
preset: quick
cells:
  - {backend: cpu, model: gemma3-270m-q4_k_m, tests: [pp16]}
"""


def one() -> float:
    """Seconds from the command to the first container's creation, the gate's look included."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "start.yaml").write_text(MATRIX)
        environment = {**os.environ, "BENCH_REPORTS": str(folder / "reports")}
        command = [sys.executable, "-m", "invoke", "matrix", "--file", str(folder / "start.yaml"), "--gate-wait", "0"]
        begin = datetime.now(UTC)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        journal = next(folder.glob("reports/start/journal/*.jsonl"))
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        first = next(event for event in events if event["event"] == "creating")
        return (datetime.fromisoformat(first["at_utc"]) - begin).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=7)
    asked = parser.parse_args()
    one()  # caches are filled
    seconds = [one() for _ in range(asked.starts)]
    middle = statistics.median(seconds)
    print(
        f"{len(seconds)} starts: median {middle:.2f} s ({min(seconds):.2f} to {max(seconds):.2f}) "
        f"to the first container, of which the gate looks at the machine for {WINDOW_S:.1f} s"
    )


if __name__ == "__main__":
    main()
