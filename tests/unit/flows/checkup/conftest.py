"""Cards, images and engines that the checks look at."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.engine.replay import ReplayEngine, scripted
from harness.flows.checkup.cards import Pair
from harness.flows.checkup.engine import Answering
from harness.flows.checkup.wanted import Use, Wanted
from harness.values.backend import BACKENDS
from harness.values.container import ContainerExit, ContainerSpec
from harness.values.facts import Device, EngineFacts
from harness.values.matrix import ImageSource

RTX_4090 = Device(
    vendor="nvidia",
    kind="gpu",
    name="NVIDIA GeForce RTX 4090",
    pci="0000:01:00.0",
    memory_bytes=24 << 30,
    driver="550.54.14",
    uuid="GPU-1111",
    architecture="sm_89",
)
CPU = Device(vendor="cpu", kind="cpu", name="Test CPU")
SOFTWARE = Device(vendor="cpu", kind="software", name="llvmpipe", index=1)
DOCKER = EngineFacts(name="Docker Engine", version="28.5.1", api_version="1.51", host="unix:///x", runtimes=("runc",))

Ends = Callable[[ContainerSpec], ContainerExit]


class Images:
    """The images of an engine, by reference."""

    def __init__(self, present: Mapping[str, Mapping[str, Any]]) -> None:
        self._present = present

    def inspect(self, ref: str) -> Mapping[str, Any] | None:
        return self._present.get(ref)


def listing(*devices: str, stderr: str = "") -> ContainerExit:
    lines = "\n".join(f"  {device} (24080 MiB, 23500 MiB free)" for device in devices) or "  (none)"
    return scripted(f"Available devices:\n{lines}\n", stderr)


def refused(text: str) -> ContainerExit:
    return ContainerExit(exit_code=None, started_ns=0, ended_ns=1, error=text, error_phase="start")


@pytest.fixture
def answering() -> Callable[..., Answering]:
    def make(ends: Ends | None = None, *, facts: EngineFacts = DOCKER, present: Any = None) -> Answering:
        engine = ReplayEngine(ends or (lambda _spec: listing()), facts=facts)
        images: Any = Images(present or {})
        return Answering(engine=engine, images=images, facts=facts)

    return make


@pytest.fixture
def pair() -> Callable[..., Pair]:
    def make(device: Any = RTX_4090, *, backend: str = "cuda") -> Pair:
        return Pair(
            backend=BACKENDS[backend],
            image=backend,
            named="default",
            devices=(device,) if isinstance(device, Device) else device,
        )

    return make


@pytest.fixture
def wanted() -> Callable[..., Wanted]:
    def make(*uses: tuple[str, str], whole: bool = False, **changes: Any) -> Wanted:
        images = {backend: ImageSource(name=backend, build=backend) for backend, _ in uses}
        fields: dict[str, Any] = {
            "whole": whole,
            "hint": "",
            "uses": tuple(Use(backend=backend, device=device, image=backend) for backend, device in uses),
            "images": images,
            "models": {},
            "base": Path(),
        }
        return Wanted(**{**fields, **changes})

    return make
