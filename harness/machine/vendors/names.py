"""Names of cards that their drivers do not tell: looked up in the data files that distributions ship."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PCI_IDS = ("misc/pci.ids", "hwdata/pci.ids")
"""Where distributions keep the list of PCI ids, under /usr/share."""

AMDGPU_IDS = "libdrm/amdgpu.ids"
"""libdrm's list of AMD's names: Mesa and ROCm name cards by the same list."""


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            yield from stream
    except OSError:
        return


def amdgpu_name(share: Path, *, device_id: int, revision: int) -> str | None:
    """The name of an AMD card by device and revision, such as `AMD Radeon RX 7900 XTX`.

    Args:
        share: `/usr/share`.
        device_id: PCI device id.
        revision: PCI revision, which tells cards with one device id apart.

    Returns:
        The name, None where the list is absent or does not have it.
    """
    for line in _lines(share / AMDGPU_IDS):
        fields = [field.strip() for field in line.split(",", 2)]
        if len(fields) == 3 and fields[0].upper() == f"{device_id:04X}" and fields[1].upper() == f"{revision:02X}":  # noqa: PLR2004 - the list has three columns
            return fields[2]
    return None


def pci_name(share: Path, *, vendor_id: int, device_id: int) -> str | None:
    """The name of a card by its PCI ids: what stands in brackets, such as `Arc A770`, else the whole entry.

    Args:
        share: `/usr/share`.
        vendor_id: PCI vendor id.
        device_id: PCI device id.

    Returns:
        The name, None where no list is there or none has it. Several cards that share an id are named together,
        parted by a slash.
    """
    for file in PCI_IDS:
        inside = False
        for line in _lines(share / file):
            if line.startswith("#") or not line.strip():
                continue
            if not line.startswith("\t"):
                if inside:
                    break
                inside = line.lower().startswith(f"{vendor_id:04x} ")
            elif inside and line.lower().startswith(f"\t{device_id:04x} "):
                title = line.split(None, 1)[1].strip()
                bracket = re.search(r"\[([^\]]+)\]", title)
                return bracket[1] if bracket else title
    return None
