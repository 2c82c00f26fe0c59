"""The vendors of devices: who finds them on the host and says what a container needs to see exactly those it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness.machine.vendors.amd import Amd
from harness.machine.vendors.cpu import Cpu
from harness.machine.vendors.intel import Intel
from harness.machine.vendors.numbering import device_names
from harness.machine.vendors.nvidia import Nvidia
from harness.machine.vendors.nvidia_driver import against_image
from harness.machine.vendors.refusals import DriverMatch
from harness.values.backend import Backend
from harness.values.container import Passthrough
from harness.values.facts import Device, EngineFacts
from harness.values.failure import Failure
from harness.values.protocols import Vendor

VENDORS: dict[str, Vendor] = {
    "nvidia": Nvidia(),
    "amd": Amd(),
    "intel": Intel(),
    "cpu": Cpu(),
}
"""By the name that stands in `Device.vendor` and `Backend.vendors`."""


def discover_devices(vendors: Mapping[str, Vendor] = VENDORS) -> tuple[Device, ...]:
    """Everything on this machine that a backend can compute on, the CPU always among it.

    Args:
        vendors: whom to ask, in this order.

    Returns:
        The devices, those that cannot be used with their `problem`. A vendor without a device adds none.
    """
    return tuple(device for vendor in vendors.values() for device in vendor.discover())


def passthrough(
    devices: Sequence[Device], *, backend: Backend, engine: EngineFacts, vendors: Mapping[str, Vendor] = VENDORS
) -> Passthrough | Failure:
    """The least that makes exactly these devices visible to a container, whoever made them.

    Args:
        devices: as `vendors` discovered them; at least one.
        backend: the backend that is to compute on them, on all of them together.
        engine: the engine that is to start the container.
        vendors: must hold the devices' vendors.

    Returns:
        What to ask of the engine; or, before anything is started, why it would not work and what to do.
    """
    parts: dict[str, Passthrough] = {}
    for name in dict.fromkeys(device.vendor for device in devices):
        own = [device for device in devices if device.vendor == name]
        part = vendors[name].passthrough(own, backend=backend, engine=engine)
        if isinstance(part, Failure):
            return part
        parts[name] = part
    return _together(devices, parts, backend=backend)


def _together(devices: Sequence[Device], parts: Mapping[str, Passthrough], *, backend: Backend) -> Passthrough:
    """What several vendors ask for, as one request, with the devices numbered across all of them."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    rest = {name: iter(part.expected) for name, part in parts.items()}
    expected = tuple(
        replace(next(rest[device.vendor]), name=name)
        for device, name in zip(devices, device_names(devices, backend=backend), strict=True)
    )
    return Passthrough(
        device_requests=tuple(request for part in parts.values() for request in part.device_requests),
        device_nodes=tuple(dict.fromkeys(node for part in parts.values() for node in part.device_nodes)),
        groups=tuple(sorted({group for part in parts.values() for group in part.groups})),
        environment={key: value for part in parts.values() for key, value in part.environment.items()},
        expected=expected,
    )


DRIVER_CHECKS: Mapping[str, Callable[[str | None, Mapping[str, str]], DriverMatch | Failure | None]] = {
    "nvidia": against_image
}
"""By vendor: compares a driver with what an image says of itself. Drivers of others take every image."""


def driver_problem(device: Device, environment: Mapping[str, str]) -> DriverMatch | Failure | None:
    """Whether the device's driver is new enough for an image.

    Args:
        device: as discovered.
        environment: the variables that the image sets.

    Returns:
        What was found, None where nothing can be said; or the failure to expect.
    """
    check = DRIVER_CHECKS.get(device.vendor)
    return check(device.driver, environment) if check else None
