"""What the user sees while it works: a live display on a terminal, plain lines elsewhere.

The display is redrawn once a second at most: the machine is being measured, and our own threads must not be seen in it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

SECONDS_A_MINUTE = 60
PLAIN_EVERY_S = 15.0


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`: for people."""
    seconds = max(0, round(seconds))
    if seconds < SECONDS_A_MINUTE:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, SECONDS_A_MINUTE)
    if minutes < SECONDS_A_MINUTE:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, SECONDS_A_MINUTE)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


class Step(Protocol):
    """One long piece of work: `done` of `total` in any unit, with a word on what is being done."""

    def __call__(self, text: str, done: float | None = None, total: float | None = None) -> None:
        """Say how far it is."""


class Display:
    """Lines that stay, and one line that lives."""

    def __init__(self, *, terminal: bool | None = None, stream: RichConsole | None = None) -> None:
        self._console = stream or RichConsole(file=sys.stdout, highlight=False, soft_wrap=True)
        self.terminal = self._console.is_terminal if terminal is None else terminal
        self._progress: Progress | None = None

    def say(self, text: str) -> None:
        """Print a line that stays. The text is data: nothing in it is markup."""
        self._console.print(text, markup=False, highlight=False)
        if not self.terminal:
            self._console.file.flush()

    def marked(self, mark: str, text: str, *, colour: str) -> None:
        """Print a line that begins with a word in colour: on a terminal only, and not where NO_COLOR is set."""
        line = Text(mark, style=f"bold {colour}")
        self._console.print(line.append(f" {text}", style="not bold default"), highlight=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show one piece of work while it goes on; elsewhere than on a terminal a line every 15 s at most."""
        if self.terminal:
            with _live(self._console) as progress:
                task = progress.add_task(title, total=None, detail="")
                yield _live_step(progress, task)
        else:
            yield _plain_step(title, self.say)

    @contextmanager
    def runs(self, total: int, left_s: float) -> Iterator[RunsDisplay]:
        """Show the runs of a matrix, which take so long together as far as is known."""
        with RunsDisplay(self, self._console, total, left_s) as display:
            yield display


def _live(console: RichConsole) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=1,
        transient=True,
    )


def _live_step(progress: Progress, task: TaskID) -> Step:
    def step(text: str, done: float | None = None, total: float | None = None) -> None:
        progress.update(task, detail=text[:100], completed=done, total=total)

    return step


def _plain_step(title: str, say: Callable[[str], None]) -> Step:
    last = 0.0

    def step(text: str, done: float | None = None, total: float | None = None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_EVERY_S:
            last = now
            share = f" {100 * done / total:.0f} %" if done is not None and total else ""
            say(f"  {title}{share}: {text}" if text else f"  {title}{share}")

    return step


class RunsDisplay:
    """Runs done, runs to do, the time that is left: of the runs as foreseen, and beside them as it was so far."""

    def __init__(self, display: Display, console: RichConsole, total: int, left_s: float) -> None:
        self._display = display
        self._total = total
        self._done = 0
        self._left_s = left_s
        self._beside_s = 0.0
        self._progress = _live(console) if display.terminal else None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
            self._task = self._progress.add_task("runs", total=self._total, detail="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def add(self, runs: int) -> None:
        """Runs that were not foreseen: one more try where the engine went away."""
        self._total += runs

    def left(self, runs: int) -> None:
        """How many runs are left by what is known now."""
        self._total = self._done + runs

    def started(self, text: str) -> None:
        """A run begins. Nothing is printed elsewhere than on a terminal: its line comes when it is done."""
        if self._progress is not None and self._task is not None:
            detail = f"{self._done}/{self._total}  {text}{self._left()}"
            self._progress.update(self._task, total=self._total, completed=self._done, detail=detail)

    def finished(self, text: str, beside_s: float, left_s: float) -> None:
        """A run ended.

        Args:
            beside_s: what it took beside its container, waiting for a quiet machine above all.
            left_s: of the containers that are left.
        """
        self._done += 1
        self._beside_s += beside_s
        self._left_s = left_s
        width = len(str(self._total))
        self._display.say(f"[{self._done:>{width}}/{self._total}] {text}{self._left()}")

    def _left(self) -> str:
        todo = self._total - self._done
        if todo <= 0:
            return ""
        beside_s = todo * self._beside_s / self._done if self._done else 0.0
        return f"  ({duration(self._left_s + beside_s)} left)"
