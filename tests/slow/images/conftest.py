"""The images for GPUs as they were built here, and containers of them with what the harness gives to each."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.artifacts.images import known_images
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.engine.running import run
from harness.values.container import BindMount, ContainerExit, ContainerSpec
from harness.values.matrix import ImageSource

BUILT_FOR = {"cuda": "sm_89", "rocm": "gfx1100"}
"""One architecture each: what the library does without a device is the same for all."""

DRIVER = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
"""Where NVIDIA's container toolkit puts the driver's library in an image of Debian."""

LABELS = {"llama-bench-harness.purpose": "test-of-gpu-images"}


@dataclass(frozen=True, kw_only=True)
class GpuImages:
    """Starts llama-bench in containers of the built images, with the harness's own hardening.

    Attributes:
        folder: for files that a test mounts.
    """

    engine: DockerEngine
    store: DockerImageStore
    folder: Path

    def id_of(self, backend: str) -> str:
        """Content id of an image; the test is skipped where it was never built."""
        source = ImageSource(name=backend, build=backend, architectures=(BUILT_FOR[backend],))
        (row,) = known_images([source], store=self.store, cache=self.folder)
        described = self.store.inspect(row.tag)
        if described is None:
            pytest.skip(f"{row.tag} was not built here: a matrix that names it and `./bench images --build` make it")
        return str(described["Id"])

    def llama_bench(
        self, backend: str, *options: str, program: str = "/app/llama-bench", mounts: tuple[BindMount, ...] = ()
    ) -> ContainerExit:
        spec = ContainerSpec(
            name=f"lbh-test-{uuid.uuid4().hex[:12]}",
            image=self.id_of(backend),
            argv=(program, *options),
            labels=LABELS,
            mounts=mounts,
            memory_bytes=4 << 30,
        )
        return run(self.engine, spec, timeout_s=120)

    def driver(self, version: int) -> tuple[BindMount, ...]:
        """A driver without a card, to be mounted: `driver_without_a_card.c`, compiled.

        Args:
            version: the CUDA that it says it supports, as the driver counts: 12040 for 12.4.
        """
        library = self.folder / f"libcuda-{version}.so"
        command = ["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libcuda.so.1"]
        source = Path(__file__).with_name("driver_without_a_card.c")
        subprocess.run([*command, f"-DDRIVER_VERSION={version}", "-o", library, source], check=True)
        library.chmod(0o644)
        return (BindMount(source=library, target=DRIVER),)


@pytest.fixture
def gpu_images(tmp_path: Path) -> Iterator[GpuImages]:
    endpoint = find_engine(os.environ)
    if endpoint is None:
        pytest.skip("no container engine answers")
    engine = DockerEngine(endpoint.host)
    store = DockerImageStore.connect(endpoint.host)
    yield GpuImages(engine=engine, store=store, folder=tmp_path)
    store.close()
    left = engine.sweep(labels=LABELS)
    engine.close()
    assert left == (), "containers were left behind"
