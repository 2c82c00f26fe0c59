"""Display cards on the PCI bus, read from sysfs without any driver's help.

The bus is read, and not `/sys/class/drm/card*`, since it shows cards without a driver too, and each card once.
A card's folder here is the same one as `/sys/class/drm/cardN/device`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DISPLAY = 0x03
"""PCI base class of display controllers: VGA, 3D and others."""

ACCELERATOR = 0x12
"""PCI base class of processing accelerators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PciCard:
    """One card.

    Attributes:
        path: its folder in sysfs.
        address: `0000:03:00.0`.
        vendor_id, device_id, revision: as in its configuration space.
        driver: kernel driver that it is bound to; None where it is bound to none.
        render_node: name of its node in `/dev/dri`, such as `renderD128`; None where its driver made none.
    """

    path: Path
    address: str
    vendor_id: int
    device_id: int
    revision: int
    driver: str | None
    render_node: str | None

    @property
    def suspended(self) -> bool:
        """Whether it sleeps: reading its sensors would wake it or fail."""
        return read_text(self.path / "power/runtime_status") == "suspended"


def read_text(path: Path) -> str | None:
    """The stripped text of a small file; None where it is absent, unreadable or empty.

    Drivers answer EBUSY, EPERM, ENODATA or EOPNOTSUPP for what the card does not have: all mean missing.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """The integer in a file, decimal or with `0x`; None where there is none."""
    text = read_text(path)
    try:
        return int(text, 0) if text is not None else None
    except ValueError:
        return None


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """What lies in a folder, by name; empty where it is absent or closed."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def cards(sysfs: Path, *, vendor_id: int, base_classes: tuple[int, ...] = (DISPLAY,)) -> Iterator[PciCard]:
    """The cards of a vendor, in the order of their addresses.

    Args:
        sysfs: root of sysfs.
        vendor_id: such as 0x1002.
        base_classes: PCI base classes that count as a card.

    Yields:
        Each card, with or without a driver.
    """
    for path in entries(sysfs / "bus/pci/devices"):
        device_class = read_int(path / "class")
        device_id = read_int(path / "device")
        if device_class is None or device_id is None or read_int(path / "vendor") != vendor_id:
            continue
        if device_class >> 16 not in base_classes:
            continue
        driver = path / "driver"
        nodes = entries(path / "drm", "renderD*")
        yield PciCard(
            path=path,
            address=path.name.lower(),
            vendor_id=vendor_id,
            device_id=device_id,
            revision=read_int(path / "revision") or 0,
            driver=driver.resolve().name if driver.exists() else None,
            render_node=nodes[0].name if nodes else None,
        )


def power_limit_w(card: PciCard, *names: str) -> float | None:
    """The power limit in force, in watts, from the first of the hwmon files that states one.

    Args:
        card: not asked while it sleeps.
        names: file names such as `power1_cap`, in microwatts; 0 means that no limit is set.
    """
    if card.suspended:
        return None
    for sensor in entries(card.path / "hwmon", "hwmon*"):
        for name in names:
            if microwatts := read_int(sensor / name):
                return microwatts / 1e6
    return None


def driver_version(name: str | None, *, sysfs: Path, proc: Path | None) -> str | None:
    """`amdgpu 6.10.5` of a driver with a version of its own, `xe of Linux 6.12.9` of one that comes with the kernel.

    Args:
        name: of the driver; None where there is none.
        proc: root of procfs; None leaves the kernel out.
    """
    if name is None:
        return None
    if version := read_text(sysfs / "module" / name / "version"):
        return f"{name} {version}"
    kernel = read_text(proc / "sys/kernel/osrelease") if proc else None
    return f"{name} of Linux {kernel}" if kernel else name
