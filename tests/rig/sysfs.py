"""Trees that look like /sys and /dev of a machine with cards of AMD or Intel, and follow what the cards do.

The nodes are character devices with the numbers of /dev/null, so that real engines hand them over. It takes root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.rig.cards import Card
from tests.rig.following import Doing

NULL = os.makedev(1, 3)
VIDEO, RENDER = 44, 105
"""Groups of the nodes, by number, as on a Debian host: two, so that one alone does not open both."""
KFD_GPU_ID = 41995
_DRM_MINOR = 128


class FakeSysfs:
    """The trees `sys` and `dev` in a folder, made anew.

    Args:
        cards: of AMD and Intel; render nodes are numbered in this order.
        root: folder of the trees.
        kfd: whether the machine has `/dev/kfd`.
    """

    def __init__(self, cards: Sequence[Card], root: Path, *, kfd: bool = True) -> None:
        for name in ("sys", "dev"):
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir(parents=True)
        self.root = root
        self._cards = tuple(cards)
        self._energy_j = [0.0 for _ in cards]
        if kfd and any(card.vendor == "amd" for card in cards):
            _node(self.kfd, group=RENDER)
            (self.sys / "class/kfd/kfd/proc").mkdir(parents=True)
        for index, card in enumerate(self._cards):
            _node(self.render_node(index), group=VIDEO)
            self._card(index, card, kfd=kfd)
        self.show([Doing() for _ in cards], 0.0)

    @property
    def sys(self) -> Path:
        return self.root / "sys"

    @property
    def dev(self) -> Path:
        return self.root / "dev"

    @property
    def kfd(self) -> Path:
        return self.dev / "kfd"

    def render_node(self, index: int) -> Path:
        return self.dev / f"dri/renderD{_DRM_MINOR + index}"

    def nodes(self, index: int, backend: str) -> tuple[str, ...]:
        """What a process opens for this card."""
        render = str(self.render_node(index))
        return (str(self.kfd), render) if backend == "rocm" else (render,)

    def _folder(self, card: Card) -> Path:
        return self.sys / "bus/pci/devices" / card.pci

    def _card(self, index: int, card: Card, *, kfd: bool) -> None:
        folder = self._folder(card)
        vendor, device = card.ids.split(":")
        driver = self.sys / "bus/pci/drivers" / card.driver
        driver.mkdir(parents=True, exist_ok=True)
        (folder / "drm" / f"renderD{_DRM_MINOR + index}").mkdir(parents=True)
        (folder / "driver").symlink_to(driver)
        shown = {
            "vendor": f"0x{vendor}",
            "device": f"0x{device}",
            "class": card.files.get("device_class", "0x030000"),
            "revision": card.files.get("revision", "0x00"),
            "power/runtime_status": "active",
        }
        if card.vendor == "amd":
            shown |= {
                "product_name": card.name,
                "mem_info_vram_total": str(card.memory_bytes),
                "mem_info_gtt_total": str(card.gtt_bytes or 64 * 1024**3),
                "hwmon/hwmon3/name": "amdgpu",
                "hwmon/hwmon3/power1_cap": f"{card.power_limit_w * 1e6:.0f}",
                "hwmon/hwmon3/power1_cap_min": f"{0.3 * card.power_limit_w * 1e6:.0f}",
                "hwmon/hwmon3/power1_cap_max": f"{1.1 * card.power_limit_w * 1e6:.0f}",
                "hwmon/hwmon3/temp1_label": "edge",
                "hwmon/hwmon3/freq1_label": "sclk",
            }
            if kfd:
                topology = self.sys / f"class/kfd/kfd/topology/nodes/{index + 1}"
                minor = f"drm_render_minor {_DRM_MINOR + index}"
                _write(topology / "properties", f"simd_count 80\n{minor}\ngfx_target_version {card.architecture}")
                _write(topology / "gpu_id", str(KFD_GPU_ID + index))
        else:
            shown |= {"hwmon/hwmon4/name": card.driver, "hwmon/hwmon4/power2_max": f"{card.power_limit_w * 1e6:.0f}"}
            shown |= {"hwmon/hwmon4/energy2_label": "pkg"}
        for name, text in shown.items():
            _write(folder / name, text)
        if card.gtt_bytes:  # u16 size, u8 format, u8 content: by the format an APU is known where KFD is absent
            (folder / "gpu_metrics").write_bytes(b"\x08\x01\x03\x00" + bytes(260))

    def show(self, doing: Sequence[Doing], seconds: float) -> None:
        """What each card does now, and since when."""
        for index, (card, does) in enumerate(zip(self._cards, doing, strict=False)):
            folder = self._folder(card)
            cap = folder / "hwmon/hwmon3/power1_cap"
            limit_w = int(cap.read_text() or 0) / 1e6 if cap.is_file() else card.power_limit_w
            watts = 12 + 0.85 * (limit_w - 12) * does.percent / 100
            held = sum(does.held.values())
            if card.vendor == "amd":
                vram, gtt = (0, held) if card.gtt_bytes else (held, 0)
                _write(folder / "mem_info_vram_used", str(300 * 1024**2 + vram))
                _write(folder / "mem_info_gtt_used", str(60 * 1024**2 + gtt))
                _write(folder / "gpu_busy_percent", str(does.percent))
                _write(folder / "hwmon/hwmon3/power1_average", f"{watts * 1e6:.0f}")
                _write(folder / "hwmon/hwmon3/temp1_input", str(1000 * (41 + does.percent // 20)))
                _write(folder / "hwmon/hwmon3/freq1_input", "2500000000" if does.percent else "600000000")
                self._processes(index, does)
            else:
                self._energy_j[index] += watts * seconds
                _write(folder / "hwmon/hwmon4/energy2_input", f"{self._energy_j[index] * 1e6:.0f}")

    def _processes(self, index: int, does: Doing) -> None:
        """KFD lists the processes that use it, with what they hold: those of Vulkan are none of its."""
        folder = self.sys / "class/kfd/kfd/proc"
        for gone in folder.glob("*") if folder.is_dir() else ():
            if int(gone.name) not in does.held:
                shutil.rmtree(gone, ignore_errors=True)
        for pid, held in does.held.items() if folder.is_dir() and not self._cards[index].gtt_bytes else ():
            _write(folder / f"{pid}/vram_{KFD_GPU_ID + index}", str(held))


def _write(path: Path, text: str) -> None:
    """At once, so that nobody reads half of it."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(text + "\n")
    partial.rename(path)


def _node(path: Path, *, group: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, 0o020660, NULL)
    path.chmod(0o660)
    os.chown(path, 0, group)
