"""Where the kernel shows itself, and how its small files are read: what is not there is None."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRoots:
    """Where the kernel shows itself; other folders in tests."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    etc: Path = Path("/etc")


def read_text(path: Path) -> str | None:
    """What a small file says, without white space around it; None where it is absent, unreadable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
