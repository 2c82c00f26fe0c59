"""The engine that the flows use: found or started, and asked for images and containers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from harness.artifacts.answers import Probe
from harness.engine.bootstrap import ensure_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.engine.running import run
from harness.values.container import ContainerSpec

LOCK_LABEL = "llama-bench-harness.lock"
"""Under which lock a container was started: whoever holds the lock may remove what is left of it, and nothing else."""
RUN_LABELS = {"llama-bench-harness.purpose": "run"}
PROBE_LABELS = {"llama-bench-harness.purpose": "probe"}
PROBE_TIMEOUT_S = 60.0
PROBE_MEMORY_BYTES = 2 * 1024**3


def probe_labels(lock: str) -> dict[str, str]:
    """The labels of a container that asks something; under a lock it is swept like those of runs.

    Without one it is left alone: whoever holds the lock meanwhile must not remove it.
    """
    return {**PROBE_LABELS, LOCK_LABEL: lock} if lock else dict(PROBE_LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEngine:
    """An engine that answers."""

    engine: DockerEngine
    images: DockerImageStore
    host: str

    def probe(self, *, lock: str = "") -> Probe:
        """Ask an image's program something, in a container as closed as that of a run.

        Args:
            lock: that is held; empty where none is.
        """

        def ask(image: str, argv: tuple[str, ...]) -> tuple[int | None, str, str]:
            spec = ContainerSpec(
                name=f"lbh-probe-{os.getpid()}-{os.urandom(4).hex()}",
                image=image,
                argv=argv,
                labels=probe_labels(lock),
                memory_bytes=PROBE_MEMORY_BYTES,
            )
            ended = run(self.engine, spec, timeout_s=PROBE_TIMEOUT_S, cancel=Event())
            stderr = "\n".join(line.text for line in ended.stderr)
            return ended.exit_code, "\n".join(line.text for line in ended.stdout), ended.error or stderr

        return ask


@contextmanager
def open_engine(say: Callable[[str], None]) -> Iterator[OpenEngine]:
    """Find an engine, or start one where that is allowed, and close the connection afterwards.

    Raises:
        EngineError: there is none and none can be started.
    """
    endpoint = ensure_engine(os.environ, say)
    engine = DockerEngine(endpoint.host)
    images = DockerImageStore.connect(endpoint.host)
    try:
        yield OpenEngine(engine=engine, images=images, host=endpoint.host)
    finally:
        images.close()
        engine.close()
