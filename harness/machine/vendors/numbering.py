"""How llama.cpp will name the devices that a container is given."""

from __future__ import annotations

from collections.abc import Sequence

from harness.values.backend import Backend
from harness.values.facts import Device


def device_names(devices: Sequence[Device], *, backend: Backend) -> tuple[str, ...]:
    """`ROCm0`, `ROCm1`, ...: numbers in the order of PCI addresses, names in the order of the devices given.

    Every backend numbers its devices like this or is told to, but for Vulkan, where the loader's order counts. The
    proof before the runs sees which name each device really has.
    """
    by_place = sorted(range(len(devices)), key=lambda place: (devices[place].pci or "", devices[place].index))
    number = {place: index for index, place in enumerate(by_place)}
    return tuple(f"{backend.device_prefix}{number[place]}" for place in range(len(devices)))
