"""Are slowdowns found that are there, and are none found that are not? With real containers on this machine.

Every round starts six containers in random order: two pairs of the same model (A/A), and the same model with a few
layers more, which makes it slower by a known share of its work: about 3 % and about 10 %. Ten rounds are one attempt,
and each attempt is judged by the comparison that the harness ships (paired t on per-round log ratios, 95 %).

    .venv/bin/python benchmarks/detection.py --attempts 10

Without the gate and with one thread: a container takes about a second, the whole about ten minutes. Prints, for each
test, how many of the attempts found each slowdown, and how many of twice as many A/As gave a false alarm.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.artifacts.models import MODEL_PATH, prepare_model
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.running import run as run_container
from harness.flows.workspace import find_workspace
from harness.stats.paired import compare_paired
from harness.stats.verdicts import Comparison, Verdict, in_words
from harness.values.container import BindMount, ContainerSpec
from harness.values.matrix import ModelSource

LAYERS = 32
SLOWER = {"about 3 %": LAYERS + 1, "about 10 %": LAYERS + 3}
ARMS = {"a1": LAYERS, "a2": LAYERS, "a3": LAYERS, "a4": LAYERS, **SLOWER}
PAIRS = (("a1", "a2"), ("a3", "a4"))
RECIPE = {
    "architecture": "llama", "n_embd": 256, "n_ff": 1024, "n_heads": 4, "n_kv_heads": 4, "n_vocab": 1024, "n_ctx": 512,
    "quantization": "Q4_0", "seed": 1,
}  # fmt: skip
TESTS = {"pp64": (64, 0), "tg32": (0, 32)}
Values = dict[str, dict[str, list[float]]]


def one(engine: DockerEngine, image: str, model: Path, repetitions: int, core: int) -> dict[str, float]:
    """Median ns a token of each test in a container of its own, the first repetition left out."""
    argv = (
        "/app/llama-bench", "-m", MODEL_PATH, "-r", str(repetitions), "-o", "jsonl", "-p", "64", "-n", "32", "-t", "1",
        "-C", hex(1 << core), "--cpu-strict", "1", "-dev", "none", "-ngl", "0", "-fa", "0",
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


def attempt(once: Callable[[str], dict[str, float]], rounds: int, shuffle: random.Random) -> Values:
    """Run values of every arm in every round, by test."""
    values: Values = {test: {arm: [] for arm in ARMS} for test in TESTS}
    for _ in range(rounds):
        order = list(ARMS)
        shuffle.shuffle(order)
        for arm in order:
            for test, value in once(arm).items():
                values[test][arm].append(value)
    return values


def scatter(first: list[float], second: list[float]) -> float:
    """Standard deviation of the per-round ratio."""
    return statistics.stdev(b / a for a, b in zip(first, second, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=6)
    parser.add_argument("--image", default="llama-bench-harness/llama.cpp:full-cpu-b11312")
    asked = parser.parse_args()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    core = (os.cpu_count() or 1) - 1
    if core:
        os.sched_setaffinity(0, range(core))
    engine = DockerEngine(endpoint.host)
    image = engine.image_id(asked.image) or sys.exit(f"{asked.image} is not there")
    cache = find_workspace().cache
    models = {
        layers: prepare_model(
            ModelSource(name=f"detection-{layers}", kind="synthetic", recipe={**RECIPE, "n_layers": layers}),
            cache=cache,
            base=cache,
        ).path
        for layers in sorted(set(ARMS.values()))
    }
    shuffle = random.Random(1)
    found: dict[tuple[str, str], list[Comparison]] = {}
    noise: dict[str, list[float]] = {test: [] for test in TESTS}

    def once(arm: str) -> dict[str, float]:
        return one(engine, image, models[ARMS[arm]], asked.repetitions, core)

    for arm in SLOWER:
        once(arm)
    for number in range(1, asked.attempts + 1):
        for test, by_arm in attempt(once, asked.rounds, shuffle).items():
            for first, second in (*PAIRS, *(("a1", arm) for arm in SLOWER)):
                comparison = compare_paired(by_arm[first], by_arm[second])
                assert comparison is not None
                what = second if second in SLOWER else "A/A"
                found.setdefault((test, what), []).append(comparison)
                print(f"attempt {number} {test:5} {what:10} {in_words(comparison)}", flush=True)
            noise[test] += [scatter(by_arm[first], by_arm[second]) for first, second in PAIRS]
    print()
    for (test, what), comparisons in found.items():
        verdicts = [comparison.verdict for comparison in comparisons]
        different = sum(verdict in {Verdict.FASTER, Verdict.SLOWER} for verdict in verdicts)
        told = f"{different} false alarms" if what == "A/A" else f"found slower {verdicts.count(Verdict.SLOWER)} times"
        middle = 100 * (statistics.median(comparison.ratio for comparison in comparisons) - 1)
        print(
            f"{test:5} {what:10} {told} in {len(verdicts)} attempts of {asked.rounds} rounds (median {middle:+.1f} %; "
            f"one pair scatters by {100 * statistics.median(noise[test]):.1f} %)"
        )


if __name__ == "__main__":
    main()
