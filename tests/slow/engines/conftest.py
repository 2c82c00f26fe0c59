"""The engines of `KINDS`, each started once for the tests that want it, with a small image in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.engine.running import run
from harness.values.container import ContainerExit, ContainerSpec
from tests.slow.engines.beside import Beside, engine_beside
from tests.slow.engines.trees import KINDS, NoTreeError, cdi_specification, small_image

MEMORY_BYTES = 64 * 1024**2
TAG = "llama-bench-harness/small:1"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """An engine beside the machine's own, as the harness uses it."""

    beside: Beside
    engine: DockerEngine
    image: str
    labels: dict[str, str] = field(default_factory=lambda: {"llama-bench-harness.test-session": uuid.uuid4().hex})

    def spec(self, script: str = "true", **fields: object) -> ContainerSpec:
        given = {
            "name": f"lbh-test-{uuid.uuid4().hex[:12]}",
            "image": self.image,
            "argv": ("/bin/sh", "-c", script),
            "labels": self.labels,
            "memory_bytes": MEMORY_BYTES,
        }
        return ContainerSpec(**(given | fields))  # type: ignore[arg-type]

    def run(self, script: str = "true", *, timeout_s: float = 60, **fields: object) -> ContainerExit:
        return run(self.engine, self.spec(script, **fields), timeout_s=timeout_s)


def benched(stack: ExitStack, name: str, folder: Path, **options: object) -> Bench:
    """An engine with the image in it, until the stack is closed."""
    kind = KINDS[name]
    specification = {"nvidia.json": cdi_specification("nvidia.com/gpu", "0")}
    try:
        beside = stack.enter_context(engine_beside(kind, **{"cdi": specification} | options))  # type: ignore[arg-type]
    except NoTreeError as problem:
        pytest.skip(str(problem))
    engine = DockerEngine(beside.host)
    stack.callback(engine.close)
    store = DockerImageStore.connect(beside.host)
    stack.callback(store.close)
    image = store.import_tar(small_image(kind.suite, folder), tag=TAG)
    return Bench(beside=beside, engine=engine, image=image)


@pytest.fixture(scope="session")
def tar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("small-image")


@pytest.fixture(scope="module", params=KINDS)
def bench(request: pytest.FixtureRequest, tar_folder: Path) -> Iterator[Bench]:
    """Each engine in turn. Whatever the tests did, none of their containers may be left."""
    with ExitStack() as stack:
        made = benched(stack, request.param, tar_folder)
        yield made
        assert made.engine.sweep(labels=made.labels) == (), "containers were left behind"
