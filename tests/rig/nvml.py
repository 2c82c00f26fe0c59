"""The stand-in for NVML (`nvml.c`) beneath the real pynvml, and what its cards do."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pynvml

from tests.rig.cards import Card
from tests.rig.following import Doing
from tests.rig.stub_image import NoCompilerError

SOURCE = Path(__file__).with_name("nvml.c")
IDLE_BYTES = 430 * 1024**2
_MOST_CARDS, _MOST_PROCESSES = 4, 4


class _CCard(ctypes.Structure):
    """`struct card` of `nvml.c`."""

    _fields_ = (
        ("uuid", ctypes.c_char * 80),
        ("name", ctypes.c_char * 96),
        ("bus", ctypes.c_char * 32),
        *((name, ctypes.c_ulonglong) for name in ("total", "used", "energy_mj", "reasons")),
        *((name, ctypes.c_uint) for name in ("major", "minor", "limit_mw", "power_mw", "utilization", "temperature")),
        *((name, ctypes.c_uint) for name in ("sm_mhz", "memory_mhz", "generation", "width", "lost", "n_processes")),
        ("pids", ctypes.c_uint * _MOST_PROCESSES),
        ("held", ctypes.c_ulonglong * _MOST_PROCESSES),
    )


def nvml_library(folder: Path) -> Path:
    """Compile the library, once a folder.

    Raises:
        NoCompilerError: there is no C compiler.
    """
    library = folder / "libnvidia-ml.so.1"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError("there is no C compiler: apt-get install gcc libc6-dev")
    if not library.is_file() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    return library


class FakeNvml:
    """Cards of NVIDIA that the real pynvml tells of.

    Args:
        cards: in NVML's order.
        folder: where the library is compiled.
        driver: its version.
    """

    def __init__(self, cards: Sequence[Card], folder: Path, *, driver: str = "580.95.05") -> None:
        self._library = ctypes.CDLL(str(nvml_library(folder)))
        self._cards = (_CCard * _MOST_CARDS).in_dll(self._library, "cards")
        ctypes.c_uint.in_dll(self._library, "n_cards").value = len(cards)
        (ctypes.c_char * 80).in_dll(self._library, "driver_version").value = driver.encode()
        for own, card in zip(self._cards, cards, strict=False):
            major, _, minor = card.architecture.partition(".")
            own.uuid, own.name = card.uuid.encode(), card.name.encode()
            own.bus = f"0000{card.pci}".upper().encode()
            own.total, own.used = card.memory_bytes, IDLE_BYTES
            own.major, own.minor = int(major), int(minor)
            own.limit_mw = round(card.power_limit_w * 1000)
            own.memory_mhz, own.generation, own.width = 10501, 4, 16
        self.show([Doing() for _ in cards], 0.0)

    def module(self) -> Any:
        """The real pynvml, upon the stand-in."""
        if pynvml.nvmlLib is not self._library:
            pynvml.nvmlLib = self._library
            pynvml._nvmlGetFunctionPointer_cache.clear()
        return pynvml

    def show(self, doing: Sequence[Doing], seconds: float) -> None:
        """What each card does now, and since when."""
        for own, does in zip(self._cards, doing, strict=False):
            limit_w = own.limit_mw / 1000
            own.energy_mj += round(own.power_mw * seconds)
            own.used = IDLE_BYTES + sum(does.held.values())
            own.utilization = does.percent
            own.power_mw = round(1000 * (18 + 0.8 * (limit_w - 18) * does.percent / 100))
            own.temperature = 38 + does.percent // 20
            own.sm_mhz = 2520 if does.percent else 210
            own.reasons = does.reasons
            own.n_processes = min(len(does.held), _MOST_PROCESSES)
            for place, (pid, held) in enumerate(list(does.held.items())[:_MOST_PROCESSES]):
                own.pids[place], own.held[place] = pid, held
