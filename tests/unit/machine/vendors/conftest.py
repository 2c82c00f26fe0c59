"""Trees that look like sysfs and /dev, and engines of every age. Values are those of real cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.values.facts import EngineFacts


@dataclass(frozen=True)
class Roots:
    """A folder with `sys`, `dev`, `proc` and `share` in it."""

    root: Path

    @property
    def sys(self) -> Path:
        return self.root / "sys"

    @property
    def dev(self) -> Path:
        return self.root / "dev"

    @property
    def share(self) -> Path:
        return self.root / "share"

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def card(
        self,
        address: str,
        *,
        ids: str,
        device_class: str = "0x030000",
        revision: str = "0x00",
        driver: str | None = None,
        render: str | None = None,
        files: Mapping[str, str | bytes] | None = None,
    ) -> Path:
        vendor, device = ids.split(":")
        base = f"sys/bus/pci/devices/{address}"
        own = {"vendor": f"0x{vendor}", "device": f"0x{device}", "class": device_class, "revision": revision}
        for name, value in {**own, **(files or {})}.items():
            self.write(f"{base}/{name}", value if isinstance(value, bytes) else f"{value}\n")
        if driver:
            (self.sys / "bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
            (self.root / base / "driver").symlink_to(self.sys / "bus/pci/drivers" / driver)
        if render:
            (self.root / base / "drm" / render).mkdir(parents=True)
            (self.root / base / "drm/card0").mkdir()
        return self.root / base

    def node(self, name: str, *, mode: int = 0o660) -> Path:
        node = self.write(f"dev/{name}", "")
        node.chmod(mode)
        return node


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    for name in ("sys", "dev", "share"):
        (tmp_path / name).mkdir()
    return Roots(tmp_path)


@pytest.fixture
def engine():
    def make(
        name: str = "Docker Engine",
        version: str = "20.10.24+dfsg1",
        *,
        cdi: tuple[str, ...] = (),
        rootless: bool = False,
    ) -> EngineFacts:
        return EngineFacts(
            name=name, version=version, api_version="1.41", host="unix:///x", cdi_devices=cdi, rootless=rootless
        )

    return make
