"""The cards: found, with a driver, open to containers, and a way for the engine to hand them over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE

from harness.flows.checkup.wanted import Wanted
from harness.flows.tables import size
from harness.formats.signatures import remedy_of
from harness.machine.devices import SOFTWARE, candidates, select, select_all
from harness.machine.vendors import passthrough
from harness.values.backend import BACKENDS, Backend
from harness.values.container import Passthrough
from harness.values.facts import Device, EngineFacts
from harness.values.failure import Failure
from harness.values.finding import Finding, green, red, yellow

GPUS = frozenset({"gpu", "integrated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A backend and the devices that it is to compute on, mostly one; the failure where there is none."""

    backend: Backend
    image: str
    named: str
    devices: tuple[Device, ...] | Failure

    @property
    def found(self) -> tuple[Device, ...]:
        """The devices; none where there is a failure."""
        return () if isinstance(self.devices, Failure) else self.devices

    @property
    def title(self) -> str:
        """Such as `Vulkan on AMD Radeon RX 7900 XTX`."""
        names = " + ".join(device.name for device in self.found) or self.named
        return f"{self.backend.title} on {names}"


def pairs(wanted: Wanted, devices: tuple[Device, ...]) -> tuple[Pair, ...]:
    """Which devices each backend is to compute on: as the matrix says, or every one that it can, each alone."""
    found: list[Pair] = []
    for use in wanted.uses:
        backend = BACKENDS[use.backend]
        chosen: list[tuple[Device, ...] | Failure] = [select_all(devices, backend=backend, name=use.device)]
        if wanted.whole:
            software = select(devices, backend=backend, name=SOFTWARE)
            alone = [*candidates(devices, backend=backend), *([software] if isinstance(software, Device) else [])]
            chosen = [(device,) for device in alone]
        found += [Pair(backend=backend, image=use.image, named=use.device, devices=one) for one in chosen]
    return tuple(found)


def gpus_of(found: Iterable[Pair]) -> tuple[Device, ...]:
    """The GPUs among them, each once."""
    return tuple(dict.fromkeys(device for pair in found for device in pair.found if device.kind in GPUS))


def check_cards(found: tuple[Pair, ...], devices: tuple[Device, ...], *, whole: bool) -> Iterator[Finding]:
    """Each card: is it there, and does its driver answer?"""
    gpus = [device for device in devices if device.kind in GPUS]
    if whole:
        yield from (_card(device) for device in gpus)
        if not gpus:
            yield yellow("card", "no GPU was found; the CPU and Mesa's software device remain")
        return
    yield from (_card(device) for device in gpus_of(found))
    for pair in found:
        if isinstance(pair.devices, Failure):
            failure = pair.devices
            yield red("card", failure.detail, subject=pair.title, todo=failure.remedy, reason=failure.reason)


def check_access(found: tuple[Pair, ...], engine: EngineFacts | None) -> Iterator[Finding]:
    """Who may open the cards' nodes, and by which way the engine hands each card over."""
    for device in gpus_of(found):
        for node in dict.fromkeys((*device.nodes, *([device.render_node] if device.render_node else []))):
            yield _node(Path(node), device)
    if engine is not None:
        yield from (_way(pair, engine) for pair in found if pair.found)


def handed_over(pair: Pair, engine: EngineFacts) -> Passthrough | Failure:
    """What the devices' vendors ask of the engine."""
    if isinstance(pair.devices, Failure):
        return pair.devices
    return passthrough(pair.devices, backend=pair.backend, engine=engine)


def _card(device: Device) -> Finding:
    memory = size(device.memory_bytes) if device.memory_bytes else "memory shared with the host"
    about = [
        memory,
        f"driver {device.driver or 'unknown'}",
        device.architecture or "",
        device.pci or "",
        "simulated" * device.simulated,
    ]
    text = f"{device.vendor} {device.index}: {', '.join(part for part in about if part)}"
    if device.problem:
        todo = "See docs/gpus.md; the card must work on the host before a container can have it."
        return red("card", f"{text}: {device.problem}", subject=device.name, todo=todo, reason="no_device")
    return green("card", text, subject=device.name)


def _node(node: Path, device: Device) -> Finding:
    try:
        status = node.stat()
    except OSError as error:
        todo = "Load the card's kernel driver; `ls -ln /dev/dri` must show the node."
        return red("access", f"{node}: {error.strerror}", subject=device.name, todo=todo, reason="device_node")
    text = f"{node} has mode {S_IMODE(status.st_mode):04o} and group {status.st_gid}"
    if os.access(node, os.R_OK | os.W_OK):
        return green("access", f"{text}: this user may open it", subject=device.name)
    # The engine opens it, and the container gets the group by its number; the way says if that fails.
    return green("access", f"{text}: this user may not open it, and need not", subject=device.name)


def _way(pair: Pair, engine: EngineFacts) -> Finding:
    asked = handed_over(pair, engine)
    if isinstance(asked, Failure):
        return red("way", asked.detail, subject=pair.title, todo=asked.remedy, reason=asked.reason)
    if not asked.device_requests:
        nodes = ", ".join(asked.device_nodes)
        groups = f" with group {', '.join(map(str, asked.groups))}" if asked.groups else ""
        return green("way", f"by its nodes {nodes}{groups}" if nodes else "nothing has to be asked", subject=pair.title)
    vendor = pair.found[0].vendor
    names = [name for name in engine.cdi_devices if name.startswith(f"{vendor}.com/")]
    runtimes = [name for name in engine.runtimes if vendor in name]
    text = "by a device request; the engine "
    if names or runtimes:
        known = [f"lists {len(names)} CDI names of the vendor"] * bool(names)
        known += [f"has the runtime {', '.join(runtimes)}"] * bool(runtimes)
        return green("way", text + " and ".join(known), subject=pair.title)
    todo = remedy_of(f'could not select device driver "{vendor}" with capabilities: [[gpu]]')
    return yellow("way", f"{text}lists no CDI names and no runtime of the vendor", subject=pair.title, todo=todo)
