"""A real engine and a small image. `./bench test` promises both by BENCH_TEST_ENGINE; else the tests may be skipped."""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event
from typing import NoReturn

import pytest

from harness.engine.docker_engine import DockerEngine
from harness.engine.running import run
from harness.errors import BenchError
from harness.values.container import ContainerExit, ContainerSpec
from tests.engine.own_engine import OwnEngine, give_image, own_engine

IMAGE = "llama-bench-harness/base:trixie"
SESSION_LABEL = "llama-bench-harness.test-session"
MEMORY_BYTES = 128 * 1024**2


def missing(reason: str) -> NoReturn:
    if os.environ.get("BENCH_TEST_ENGINE"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def host() -> str:
    if host := os.environ.get("DOCKER_HOST"):
        return host
    discovery = pytest.importorskip("harness.engine.discovery")
    try:
        endpoint = discovery.find_engine(os.environ)
    except BenchError as problem:
        missing(str(problem))
    if endpoint is None:
        missing("no container engine answers")
    return endpoint.host


@pytest.fixture(scope="session")
def shared_engine(host: str) -> Iterator[DockerEngine]:
    engine = DockerEngine(host)
    try:
        engine.facts()
    except BenchError as problem:
        missing(str(problem))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def image(shared_engine: DockerEngine) -> str:
    found = shared_engine.image_id(IMAGE)
    if found is None:
        missing(f"the image {IMAGE} is not there; `./bench images` makes it")
    return found


@pytest.fixture
def labels() -> dict[str, str]:
    return {SESSION_LABEL: uuid.uuid4().hex}


@pytest.fixture
def engine(shared_engine: DockerEngine, labels: dict[str, str]) -> Iterator[DockerEngine]:
    """The engine. Whatever the test did, none of its containers may be left."""
    yield shared_engine
    assert shared_engine.sweep(labels=labels) == (), "containers were left behind"


@pytest.fixture
def spec(image: str, labels: dict[str, str]) -> ContainerSpec:
    return ContainerSpec(
        name=f"lbh-test-{uuid.uuid4().hex[:12]}",
        image=image,
        argv=("/bin/true",),
        labels=labels,
        memory_bytes=MEMORY_BYTES,
    )


@pytest.fixture
def shell(engine: DockerEngine, spec: ContainerSpec) -> Callable[..., ContainerExit]:
    """Runs a bash script; further arguments are fields of the spec."""

    def go(script: str, *, timeout_s: float = 30, cancel: Event | None = None, **fields: object) -> ContainerExit:
        changed = replace(spec, argv=("/bin/bash", "-c", script), **fields)
        return run(engine, changed, timeout_s=timeout_s, cancel=cancel)

    return go


@pytest.fixture(scope="session")
def own(host: str, image: str) -> Iterator[OwnEngine]:
    """An engine that tests may kill, with the small image in it. They leave it running and empty."""
    with own_engine() as made:
        give_image(made, host)
        yield made
