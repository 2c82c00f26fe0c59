"""How long does it take to merge, check and report the runs of many machines, against plainly parsing the same bytes?

    python benchmarks/report_scale.py --runs 100000 --rounds 3
    python benchmarks/report_scale.py --runs 1000000 --rounds 1 --into FOLDER     keeps the made-up records there

The records are those of one run of the demo, with its telemetry, written again for made-up machines of 2,002 runs each:
26 models in seven depths of the context, a warm-up and ten rounds, 1 % between runs. Every line is a whole record with
a right hash; times, gate and telemetry differ from run to run, so that nothing is read faster than records of
campaigns are because it was there before.
Each round times, in random order and in processes of their own:

    parse     every line through the fastest JSON reader that is here (msgspec), one after the other: nothing is kept
    merge     `invoke merge` into an empty folder, without the report: every record checked in full
    report    `invoke report` of the folder, with charts and page and an empty cache: the hash of every record is
              checked, and the types of what results are computed from
    again     the same after one more run was added, with what the report before it left in the cache

Prints medians in seconds, with those of the processor for all processes together, which others who use the machine
lengthen less; the ratio to `parse` with its 95 % interval where there are enough rounds; and the largest resident
memory of any process. 100,000 runs are 1.6 GB, and twice that while they are merged. No engine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import msgspec
from raw_results import table

from harness.stats.paired import compare_paired
from harness.store.sessions import content_sha256

TEMPLATE = ROOT / "reports" / "across-machines"
MACHINE = "amd-epyc-2c-06d7d0"
"""Whose records are written again: measured with telemetry, as all are now."""
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
MODELS, DEPTHS, ROUNDS = 26, (0, 1024, 2048, 4096, 8192, 16384, 32768), 10
RUNS_OF_MACHINE = MODELS * len(DEPTHS) * (ROUNDS + 1)
ARMS = ("parse", "merge", "report", "again")

Json = dict[str, Any]
_encode = msgspec.json.Encoder(order="sorted").encode


def template() -> tuple[Json, list[Json]]:
    """A session, and of one group with two cells the record of the warm-up and one of a counted round."""
    session = json.loads(sorted((TEMPLATE / "sessions").glob(f"{MACHINE}-*.json"))[-1].read_text())
    path = TEMPLATE / "records" / f"{MACHINE}.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    usable = [r for r in records if "gemma" in r["outcomes"][0]["cell"] and not r["exit_code"]]
    return session, [next(r for r in usable if r["run"]["round"] == n) for n in (0, 1)]


def cells_of(session: Json, model: int, depth: int) -> list[Json]:
    pattern = session["cells"][0]
    found = []
    for n_prompt, n_gen in ((512, 0), (0, 128)):
        name = f"pp{n_prompt}" if n_prompt else f"tg{n_gen}"
        cell = f"cpu/model-{model:02d}/{name}" + (f"@d{depth}" if depth else "")
        test = {**pattern["test"], "n_prompt": n_prompt, "n_gen": n_gen, "n_depth": depth}
        found.append({**pattern, "id": cell, "model": f"model-{model:02d}", "test": test})
    return found


def session_of(number: int, pattern: Json) -> Json:
    """The session of one made-up machine."""
    groups = [(m, d, cells_of(pattern, m, d)) for m in range(MODELS) for d in DEPTHS]
    keys = {c["id"]: hashlib.sha256(f"{number}/{m}/{d}".encode()).hexdigest() for m, d, own in groups for c in own}
    named = [(m, {"name": f"model-{m:02d}", "title": f"Model {m:02d} Q4_K_M"}) for m in range(MODELS)]
    hashes = [{"sha256": f"{m:064x}", "tensors_sha256": f"{m + 100:064x}"} for m in range(MODELS)]
    machine = {"machine": f"epyc-{number:04d}", "devices": [], "cpu_model": f"EPYC {number % 9}"}
    made = {
        "id": f"20261101T000000Z-{number:06x}",
        "machine": {**pattern["machine"], **machine},
        "models": [{**pattern["models"][0], **name, **hashes[m]} for m, name in named],
        "cells": [cell for _, _, own in groups for cell in own],
        "keys": keys,
        "rounds": ROUNDS,
        "matrix": "scale",
        "title": "Scale",
        "screening": False,
        "roofs": [],
    }
    session = {**pattern, **made}
    return {**session, "content_sha256": content_sha256(session)}


def write_machine(folder: Path, number: int, pattern: Json, records: list[Json]) -> None:
    """One machine's records and session."""
    dice = random.Random(number)
    session = session_of(number, pattern)
    machine = session["machine"]["machine"]
    text = json.dumps(session, indent=1, ensure_ascii=False) + "\n"
    (folder / "sessions" / f"{machine}-{session['id']}.json").write_text(text, encoding="utf-8")
    groups = [session["cells"][i : i + 2] for i in range(0, len(session["cells"]), 2)]
    models = {model["name"]: model["sha256"] for model in session["models"]}
    speed = {cell["id"]: dice.uniform(2e5, 4e7) for cell in session["cells"]}
    common = {"machine": machine, "matrix": "scale", "session": session["id"], "invalid": []}
    common["session_sha256"] = session["content_sha256"]
    with (folder / "records" / f"{machine}.jsonl").open("wb") as file:
        for round_ in range(ROUNDS + 1):
            dice.shuffle(groups)
            for place, own in enumerate(groups):
                run = {"key": session["keys"][own[0]["id"]], "round": round_, "order": place, "cells": own}
                changes = {**common, "model_sha256": models[own[0]["model"]], "run": {**run, "attempt": 1, "repeat": 0}}
                shared, pattern_ = dice.gauss(0, 0.01), records[min(round_, 1)]
                pairs = zip(pattern_["outcomes"], own, strict=True)
                made = [outcome(o, cell, speed[cell["id"]] * (1 + shared), dice) for o, cell in pairs]
                seen = of_its_time(pattern_, own, round_ * len(groups) + place, dice)
                file.write(signed({**pattern_, **changes, **seen, "outcomes": made}) + b"\n")


def of_its_time(pattern: Json, own: list[Json], number: int, dice: random.Random) -> Json:
    """What no two runs have in common: times, the gate, and telemetry, whose windows have the names of the cells."""
    begin = BEGIN + timedelta(seconds=10 * number)
    times = [(begin + timedelta(seconds=after)).isoformat(timespec="milliseconds") for after in (0, 8)]
    names = {old["cell"]: new["id"] for old, new in zip(pattern["outcomes"], own, strict=True)}
    windows = [
        {**summary, "window": {**summary["window"], "name": names.get(name := summary["window"]["name"], name)}}
        for summary in pattern["telemetry"]["windows"]
    ]
    return {
        "started_utc": times[0].replace("+00:00", "Z"),
        "ended_utc": times[1].replace("+00:00", "Z"),
        "gate": {**pattern["gate"], "foreign_cpu": round(dice.uniform(0, 0.05), 4)},
        "telemetry": {**pattern["telemetry"], "windows": windows, "sampling_cpu": round(dice.uniform(0.01, 0.02), 4)},
    }


def outcome(pattern: Json, cell: Json, ns: float, dice: random.Random) -> Json:
    test = {name: cell["test"][name] for name in ("n_prompt", "n_gen", "n_depth")}
    tokens = test["n_prompt"] + test["n_gen"]
    samples = [round(ns * tokens * (1 + dice.gauss(0, 0.005))) for _ in pattern["samples_ns"]]
    rates = [1e9 * tokens / sample for sample in samples]
    row = {**pattern["row"], **test, "samples_ns": samples, "samples_ts": rates, "avg_ts": statistics.fmean(rates)}
    return {**pattern, "cell": cell["id"], "samples_ns": samples, "row": row}


def signed(record: Json) -> bytes:
    """Its line, with the hash of everything else as its id."""
    rest = {name: value for name, value in record.items() if name != "id"}
    return bytes(_encode({**rest, "id": hashlib.sha256(_encode(rest)).hexdigest()}))


def generate(folder: Path, runs: int) -> None:
    for name in ("records", "sessions"):
        (folder / name).mkdir(parents=True)
    shutil.copy(TEMPLATE / "matrix.yaml", folder)
    session, records = template()
    for number in range(math.ceil(runs / RUNS_OF_MACHINE)):
        write_machine(folder, number, session, records)


def parse(folder: Path) -> None:
    decode = msgspec.json.Decoder().decode
    for path in sorted((folder / "records").glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                decode(line)


def one_more_run(folder: Path) -> None:
    """What a campaign does when it goes on: one record at the end of one file."""
    path = sorted((folder / "records").glob("*.jsonl"))[0]
    record = json.loads(path.read_bytes().splitlines()[-1])
    record["run"]["attempt"] += 1
    with path.open("ab") as file:
        file.write(signed(record) + b"\n")


_WATCHED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""


Timed = tuple[float, float, float]
"""Seconds, seconds of the processor, and the largest resident memory of a process in GiB."""


def timed(arm: str, folder: Path) -> Timed:
    """One arm, in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        call = ["tasks_program.py", "report", "--file", str(folder)]
        if arm == "merge":
            call = ["tasks_program.py", "merge", str(folder), "--out", f"{place}/merged", "--no-report"]
        elif arm == "parse":
            call = [__file__, "--parse", str(folder)]
        elif arm == "again":
            one_more_run(folder)
        # A cache of its own, beside the records: empty for each report, and kept for the one after it.
        cache = folder.parent / "cache"
        if arm == "report":
            shutil.rmtree(cache, ignore_errors=True)
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        command = [sys.executable, "-c", _WATCHED, sys.executable, *call]
        before = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        took = time.perf_counter() - before
    if done.returncode:
        sys.exit(f"{arm} failed: {done.stderr[-2000:]}")
    processor, memory = done.stdout.split()[-2:]
    return took, float(processor), int(memory) / 1024**2


def rounds(folder: Path, count: int) -> Iterator[dict[str, Timed]]:
    for number in range(count):
        order: list[tuple[str, ...]] = [("parse",), ("merge",), ("report", "again")]
        random.Random(number).shuffle(order)
        found = {arm: timed(arm, folder) for arms in order for arm in arms}
        yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--into", type=Path, help="folder of the made-up records, used again where it is there")
    parser.add_argument("--parse", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.parse:
        parse(asked.parse)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = (asked.into or Path(place)) / f"scale-{asked.runs}"
        if not folder.exists():
            generate(folder, asked.runs)
        files = sorted((folder / "records").glob("*.jsonl"))
        runs, size = RUNS_OF_MACHINE * len(files), sum(path.stat().st_size for path in files)
        made = list(rounds(folder, asked.rounds))
        table(
            f"{runs} runs of {len(files)} machines, {size / 1e6:.0f} MB",
            ["", "s", "s of the processor", "microseconds a run", "times as long as parse (95 %)", "GiB"],
            [row_of(arm, made, runs) for arm in ARMS],
        )


def row_of(arm: str, made: list[dict[str, Timed]], runs: int) -> list[str]:
    seconds, parsed = ([found[name][0] for found in made] for name in (arm, "parse"))
    times = f"{statistics.median(seconds) / statistics.median(parsed):.1f}"
    if arm != "parse" and (ratio := compare_paired(seconds, parsed)):
        times += f" ({ratio.low:.1f} to {ratio.high:.1f})"
    middle, memory = statistics.median(seconds), max(found[arm][2] for found in made)
    processor = statistics.median(found[arm][1] for found in made)
    return [arm, f"{middle:.1f}", f"{processor:.1f}", f"{1e6 * middle / runs:.0f}", times, f"{memory:.2f}"]


if __name__ == "__main__":
    main()
