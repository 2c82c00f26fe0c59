"""The proof before, on the engine: a container of the same configuration as the runs' lists its devices."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from harness.engine.running import run
from harness.flows.engines import probe_labels
from harness.machine.vendors.nodes import closed_nodes
from harness.measure.listing import Listed, judge_listing, listing_argv, not_listed
from harness.values.backend import BACKENDS, Backend
from harness.values.container import BindMount, ContainerSpec, Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure
from harness.values.protocols import Engine

TIMEOUT_S = 120.0
"""The first use of a driver after a start of the machine can take half a minute."""

KERNEL_CACHE = "/kernel-cache"
"""The one folder beside /tmp that a container may write, and only where the backend compiles kernels at run time."""


def cache_mounts(backend: Backend, image: ImageFacts, *, kernel_caches: Path) -> tuple[BindMount, ...]:
    """The folder for compiled kernels, made where it is absent; nothing for backends that compile none."""
    if not backend.cache_variables:
        return ()
    folder = kernel_caches / image.id.removeprefix("sha256:")[:16]
    folder.mkdir(parents=True, exist_ok=True)
    # The container's user is nobody's: it can write here and nowhere else. One folder an image, so that no image
    # leaves kernels for another.
    folder.chmod(0o777)
    return (BindMount(source=folder, target=KERNEL_CACHE, read_only=False),)


def container_environment(backend: Backend, passthrough: Passthrough) -> dict[str, str]:
    """The variables of a container: where compiled kernels are kept, and what selects the device."""
    return {**dict.fromkeys(backend.cache_variables, KERNEL_CACHE), **passthrough.environment}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lister:
    """Asks containers which devices they see.

    Args:
        memory_bytes: limit of the containers, that of the runs.
        kernel_caches: folder of the kernel caches.
        cancel: ends a container at once.
        journal: told of each container before it is created.
        lock: that is held, a label of the containers; empty where none is.
    """

    engine: Engine
    memory_bytes: int
    kernel_caches: Path
    cancel: Event = field(default_factory=Event)
    journal: Callable[[str, Mapping[str, object]], None] = lambda _event, _fields: None
    lock: str = ""

    def listed(self, passthrough: Passthrough, *, backend: str, image: ImageFacts) -> Listed | Failure:
        """What a container with this passthrough lists, judged; or why it cannot be measured in.

        Args:
            passthrough: with at least one expected device; of the CPU there is nothing to list.
            backend: name in `BACKENDS`.
        """
        argv = listing_argv(image)
        if argv is None:
            return not_listed(passthrough)
        row = BACKENDS[backend]
        spec = ContainerSpec(
            name=f"lbh-probe-{os.getpid()}-{os.urandom(4).hex()}",
            image=image.id,
            argv=argv,
            labels=probe_labels(self.lock),
            environment=container_environment(row, passthrough),
            mounts=cache_mounts(row, image, kernel_caches=self.kernel_caches),
            passthrough=passthrough,
            memory_bytes=self.memory_bytes,
        )
        self.journal("probing", {"image": image.id, "argv": list(argv), "container": spec.name})
        ended = run(self.engine, spec, timeout_s=TIMEOUT_S, cancel=self.cancel)
        return judge_listing(ended, passthrough=passthrough, backend=row, closed=closed_nodes(passthrough))
