"""Which device a matrix means by a name: `default`, an index, a UUID, a PCI address, a name pattern, or `software`.

Several devices are `all`, or names joined by `+` (`0+1`). `each` is every device in turn, put into cells of their own
before anything is selected.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from harness.values.backend import Backend
from harness.values.facts import Device
from harness.values.failure import Failure, Phase, Reason

DEFAULT = "default"
SOFTWARE = "software"
ALL = "all"
EACH = "each"
TOGETHER = "+"

_INDEX = re.compile(r"[0-9]{1,2}")
_PCI_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)
_UUID = re.compile(r"(?:gpu|mig)-[0-9a-f][0-9a-f/-]*", re.IGNORECASE)


def candidates(devices: Sequence[Device], *, backend: Backend) -> tuple[Device, ...]:
    """The devices that a backend can be asked to compute on, in the order in which they were discovered.

    Args:
        devices: everything on the machine.
        backend: for the CPU backend the CPU; for others real GPUs, never the software device.
    """
    kinds = {"gpu", "integrated"} if backend.is_gpu else {"cpu"}
    return tuple(device for device in devices if device.vendor in backend.vendors and device.kind in kinds)


def usable(devices: Sequence[Device], *, backend: Backend) -> tuple[Device, ...]:
    """The candidates against which nothing is known."""
    return tuple(device for device in candidates(devices, backend=backend) if not device.problem)


def place_names(devices: Sequence[Device], *, backend: Backend) -> tuple[str, ...]:
    """A name for each usable device, which selects it: its PCI address, or its index where it shares or has none."""
    found = candidates(devices, backend=backend)
    places = [device.pci for device in found if not device.problem]
    return tuple(
        device.pci.removeprefix("0000:") if device.pci and places.count(device.pci) == 1 else str(index)
        for index, device in enumerate(found)
        if not device.problem
    )


def without_uuids(devices: Sequence[Device], *, backend: Backend, name: str) -> str:
    """The same devices by their places, where a matrix names them by UUID: cells are stored, and UUIDs are not.

    A UUID that no device has becomes a part of its hash, which fits none either.
    """
    named = dict(zip(usable(devices, backend=backend), place_names(devices, backend=backend), strict=True))
    parts = []
    for part in name.split(TOGETHER):
        uuid = part.strip()
        if not _UUID.fullmatch(uuid):
            parts.append(part)
            continue
        device = select(devices, backend=backend, name=uuid)
        hashed = f"uuid-{hashlib.sha256(uuid.casefold().encode()).hexdigest()[:8]}"
        parts.append(named.get(device, hashed) if isinstance(device, Device) else hashed)
    return TOGETHER.join(parts)


def select_all(devices: Sequence[Device], *, backend: Backend, name: str) -> tuple[Device, ...] | Failure:
    """The devices that a matrix means to be used together, mostly one.

    Args:
        devices: everything on the machine.
        backend: the backend that is to compute on them.
        name: `all`: every usable device; where there are cards, no integrated GPU, which would only slow them. Names
            joined by `+`: these, in this order. Anything else: one, as `select` has it.

    Returns:
        At least one device, none of them twice; or the failure to record.
    """
    if name.casefold() == ALL:
        found = usable(devices, backend=backend)
        cards = tuple(device for device in found if device.kind == "gpu")
        return cards or found or _absent(devices, backend=backend, name=name)
    chosen: list[Device] = []
    for part in name.split(TOGETHER):
        device = select(devices, backend=backend, name=part.strip())
        if isinstance(device, Failure):
            return device
        if device in chosen:
            return _twice(device, name=name)
        chosen.append(device)
    return tuple(chosen)


def select(devices: Sequence[Device], *, backend: Backend, name: str) -> Device | Failure:
    """The device that a matrix names.

    - `default`: of the candidates the one that has no problem, is discrete, and has the most memory; else the first.
    - one or two digits: an index into the backend's candidates, 0-based; a longer number is a part of a name.
    - `GPU-...`, `MIG-...`: a UUID or the beginning of one, which must fit one device only.
    - `0000:01:00.0` or `01:00.0`: a PCI address.
    - `software`: Mesa's software device. Nothing else selects it.
    - anything else: a pattern for the name, case-insensitive, with `*`, `?` and `[...]`; without any of these a part of
      the name is enough. It may fit several cards only if they all have the same name; then the best of them is taken
      as by `default`.

    Args:
        devices: everything on the machine.
        backend: the backend that is to compute on it.
        name: as the matrix says it.

    Returns:
        The device, which can have a `problem` if no other fits; or the failure to record.
    """
    if name.casefold() == SOFTWARE:
        software = [d for d in devices if backend.is_gpu and d.kind == SOFTWARE and d.vendor in backend.vendors]
        found = software[:1]
    else:
        found = _named(candidates(devices, backend=backend), name)
    if not found:
        return _absent(devices, backend=backend, name=name)
    if len({device.name for device in found}) > 1 or (_UUID.fullmatch(name) and len(found) > 1):
        return _ambiguous(found, name=name)
    return found[0]


def _named(of_backend: Sequence[Device], name: str) -> list[Device]:
    """The devices that a name fits, the best first."""
    wanted = name.strip().casefold()
    ranked = sorted(of_backend, key=lambda d: (d.problem != "", d.kind != "gpu", -(d.memory_bytes or 0)))
    if wanted == DEFAULT:
        return ranked[:1]
    if _INDEX.fullmatch(wanted):
        index = int(wanted)
        return [of_backend[index]] if index < len(of_backend) else []
    if _UUID.fullmatch(wanted):
        return [device for device in ranked if (device.uuid or "").casefold().startswith(wanted)]
    if address := _PCI_ADDRESS.fullmatch(wanted):
        domain = int(address[1] or "0", 16)
        return _usable([device for device in ranked if device.pci == f"{domain:04x}:{address[2]}"])
    pattern = wanted if any(sign in wanted for sign in "*?[") else f"*{wanted}*"
    fits = [device for device in ranked if fnmatchcase(device.name.casefold(), pattern)]
    return _usable([device for device in fits if device.name.casefold() == wanted] or fits)


def _usable(devices: list[Device]) -> list[Device]:
    """Without those that have a problem, unless all do: a divided card shares address and name with its instances."""
    return [device for device in devices if not device.problem] or devices


def _listing(devices: Sequence[Device]) -> str:
    """The devices with what names them, for people; without UUIDs, which are never stored."""
    places = (f" at {device.pci}" if device.pci else "" for device in devices)
    problems = (f" ({device.problem})" if device.problem else "" for device in devices)
    named = zip(devices, places, problems, strict=True)
    return "; ".join(f"{index}: {device.name}{place}{problem}" for index, (device, place, problem) in enumerate(named))


def _shown(name: str) -> str:
    return "the UUID given" if any(_UUID.fullmatch(part.strip()) for part in name.split(TOGETHER)) else f"'{name}'"


def _absent(devices: Sequence[Device], *, backend: Backend, name: str) -> Failure:
    of_backend = candidates(devices, backend=backend)
    if of_backend:
        detail = f"no device of {backend.title} matches {_shown(name)}; there is {_listing(of_backend)}"
        remedy = "name one of these by index, PCI address or a part of its name, or say `default`"
    else:
        others = [device for device in devices if device.kind != SOFTWARE]
        there = "; ".join(device.name + (f" ({device.problem})" if device.problem else "") for device in others)
        detail = f"this machine has no device for {backend.title}; there is {there or 'none at all'}"
        remedy = (
            "run this cell on a machine that has one, or install the card's driver; `invoke doctor` says what is found"
        )
        if any(device.kind == SOFTWARE and device.vendor in backend.vendors for device in devices) and backend.is_gpu:
            remedy += "; `device: software` tries the backend without a GPU, for tests only"
    return Failure(phase=Phase.PREPARE, reason=Reason.NO_DEVICE, detail=detail, remedy=remedy)


def _twice(device: Device, *, name: str) -> Failure:
    return Failure(
        phase=Phase.PREPARE,
        reason=Reason.NO_DEVICE,
        detail=f"{_shown(name)} names {device.name} twice",
        remedy="name each device once, by index or PCI address where several have one name",
    )


def _ambiguous(found: Sequence[Device], *, name: str) -> Failure:
    fitting = "; ".join(device.name + (f" at {device.pci}" if device.pci else "") for device in found)
    return Failure(
        phase=Phase.PREPARE,
        reason=Reason.NO_DEVICE,
        detail=f"{_shown(name)} fits several devices: {fitting}",
        remedy="name one of them by index or UUID, or by a longer part of its name",
    )
