"""Is llama-bench slower in the closed container than the same binary run bare, from the image's own root? And watched?

Three arms a round in random order: bare (chroot into the image's root), in the container, and in the container with the
telemetry that a matrix takes. One thread pinned to the last core, the harness on the others; and all threads. The run
is the unit; the first repetition is not counted. Prints ratios of speeds. As root, since a root is entered.

A run's value is its median repetition, as in every report. Beside it stands the repetition that a twentieth of its
repetitions are as fast as: where others disturb the machine for a part of the time, it is what the program does when
they do not, and shows smaller differences. For that there are many repetitions, each a few milliseconds long.

    .venv/bin/python benchmarks/container_cost.py --model synthetic-17m-q4_0 --rounds 20 --minutes 9
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import docker
from raw_results import RawResults, Row, add_arguments, table

from harness.artifacts.models import MODEL_PATH, prepare_model
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.running import run as run_container
from harness.flows.workspace import find_workspace
from harness.machine.facts import physical_cores
from harness.machine.gate import wait_until_quiet
from harness.machine.vendors import discover_devices
from harness.machine.watch import Watch
from harness.matrix.registry import load_registry
from harness.stats.paired import compare_paired
from harness.stats.verdicts import in_words
from harness.values.container import BindMount, ContainerSpec

LABELS = {"llama-bench-harness.purpose": "benchmark"}
TESTS = {"pp16": ("-p", "16"), "tg4": ("-n", "4")}
ARMS = ("bare", "container", "watched")
RATIOS = (("container over bare", "bare", "container"), ("watched over not", "container", "watched"))
FAST_SHARE = 0.05


def fast(samples: Sequence[float]) -> float:
    """The value that a twentieth of the samples are as small as."""
    return sorted(samples)[int(FAST_SHARE * len(samples))]


VALUES: dict[str, Callable[[Sequence[float]], float]] = {"median": statistics.median, "fastest twentieth": fast}
"""What is made of the counted repetitions of a run."""


def rates(stdout: str) -> dict[str, dict[str, float]]:
    """Ns a token by test, of the median and of a fast repetition, the first left out."""
    values = {}
    for line in stdout.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            name = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
            tokens = row["n_prompt"] + row["n_gen"]
            values[name] = {what: value(row["samples_ns"][1:]) / tokens for what, value in VALUES.items()}
    return values


@contextmanager
def unpacked_root(client: docker.DockerClient, image: str, model: Path) -> Iterator[Path]:
    """The image's file system as a folder that can be entered, with the model in it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        packed = Path(folder) / "root.tar"
        container = client.containers.create(image)
        try:
            with packed.open("wb") as stream:
                for chunk in container.export():
                    stream.write(chunk)
        finally:
            container.remove()
        with tarfile.open(packed) as archive:
            archive.extractall(root, filter="tar")
        packed.unlink()
        inside = root / MODEL_PATH.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model, inside)
        for node, number in (("null", 3), ("urandom", 9)):
            target = root / "dev" / node
            target.unlink(missing_ok=True)
            os.mknod(target, 0o20666, os.makedev(1, number))
        for name in ("proc", "sys"):
            (root / name).mkdir(exist_ok=True)
        mounts = [["-t", "proc", "proc", str(root / "proc")], ["-t", "sysfs", "-o", "ro", "sysfs", str(root / "sys")]]
        try:
            for mount in mounts:
                subprocess.run(["mount", *mount], check=True)
            yield root
        finally:
            for mount in mounts:
                subprocess.run(["umount", mount[-1]], check=False, capture_output=True)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The three ways to run one llama-bench."""

    engine: DockerEngine
    image: str
    model: Path
    root: Path
    watch: Watch

    def run(self, arm: str, argv: Sequence[str]) -> dict[str, dict[str, float]]:
        """Ns a token by test."""
        if arm == "bare":
            return self._bare(argv)
        return self._contained(argv, watched=arm == "watched")

    def _bare(self, argv: Sequence[str]) -> dict[str, dict[str, float]]:
        done = subprocess.run(
            ["/usr/sbin/chroot", str(self.root), *argv],
            capture_output=True,
            text=True,
            check=True,
            env={"HOME": "/tmp"},
            preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)),
        )
        return rates(done.stdout)

    def _contained(self, argv: Sequence[str], *, watched: bool) -> dict[str, dict[str, float]]:
        spec = ContainerSpec(
            name=f"lbh-benchmark-{os.getpid()}-{time.monotonic_ns()}",
            image=self.image,
            argv=tuple(argv),
            labels=LABELS,
            mounts=(BindMount(source=self.model.resolve(), target=MODEL_PATH),),
            memory_bytes=8 * 1024**3,
        )
        if watched:
            devices = [device for device in discover_devices() if device.kind == "cpu"]
            with self.watch.during(devices) as sampler:
                ended = run_container(self.engine, spec, timeout_s=900, on_start=sampler.started)
        else:
            ended = run_container(self.engine, spec, timeout_s=900)
        if ended.exit_code != 0:
            sys.exit(f"the container failed: {ended.error or [line.text for line in ended.stderr[-5:]]}")
        return rates("\n".join(line.text for line in ended.stdout))


def commands(repetitions: int) -> dict[str, tuple[str, ...]]:
    """The argv of each way to use the cores."""
    shared = (
        "/app/llama-bench", "-m", MODEL_PATH, "-r", str(repetitions), "-o", "jsonl",
        *itertools.chain.from_iterable(TESTS.values()), "-dev", "none", "-ngl", "0", "-fa", "0",
    )  # fmt: skip
    last = hex(1 << ((os.cpu_count() or 1) - 1))
    return {
        "one thread, pinned": (*shared, "-t", "1", "-C", last, "--cpu-strict", "1"),
        "all threads": (*shared, "-t", str(physical_cores())),
    }


def show(rows: Sequence[Row]) -> None:
    """A table of all ratios."""
    lines = []
    for threads in dict.fromkeys(row["threads"] for row in rows):
        own = [row for row in rows if row["threads"] == threads]
        busy = f"{sum(row['unquiet'] for row in own)} of {len(own)}"
        for (what, first, second), value, test in itertools.product(RATIOS, VALUES, TESTS):
            found = compare_paired(*([row["ns"][arm][test][value] for row in own] for arm in (first, second)))
            if found is not None:
                interval = f"{found.low:.4f} to {found.high:.4f}"
                low = f"{1 - found.smallest_effect:.4f}"
                lines.append([what, threads, test, value, f"{found.ratio:.4f}", interval, low, busy, in_words(found)])
    header = [
        "Ratio of speeds", "Threads", "Test", "Repetition", "Ratio", "95 % interval", "could show",
        "Rounds on a busy machine", "In words",
    ]  # fmt: skip
    table("What the container and the telemetry cost", header, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=201)
    parser.add_argument("--model", default="gemma3-270m-q4_k_m", help="a name of the registry, or a GGUF file")
    parser.add_argument("--image", default="llama-bench-harness/llama.cpp:full-cpu-b11312")
    parser.add_argument("--gate-wait", type=float, default=10.0, help="seconds to wait for a quiet machine")
    add_arguments(parser)
    asked = parser.parse_args()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    os.sched_setaffinity(0, range(max(1, (os.cpu_count() or 1) - 1)))
    engine = DockerEngine(endpoint.host)
    image = engine.image_id(asked.image) or sys.exit(f"{asked.image} is not there: ./bench images --build")
    workspace = find_workspace()
    known = load_registry(workspace.registry)
    model = (
        prepare_model(known[asked.model], cache=workspace.cache, base=workspace.cache).path
        if asked.model in known
        else Path(asked.model)
    )
    argv = commands(asked.repetitions)
    setting = {"image": image, "model": asked.model, "argv": argv, "arms": ARMS, "values": tuple(VALUES)}
    raw = RawResults("container_cost", asked, setting)
    with unpacked_root(docker.DockerClient(base_url=endpoint.host), image, model) as root:
        bench = Bench(engine=engine, image=image, model=model, root=root, watch=Watch(discover_devices()))
        for arm in ARMS:
            bench.run(arm, argv["all threads"])  # warm-up
        made = {(row["threads"], row["round"]) for row in raw.rows}
        for round_ in range(1, asked.rounds + 1):
            for threads in argv:
                if (threads, round_) in made:
                    continue
                if not raw.time_left():
                    print("the time is over: the same command goes on")
                    show(raw.rows)
                    return
                order = list(ARMS)
                random.Random(f"{threads}/{round_}").shuffle(order)
                unquiet = not wait_until_quiet(cancel=Event(), max_wait_s=asked.gate_wait).passed
                ns = {arm: bench.run(arm, argv[threads]) for arm in order}
                raw.add(threads=threads, round=round_, order=order, unquiet=unquiet, ns=ns)
    show(raw.rows)


if __name__ == "__main__":
    main()
