"""Memory modules from the firmware's SMBIOS table. Only type and speed are taken; the table also holds serial numbers.

Structures and offsets: DMTF DSP0134, section 7.18 (Memory Device, type 17).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.machine.roots import MachineRoots

_MEMORY_DEVICE = 17
_END = 127
_MAX_TABLE_BYTES = 1 << 20
_HEADER = 4
# Offsets within a memory device, and the values that mean "see elsewhere".
_SIZE, _TYPE, _SPEED, _CONFIGURED, _EXTENDED_CONFIGURED = 0x0C, 0x12, 0x15, 0x20, 0x58
_SEE_EXTENDED = 0xFFFF
_TYPES = {0x18: "DDR3", 0x1A: "DDR4", 0x1E: "LPDDR4", 0x22: "DDR5", 0x23: "LPDDR5", 0x20: "HBM", 0x21: "HBM2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryModules:
    """What is fitted: the common type, the slowest configured speed in MT/s, and how many modules."""

    type: str | None
    mts: int | None
    count: int


def memory_modules(roots: MachineRoots) -> MemoryModules | str:
    """The modules that are fitted, or why they cannot be told."""
    path = roots.sys / "firmware/dmi/tables/DMI"
    try:
        table = path.read_bytes()[:_MAX_TABLE_BYTES]
    except FileNotFoundError:
        return "the firmware shows no SMBIOS table"
    except PermissionError:
        return "only root may read the SMBIOS table"
    except OSError as error:
        return f"the SMBIOS table cannot be read: {error.strerror}"
    modules = [found for found in _structures(table, _MEMORY_DEVICE) if _word(found, _SIZE) not in {None, 0}]
    if not modules:
        return "the SMBIOS table lists no memory module"
    speeds = [speed for module in modules if (speed := _speed(module))]
    types = {_TYPES.get(module[_TYPE]) for module in modules if len(module) > _TYPE}
    return MemoryModules(
        type=next(iter(types)) if len(types) == 1 else None,
        mts=min(speeds) if speeds else None,
        count=len(modules),
    )


def _structures(table: bytes, wanted: int) -> list[bytes]:
    found, at = [], 0
    while at + _HEADER <= len(table):
        kind, length = table[at], table[at + 1]
        if length < _HEADER or kind == _END:
            break
        if kind == wanted:
            found.append(table[at : at + length])
        end = table.find(b"\0\0", at + length)
        if end < 0:
            break
        at = end + 2
    return found


def _word(structure: bytes, offset: int) -> int | None:
    return int.from_bytes(structure[offset : offset + 2], "little") if len(structure) >= offset + 2 else None


def _speed(module: bytes) -> int | None:
    speed = _word(module, _CONFIGURED) or _word(module, _SPEED)
    if speed == _SEE_EXTENDED:
        speed = int.from_bytes(module[_EXTENDED_CONFIGURED : _EXTENDED_CONFIGURED + 4], "little")
    return speed or None
