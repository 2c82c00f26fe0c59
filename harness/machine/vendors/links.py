"""The PCIe link of a card, from sysfs: as it is now, and as it can be."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from harness.machine.vendors.pci import read_int
from harness.machine.vendors.probing import MissingError
from harness.machine.vendors.sensors import integer, required

GENERATIONS = {"2.5": 1, "5.0": 2, "5": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}
"""By GT/s, as the kernel writes it."""

_BRIDGE = 0x0604
_MOST_SWITCHES = 4


def slot_path(card: Path, *, vendor_id: int | None) -> Path:
    """The folder of what sits in the slot: the card, or the outermost switch of the same vendor that lies before it.

    Args:
        card: its folder in sysfs.
        vendor_id: of the card.
    """
    found = card.resolve()
    for _ in range(_MOST_SWITCHES):
        above = found.parent
        bridge = (read_int(above / "class") or 0) >> 8 == _BRIDGE
        if not bridge or vendor_id is None or read_int(above / "vendor") != vendor_id:
            return found
        found = above
    return found


def link_generation(slot: Path) -> int:
    """PCIe generation.

    Raises:
        MissingError: the file is absent, as for chips on no link, or says `Unknown`.
    """
    return _generation(slot / "current_link_speed")


def _generation(file: Path) -> int:
    text = required(file)
    speed = re.match(r"([0-9.]+) GT/s", text)
    if speed is None or speed[1] not in GENERATIONS:
        raise MissingError(f"{file.name} is {text[:40]!r}")
    return GENERATIONS[speed[1]]


def possible_link(card: Path, *, vendor_id: int) -> tuple[int | None, int | None]:
    """Generation that card and slot can do together, and lanes in use; None each where the kernel does not tell.

    Args:
        card: its folder in sysfs.
        vendor_id: of the card.
    """
    slot = slot_path(card, vendor_id=vendor_id)
    width = None
    with suppress(MissingError):
        width = link_width(slot)
    if width is None:
        return None, None
    ends = []
    for end in (slot, slot.parent):
        with suppress(MissingError):
            ends.append(_generation(end / "max_link_speed"))
    return min(ends, default=None), width


def link_width(slot: Path) -> int:
    """Lanes in use.

    Raises:
        MissingError: the file is absent, or says 0 or 255 as chips on no link do.
    """
    width = integer(slot / "current_link_width")
    if width in {0, 255}:
        raise MissingError("the chip is on no link of its own")
    return width
