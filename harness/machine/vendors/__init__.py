"""The vendors of devices: who finds them on the host and says what a container needs to see exactly one of them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.machine.vendors.amd import Amd
from harness.machine.vendors.cpu import Cpu
from harness.machine.vendors.intel import Intel
from harness.machine.vendors.nvidia import Nvidia
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
    device: Device, *, backend: Backend, engine: EngineFacts, vendors: Mapping[str, Vendor] = VENDORS
) -> Passthrough | Failure:
    """The least that makes exactly this device visible to a container.

    Args:
        device: as one of `vendors` discovered it.
        backend: the backend that is to compute on it.
        engine: the engine that is to start the container.
        vendors: must hold the device's vendor.

    Returns:
        What to ask of the engine; or, before anything is started, why it would not work and what to do.
    """
    return vendors[device.vendor].passthrough(device, backend=backend, engine=engine)
