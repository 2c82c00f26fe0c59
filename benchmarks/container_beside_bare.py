"""The cost of the container where the machine is not quiet: both ways at the same time, taking turns on one core.

On a rented machine the speed of a core changes within seconds, and runs one after the other scatter by a fifth. Here
two llama-bench processes of one thread are pinned to the same core, one in the closed container, one bare (from the
image's own root). The kernel gives each half of it, a few milliseconds at a time, so that whatever slows the core slows
both. A control has two bare ones. Of the repetitions the first and last eighth are left out, when one may be alone.

As root, on an engine with control groups v1: each process is in a group of the same weight at the root.

    .venv/bin/python benchmarks/container_beside_bare.py --rounds 12 --minutes 9
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import docker
from container_cost import LABELS, unpacked_root
from raw_results import RawResults, Row, add_arguments, table

from harness.artifacts.models import MODEL_PATH, prepare_model
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.running import run as run_container
from harness.flows.workspace import find_workspace
from harness.matrix.registry import load_registry
from harness.stats.paired import compare_paired
from harness.stats.verdicts import in_words
from harness.values.container import BindMount, ContainerSpec

GROUPS = Path("/sys/fs/cgroup/cpu")
PAIRS = {"container beside bare": ("bare", "container"), "bare beside bare (control)": ("bare", "bare")}
TESTS = {"pp128": ("-p", "128", "-n", "0"), "tg32": ("-p", "0", "-n", "32")}
SHARE_LEFT_OUT = 8


@contextmanager
def group(name: str) -> Iterator[Path]:
    """A group of processes with the weight that the engine's group of all containers has."""
    folder = GROUPS / name
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        folder.rmdir()


def nanoseconds(stdout: str) -> float:
    """Of the repetitions in the middle, together."""
    (row,) = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
    samples = row["samples_ns"]
    cut = len(samples) // SHARE_LEFT_OUT
    return float(sum(samples[cut:-cut]))


def bare(root: Path, argv: Sequence[str], folder: Path) -> float:
    """In the image's root, in a group of its own."""

    def enter() -> None:
        (folder / "tasks").write_text(str(os.getpid()))
        os.sched_setaffinity(0, range(os.cpu_count() or 1))

    command = ["/usr/sbin/chroot", str(root), *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"HOME": "/tmp"}, preexec_fn=enter)
    return nanoseconds(done.stdout)


def contained(engine: DockerEngine, image: str, model: Path, argv: Sequence[str], began: Event) -> float:
    """In the container that a matrix would start."""
    spec = ContainerSpec(
        name=f"lbh-benchmark-{os.getpid()}-{time.monotonic_ns()}",
        image=image,
        argv=tuple(argv),
        labels=LABELS,
        mounts=(BindMount(source=model.resolve(), target=MODEL_PATH),),
        memory_bytes=8 * 1024**3,
    )
    ended = run_container(engine, spec, timeout_s=900, on_start=lambda _: began.set())
    if ended.exit_code != 0:
        sys.exit(f"the container failed: {ended.error or [line.text for line in ended.stderr[-5:]]}")
    return nanoseconds("\n".join(line.text for line in ended.stdout))


def show(rows: Sequence[Row]) -> None:
    """A table of both pairs."""
    lines = []
    for pair in PAIRS:
        for test in TESTS:
            own = [row["ns"] for row in rows if (row["pair"], row["test"]) == (pair, test)]
            found = compare_paired(*([ns[arm] for ns in own] for arm in (0, 1)))
            if found is not None:
                interval = f"{found.low:.4f} to {found.high:.4f}"
                low = f"{1 - found.smallest_effect:.4f}"
                lines.append([pair, test, f"{found.ratio:.4f}", interval, low, str(found.rounds), in_words(found)])
    header = ["Second over first", "Test", "Ratio of speeds", "95 % interval", "could show", "Rounds", "In words"]
    table("One thread each, on the same core at the same time", header, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--repetitions", type=int, default=48)
    parser.add_argument("--model", default="synthetic-17m-q4_0", help="a name of the registry")
    parser.add_argument("--image", default="llama-bench-harness/llama.cpp:full-cpu-b11312")
    add_arguments(parser)
    asked = parser.parse_args()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    if not (GROUPS / "docker").is_dir():
        sys.exit(f"{GROUPS}/docker is not there: this needs control groups v1 and Docker")
    core = (os.cpu_count() or 1) - 1
    os.sched_setaffinity(0, range(max(1, core)))
    engine = DockerEngine(endpoint.host)
    image = engine.image_id(asked.image) or sys.exit(f"{asked.image} is not there: ./bench images --build")
    workspace = find_workspace()
    source = load_registry(workspace.registry)[asked.model]
    model = prepare_model(source, cache=workspace.cache, base=workspace.cache).path
    shared = (
        "/app/llama-bench", "-m", MODEL_PATH, "-r", str(asked.repetitions), "-o", "jsonl", "-dev", "none", "-ngl", "0",
        "-fa", "0", "-t", "1", "-C", hex(1 << core), "--cpu-strict", "1",
    )  # fmt: skip
    raw = RawResults("container_beside_bare", asked, {"image": image, "model": asked.model, "argv": shared})
    client = docker.DockerClient(base_url=endpoint.host)
    made = {(row["round"], row["pair"], row["test"]) for row in raw.rows}
    with (
        unpacked_root(client, image, model) as root,
        group("lbh-first") as first,
        group("lbh-second") as second,
        ThreadPoolExecutor() as pool,
    ):
        for round_ in range(1, asked.rounds + 1):
            work = [(pair, test) for pair in PAIRS for test in TESTS if (round_, pair, test) not in made]
            random.Random(round_).shuffle(work)
            for pair, test in work:
                if not raw.time_left():
                    print("the time is over: the same command goes on")
                    show(raw.rows)
                    return
                argv, began = (*shared, *TESTS[test]), Event()
                if PAIRS[pair][1] == "bare":
                    began.set()
                    other = pool.submit(bare, root, argv, second)
                else:
                    other = pool.submit(contained, engine, image, model, argv, began)
                if not began.wait(60):
                    sys.exit("the container did not start")
                ns = [bare(root, argv, first), other.result()]
                raw.add(round=round_, pair=pair, test=test, ns=ns)
    show(raw.rows)


if __name__ == "__main__":
    main()
