"""How long from `invoke matrix` to the first container, with image, model and their hashes cached?

The first container is the probe of what the processor can do; then the gate looks at the machine for two seconds, and
the first run follows. Prints the seconds from the command to the creation of both.

    .venv/bin/python benchmarks/start_time.py --starts 10
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

from raw_results import RawResults, add_arguments, table

from harness.machine.gate import WINDOW_S
from harness.stats.intervals import median_interval

MATRIX = """
preset: quick
cells:
  - {backend: cpu, model: gemma3-270m-q4_k_m, tests: [pp16]}
"""

FIRST = {"first container": {"probing", "creating"}, "first run": {"creating"}}
"""Events of the journal, written just before a container is created."""


def one() -> dict[str, float]:
    """Seconds from the command to the creation of the first container, and to that of the first run's."""
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
        at = {
            what: next(datetime.fromisoformat(event["at_utc"]) for event in events if event["event"] in wanted)
            for what, wanted in FIRST.items()
        }
        return {what: (when - begin).total_seconds() for what, when in at.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=10)
    add_arguments(parser)
    asked = parser.parse_args()
    raw = RawResults("start_time", asked, {"matrix": MATRIX, "gate_s": WINDOW_S, "until": sorted(FIRST)})
    one()  # caches are filled
    while len(raw.rows) < asked.starts and raw.time_left():
        raw.add(seconds=one())
        print(", ".join(f"{what} {seconds:.2f} s" for what, seconds in raw.rows[-1]["seconds"].items()), flush=True)
    lines = []
    for what in FIRST:
        seconds = [row["seconds"][what] for row in raw.rows]
        interval = median_interval(seconds)
        lines.append([
            what,
            str(len(seconds)),
            f"{statistics.median(seconds):.2f} s",
            f"{interval.low:.2f} to {interval.high:.2f} s" if interval else "fewer than six starts",
            f"{min(seconds):.2f} s",
            f"{max(seconds):.2f} s",
            "-" if what == "first container" else f"{WINDOW_S:.1f} s",
        ])  # fmt: skip
    table(
        "From `invoke matrix` to the creation of a container, everything cached",
        ["Until the", "Starts", "Median", "95 % interval", "From", "To", "of which the gate looks"],
        lines if raw.rows else [],
    )


if __name__ == "__main__":
    main()
