"""Cards that do what the stubs in containers make them do: a thread reads the stubs' names, whatever runs them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

INTERVAL_S = 0.05
YOUNG_S = 3.0
"""A process that was no stub this long after it was first seen will not become one."""

_NAME = re.compile(r"(\w{3}):([0-9a-f]+):(\d+):(\d+)")
_MIB = 1024**2

THERMAL = 0x20
"""NVML's bit of a software thermal slowdown."""


@dataclass(slots=True, kw_only=True)
class Doing:
    """What a card does.

    Attributes:
        held: memory by the process that holds it, in bytes.
        percent: how busy it is.
        reasons: why its clocks are held down, as NVML's bits.
    """

    held: dict[int, int] = field(default_factory=dict)
    percent: int = 0
    reasons: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """A stub that runs now, by its name."""

    pid: int
    cards: tuple[int, ...]
    held_bytes: int
    percent: int


def stub_of(pid: int, name: str, *, rig: str = "rig") -> Stub | None:
    """What the name of a process says; None where it is no stub of this rig."""
    found = _NAME.match(name)
    if found is None or found[1] != rig:
        return None
    mask = int(found[2], 16)
    cards = tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)
    return Stub(pid=pid, cards=cards, held_bytes=int(found[3]) * _MIB, percent=int(found[4]))


def doing(stubs: Sequence[Stub], n_cards: int) -> list[Doing]:
    """What each card does because of them."""
    found = [Doing() for _ in range(n_cards)]
    for stub in stubs:
        for card in stub.cards:
            if card < n_cards and stub.held_bytes:
                found[card].held[stub.pid] = stub.held_bytes // len(stub.cards)
                found[card].percent = max(found[card].percent, stub.percent)
    return found


class Follower:
    """The thread.

    Args:
        show: called with what each card does, and the seconds since the call before.
        n_cards: how many there are.
        rig: names the rig whose stubs are meant.
        change: what else happens to the cards, such as another program that uses one.
    """

    def __init__(
        self,
        show: Callable[[Sequence[Doing], float], None],
        n_cards: int,
        *,
        rig: str = "rig",
        change: Callable[[list[Doing]], None] = lambda _doing: None,
        proc: Path = Path("/proc"),
    ) -> None:
        self._show, self._n_cards, self._change, self._proc = show, n_cards, change, proc
        self._rig = rig
        self._stop = threading.Event()
        self._first_seen: dict[int, float] = {}
        self._stubs: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="rig", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(INTERVAL_S):
            now = time.monotonic()
            found = doing(self._look(now), self._n_cards)
            self._change(found)
            self._show(found, now - before)
            before = now

    def _look(self, now: float) -> list[Stub]:
        pids = {int(entry.name) for entry in self._proc.iterdir() if entry.name.isdigit()}
        self._first_seen = {pid: self._first_seen.get(pid, now) for pid in pids}
        self._stubs &= pids
        found = []
        for pid, first in self._first_seen.items():
            if pid not in self._stubs and now - first > YOUNG_S:
                continue
            with suppress(OSError):
                stub = stub_of(pid, (self._proc / str(pid) / "comm").read_text(), rig=self._rig)
                if stub is not None:
                    self._stubs.add(pid)
                    found.append(stub)
        return found
