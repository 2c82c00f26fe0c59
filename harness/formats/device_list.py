"""Reads what `llama-bench --list-devices` prints: the devices that a container sees, as llama.cpp names them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_MIB = 1024 * 1024
# `  Vulkan0: llvmpipe (LLVM 19.1.7, 256 bits) (24105 MiB, 22340 MiB free)`; descriptions hold brackets themselves.
_DEVICE = re.compile(r"^\s+([A-Za-z]+[0-9]+): (\S.*) \(([0-9]{1,12}) MiB, ([0-9]{1,12}) MiB free\)\s*$")
_MAX_LINE_CHARS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDevice:
    """One device.

    Attributes:
        name: for `-dev`, such as `Vulkan0`.
        description: as the driver names it.
        memory_bytes, free_bytes: as the driver tells them.
    """

    name: str
    description: str
    memory_bytes: int
    free_bytes: int


def read_device_list(lines: Iterable[str]) -> tuple[ListedDevice, ...]:
    """The devices in the order listed; empty for `(none)`, and for builds that then print nothing."""
    found = (_DEVICE.match(line) for line in lines if len(line) <= _MAX_LINE_CHARS)
    return tuple(
        ListedDevice(
            name=match[1], description=match[2], memory_bytes=int(match[3]) * _MIB, free_bytes=int(match[4]) * _MIB
        )
        for match in found
        if match
    )
