"""Is llama-bench slower in the closed container than the same binary run bare, from the image's own root?

One thread pinned to the last core in both arms, the harness on the others; then all threads. Two arms a round in random
order; the run is the unit; the first repetition is not counted. Prints the ratio of speeds, container over bare.

    .venv/bin/python benchmarks/container_cost.py --rounds 20 [--model FILE]
"""

from __future__ import annotations

import argparse
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
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import docker

from harness.artifacts.models import MODEL_PATH
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.running import run as run_container
from harness.machine.facts import physical_cores
from harness.machine.gate import wait_until_quiet
from harness.stats.paired import compare_paired, in_words
from harness.values.container import BindMount, ContainerSpec

IMAGE = "llama-bench-harness/llama.cpp:full-cpu"
LABELS = {"llama-bench-harness.purpose": "benchmark"}
TESTS = ("pp128", "tg32")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--image", default="")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def newest_image(client: docker.DockerClient) -> str:
    tags = [tag for image in client.images.list() for tag in image.tags if tag.startswith(IMAGE)]
    if not tags:
        sys.exit("there is no CPU image: ./bench images --build")
    return max(tags)


def unpacked_root(client: docker.DockerClient, image: str, folder: Path) -> Path:
    """The image's file system as a folder, without a container running."""
    container = client.containers.create(image)
    try:
        packed = folder / "root.tar"
        with packed.open("wb") as stream:
            for chunk in container.export():
                stream.write(chunk)
    finally:
        container.remove()
    root = folder / "root"
    with tarfile.open(packed) as archive:
        archive.extractall(root, filter="tar")
    packed.unlink()
    return root


def rates(stdout: str) -> dict[str, float]:
    """Median ns a token by test, the first repetition left out."""
    values = {}
    for line in stdout.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            name = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
            values[name] = statistics.median(row["samples_ns"][1:]) / (row["n_prompt"] + row["n_gen"])
    return values


def bare(root: Path, argv: Sequence[str]) -> dict[str, float]:
    done = subprocess.run(
        ["chroot", str(root), *argv],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": "/tmp"},
        preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)),
    )
    return rates(done.stdout)


def contained(engine: DockerEngine, image: str, model: Path, argv: Sequence[str]) -> dict[str, float]:
    spec = ContainerSpec(
        name=f"lbh-benchmark-{os.getpid()}-{time.monotonic_ns()}",
        image=image,
        argv=tuple(argv),
        labels=LABELS,
        mounts=(BindMount(source=model.resolve(), target=MODEL_PATH),),
        memory_bytes=8 * 1024**3,
    )
    ended = run_container(engine, spec, timeout_s=900)
    if ended.exit_code != 0:
        sys.exit(f"the container failed: {ended.error or [line.text for line in ended.stderr[-5:]]}")
    return rates("\n".join(line.text for line in ended.stdout))


def main() -> None:
    asked = arguments()
    endpoint = find_engine(os.environ)
    if endpoint is None:
        sys.exit("no container engine answers")
    cores = os.cpu_count() or 1
    os.sched_setaffinity(0, range(max(1, cores - 1)))
    client = docker.DockerClient(base_url=endpoint.host)
    image = asked.image or newest_image(client)
    engine = DockerEngine(endpoint.host)
    image_id = engine.image_id(image) or sys.exit(f"{image} is not there")
    shuffle = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = unpacked_root(client, image, Path(folder))
        inside = root / MODEL_PATH.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(asked.model, inside)
        for node in ("null", "urandom"):
            target = root / "dev" / node
            target.unlink(missing_ok=True)
            number = {"null": 3, "urandom": 9}[node]
            os.mknod(target, 0o20666, os.makedev(1, number))
        (root / "proc").mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
        subprocess.run(["mount", "--rbind", "/sys", str(root / "sys")], check=True)
        try:
            one = ("-t", "1", "-C", hex(1 << (cores - 1)), "--cpu-strict", "1")
            every = ("-t", str(physical_cores()))
            for name, threads in (("one thread, pinned", one), ("all threads", every)):
                argv = (
                    "/app/llama-bench",
                    "-m",
                    MODEL_PATH,
                    "-r",
                    str(asked.repetitions),
                    "-o",
                    "jsonl",
                    "-p",
                    "128",
                    "-n",
                    "32",
                    "-dev",
                    "none",
                    "-ngl",
                    "0",
                    "-fa",
                    "0",
                    *threads,
                )
                arms: dict[str, Callable[[], dict[str, float]]] = {
                    "bare": lambda argv=argv: bare(root, argv),
                    "container": lambda argv=argv: contained(engine, image_id, asked.model, argv),
                }
                measure(name, arms, asked.rounds, shuffle)
        finally:
            subprocess.run(["umount", "-R", str(root / "sys")], check=False)
            subprocess.run(["umount", str(root / "proc")], check=False)


def measure(name: str, arms: dict[str, Callable[[], dict[str, float]]], rounds: int, shuffle: random.Random) -> None:
    values: dict[str, dict[str, list[float]]] = {arm: {test: [] for test in TESTS} for arm in arms}
    for arm in arms.values():
        arm()  # warm-up
    unquiet = 0
    for _ in range(rounds):
        order = list(arms)
        shuffle.shuffle(order)
        for arm in order:
            gate = wait_until_quiet(cancel=Event(), max_wait_s=120)
            unquiet += not gate.passed
            for test, value in arms[arm]().items():
                values[arm][test].append(value)
    for test in TESTS:
        found = compare_paired(values["bare"][test], values["container"][test])
        assert found is not None
        print(
            f"{name:20} {test:6} container over bare: ratio {found.ratio:.4f} ({found.low:.4f} to {found.high:.4f}), "
            f"{found.rounds} rounds, {unquiet} of {2 * rounds} runs on a busy machine: {in_words(found)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
