"""Are slowdowns found that are there, and are none found that are not? With real containers on this machine.

Every round starts six containers in random order: two pairs of the same model (A/A), and the same model with a few
layers more, which makes it slower by a known share of its work: about 3 % and about 10 %. Ten rounds are one attempt,
and each attempt is judged by the comparison that the harness ships (paired t on per-round log ratios, 95 %). Ten
attempts are ten of each slowdown and twenty A/As. One thread, pinned to the last core; the harness is on the others.
Where a machine scatters so much that ten rounds show little, all rounds together say what more of them would.

    .venv/bin/python benchmarks/detection.py --minutes 14

A container takes one to two seconds, ten attempts about fifteen minutes; longer where the core is slow, since it is
waited for as the gate of a matrix does. The same command goes on where the time ended.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raw_results import RawResults, Row, add_arguments, table

from harness.artifacts.models import MODEL_PATH, prepare_model
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.running import run as run_container
from harness.flows.gatekeeper import PACE_WAIT_S
from harness.flows.workspace import find_workspace
from harness.machine.pace import Pace
from harness.stats.paired import compare_paired
from harness.stats.verdicts import Comparison, Verdict, in_words
from harness.values.container import BindMount, ContainerSpec
from harness.values.matrix import ModelSource

LAYERS = 32
SLOWER = {"about 3 %": LAYERS + 1, "about 10 %": LAYERS + 3}
ARMS = {"a1": LAYERS, "a2": LAYERS, "a3": LAYERS, "a4": LAYERS, **SLOWER}
PAIRS = (("a1", "a2"), ("a3", "a4"))
CONTROL = "nothing (A/A)"
RECIPE = {
    "architecture": "llama", "n_embd": 256, "n_ff": 1024, "n_heads": 4, "n_kv_heads": 4, "n_vocab": 1024, "n_ctx": 512,
    "quantization": "Q4_0", "seed": 1,
}  # fmt: skip
TESTS = {"pp64": (64, 0), "tg32": (0, 32)}


def one(engine: DockerEngine, image: str, model: Path, repetitions: int, core: int) -> dict[str, float]:
    """Median ns a token of each test in a container of its own, the first repetition left out."""
    argv = (
        "/app/llama-bench", "-m", MODEL_PATH, "-r", str(repetitions), "-o", "jsonl", "-p", "64", "-n", "32", "-t", "1",
        "-C", hex(1 << core), "--cpu-strict", "1", "-ngl", "0", "-fa", "0",
    )  # fmt: skip
    spec = ContainerSpec(
        name=f"lbh-detection-{os.getpid()}-{time.monotonic_ns()}",
        image=image,
        argv=argv,
        labels={"llama-bench-harness.purpose": "benchmark"},
        mounts=(BindMount(source=model, target=MODEL_PATH),),
        memory_bytes=2 * 1024**3,
    )
    ended = run_container(engine, spec, timeout_s=300)
    rows = [json.loads(line.text) for line in ended.stdout if line.text.startswith("{")]
    if ended.exit_code != 0 or len(rows) != len(TESTS):
        sys.exit(f"the container failed: {ended.error or [line.text for line in ended.stderr[-5:]]}")
    shapes = {shape: name for name, shape in TESTS.items()}
    return {
        shapes[row["n_prompt"], row["n_gen"]]: statistics.median(row["samples_ns"][1:])
        / (row["n_prompt"] + row["n_gen"])
        for row in rows
    }


def wait_for_pace(pace: Pace) -> bool:
    """As the gate of a matrix does: wait for a processor that is at its speed, for ten seconds at most."""
    end = time.monotonic() + PACE_WAIT_S
    while pace.closed():
        if time.monotonic() > end:
            return False
        time.sleep(0.25)
    return True


def values(rows: Sequence[Row], test: str, arm: str) -> list[float]:
    """Of an arm in the rounds of one attempt."""
    return [row["ns"][arm][test] for row in rows]


def judged(rows: Sequence[Row], test: str) -> list[tuple[str, Comparison]]:
    """What was planted, and what is said of it, for each pair of one attempt."""
    found = []
    for first, second in (*PAIRS, *(("a1", arm) for arm in SLOWER)):
        comparison = compare_paired(values(rows, test, first), values(rows, test, second))
        if comparison is not None:
            found.append((second if second in SLOWER else CONTROL, comparison))
    return found


def show(rows: Sequence[Row], rounds: int) -> None:
    """The table of all attempts that are whole."""
    attempts: dict[int, list[Row]] = {}
    for row in rows:
        attempts.setdefault(row["attempt"], []).append(row)
    whole = [made for made in attempts.values() if len(made) == rounds]
    lines = []
    for test in TESTS:
        by_what: dict[str, list[Comparison]] = {}
        for made in whole:
            for what, comparison in judged(made, test):
                by_what.setdefault(what, []).append(comparison)
        for what, found in by_what.items():
            verdicts = [comparison.verdict for comparison in found]
            different = sum(verdict in {Verdict.FASTER, Verdict.SLOWER} for verdict in verdicts)
            without_one = sum(not comparison.low <= 1 <= comparison.high for comparison in found)
            lines.append([
                test,
                what,
                f"{statistics.median(100 * (c.ratio - 1) for c in found):+.1f} %",
                f"{different} false alarms" if what == CONTROL else f"{verdicts.count(Verdict.SLOWER)} found",
                str(len(found)),
                str(without_one),
                str(verdicts.count(Verdict.EQUIVALENT)),
                f"{100 * statistics.median(c.smallest_effect for c in found):.1f} %",
            ])  # fmt: skip
    table(
        f"{len(whole)} attempts of {rounds} rounds, six containers a round",
        ["Test", "Planted", "Median", "Verdict", "of", "interval without 1", "equivalent", "Could show (median)"],
        lines,
    )
    together = [
        [test, what, in_words(comparison), f"{100 * comparison.smallest_effect:.1f} %"]
        for test in TESTS
        for what, comparison in judged(rows, test)
    ]
    table(f"All {len(rows)} rounds as one attempt", ["Test", "Planted", "Verdict", "Could show"], together)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--image", default="llama-bench-harness/llama.cpp:full-cpu-b11312")
    add_arguments(parser)
    asked = parser.parse_args()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    core = (os.cpu_count() or 1) - 1
    if core:
        os.sched_setaffinity(0, range(core))
    engine = DockerEngine(endpoint.host)
    image = engine.image_id(asked.image) or sys.exit(f"{asked.image} is not there: ./bench images --build")
    cache = find_workspace().cache
    models = {
        layers: prepare_model(
            ModelSource(name=f"detection-{layers}", kind="synthetic", recipe={**RECIPE, "n_layers": layers}),
            cache=cache,
            base=cache,
        ).path
        for layers in sorted(set(ARMS.values()))
    }
    setting = {
        "image": image,
        "rounds": asked.rounds,
        "repetitions": asked.repetitions,
        "arms": ARMS,
        "gate": "frequency",
        **RECIPE,
    }
    raw = RawResults("detection", asked, setting)
    for model in models.values():
        one(engine, image, model, asked.repetitions, core)
    pace, slow = Pace(cpus=(core,)), 0
    made = {(row["attempt"], row["round"]) for row in raw.rows}
    left = [(a, r) for a in range(1, asked.attempts + 1) for r in range(1, asked.rounds + 1) if (a, r) not in made]
    for number, round_ in left:
        if not raw.time_left():
            print("the time is over: the same command goes on")
            break
        order = list(ARMS)
        random.Random(f"{number}/{round_}").shuffle(order)
        ns = {}
        for arm in order:
            slow += not wait_for_pace(pace)
            ns[arm] = one(engine, image, models[ARMS[arm]], asked.repetitions, core)
        raw.add(attempt=number, round=round_, order=order, ns=ns)
        rows = [row for row in raw.rows if row["attempt"] == number]
        if len(rows) == asked.rounds:
            for test in TESTS:
                for what, comparison in judged(rows, test):
                    print(f"attempt {number} {test:5} {what:14} {in_words(comparison)}", flush=True)
    print(f"{slow} containers of this call were started although the core was slow, after {PACE_WAIT_S:.0f} s")
    show(raw.rows, asked.rounds)


if __name__ == "__main__":
    main()
