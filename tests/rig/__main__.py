"""The harness on a machine with made-up cards, and a real engine of its own.

python -m tests.rig --card rtx4090 -- matrix --file rtx4090.yaml --gate-wait 0
python -m tests.rig --card strix-halo --speed 20 -- doctor --file strix-halo.yaml
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from docker import APIClient
from invoke import Collection, Program

import tasks
from harness.engine.bootstrap import ensure_engine
from harness.errors import BenchError
from harness.flows import prepare
from harness.flows.read_matrix import read_matrix
from harness.flows.workspace import find_workspace
from harness.machine.vendors import VENDORS
from harness.values.facts import ModelFacts
from harness.values.matrix import ImageSource, ModelSource
from tests.rig.cards import CARDS
from tests.rig.machine import HOST_FAULTS, FakeMachine
from tests.rig.script import CONTAINER_FAULTS, Fault
from tests.rig.stand_in import stand_in
from tests.rig.stub_image import stub_image
from tests.slow.engines.beside import engine_beside
from tests.slow.engines.trees import KINDS

HERE = "here"
OURS = "llama-bench-harness/"
"""In an engine that is not the rig's own nothing of anybody else's gets another meaning."""


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The rig's own options, and after `--` what `invoke` is to do."""
    known = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    known.add_argument("--card", action="append", choices=CARDS, help="a card of the machine; again for more")
    known.add_argument("--engine", default="docker-28.5", choices=(*KINDS, HERE), help=f"{HERE}: the machine's own")
    known.add_argument("--speed", type=float, default=1.0, help="times as fast as the data sheet")
    known.add_argument("--driver", default="580.95.05", help="version of NVIDIA's driver")
    known.add_argument("--home", default="", help="folder of the rig (default: in the harness's cache)")
    known.add_argument("--no-kfd", action="store_true", help="without /dev/kfd")
    known.add_argument("--no-cdi", action="store_true", help="without CDI specifications")
    faults = ", ".join((*CONTAINER_FAULTS, *HOST_FAULTS))
    shape = "[IMAGE:]KIND[@TEST][=VALUE], where IMAGE is its name in the matrix"
    known.add_argument("--fault", action="append", default=[], help=f"{shape}: {faults}")
    known.add_argument("task", nargs="+", help="the task with its options, after --")
    return known.parse_args(words)


def read_fault(text: str) -> tuple[str, Fault]:
    """The image, empty for all, and what is wrong with it: `after:slow@tg128=1.08`."""
    place, _, value = text.partition("=")
    image, _, what = place.rpartition(":")
    kind, _, at = what.partition("@")
    return image, Fault(kind=kind, at=at or "*", value=value)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One rig at a time in a folder, since it makes the trees of its cards anew."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"another rig runs in {home}: wait for it, or name another folder with --home")
        yield


@contextmanager
def rigged(options: argparse.Namespace) -> Iterator[tuple[FakeMachine, str]]:
    """The machine and its engine, which the harness finds as it finds every other."""
    home = Path(options.home).absolute() if options.home else find_workspace().cache / "rig"
    on_host = [fault for fault in options.fault if fault in HOST_FAULTS]
    with ExitStack() as stack:
        stack.enter_context(alone(home))
        machine = stack.enter_context(
            FakeMachine(
                [CARDS[name] for name in options.card or ()],
                home,
                speed=options.speed,
                driver=options.driver,
                kfd=not options.no_kfd,
                faults=on_host,
            )
        )
        if options.engine == HERE:
            host = ensure_engine(os.environ, print).host
        else:
            cdi = {} if options.no_cdi else machine.cdi()
            host = stack.enter_context(engine_beside(KINDS[options.engine], cdi=cdi, visible=[home])).host
            os.environ["BENCH_LOCK_DIR"] = str(home)
        os.environ |= {"DOCKER_HOST": host, "XDG_CACHE_HOME": str(home / "cache")}
        VENDORS.clear()
        VENDORS.update(machine.vendors())
        serve_stand_ins(home / "models")
        yield machine, host


def serve_stand_ins(folder: Path) -> None:
    """No model is fetched or made: headers stand in for them."""

    def prepared(source: ModelSource, **_how: object) -> ModelFacts:
        return stand_in(source, folder)

    prepare.prepare_model = prepared  # type: ignore[assignment]


@contextmanager
def images(machine: FakeMachine, host: str, options: argparse.Namespace, home: Path) -> Iterator[None]:
    """A stub under each reference that the cells of the matrix name, in the machine's own engine until the end."""
    words = options.task
    plan = read_matrix(words[words.index("--file") + 1], find_workspace()) if "--file" in words else None
    faults = [read_fault(text) for text in options.fault if text not in HOST_FAULTS]
    client = APIClient(host, version="auto")
    made: list[str] = []
    try:
        for name, backend in sorted({(cell.image, cell.backend) for cell in plan.cells} if plan else ()):
            source = plan.matrix.images[name] if plan else ImageSource(name=name)
            if options.engine == HERE and not source.ref.startswith(OURS):
                sys.exit(
                    f"image {name} is {source.ref or 'built here'}: --engine {HERE} takes only {OURS}* in its place"
                )
            if source.ref:
                own = [fault for image, fault in faults if image in {"", name}]
                made.append(source.ref)
                stub_image(client, machine.script(backend, faults=own), tag=source.ref, folder=home)
        yield
    finally:
        for tag in made if options.engine == HERE else ():
            client.remove_image(tag)
        client.close()


def main(words: Sequence[str]) -> None:
    options = arguments(words)
    try:
        invoke(options)
    except BenchError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def invoke(options: argparse.Namespace) -> None:
    """The task, in this process, where the vendors are the rig's."""
    with rigged(options) as (machine, host), images(machine, host, options, find_workspace().cache.parents[1]):
        program = Program(name="invoke", namespace=Collection.from_module(tasks))
        program.run(["invoke", *options.task])


if __name__ == "__main__":
    main(sys.argv[1:])
