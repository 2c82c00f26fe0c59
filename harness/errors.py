"""The one family of errors that a user can cause or has to act upon.

    BenchError                 exit code, place, what is wrong, what to do
    ├── InputError         2   a mistake in a file, a name, an option; a local file that is missing or differs
    │   └── ProblemsError  2   several of them at once, each with its own place
    ├── CellsFailedError   1   the work was done and recorded, but some cells have no number
    │   └── ArtifactError  1   an image or a model cannot be had; its cells fail, the others run
    ├── SlowerError        1   a comparison shows a slowdown by more than was accepted
    ├── UndecidedError     4   a comparison can neither show nor rule out such a slowdown
    ├── MachineError       3   the machine cannot do it: disk, permissions, locks
    │   └── EngineError    3   no container engine, or it went away
    └── InterruptedByUserError 130  stopped by SIGINT or SIGTERM; what was measured is kept

Only `tasks.py` catches the family, once, prints it and exits with its code. What goes wrong *inside* a run
is not an exception but a `Failure` in the run's record (see `harness.values.failure`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class BenchError(Exception):
    """An error with a place, a statement and a remedy, shown to the user without a traceback.

    Args:
        what: what is wrong, as a sentence without a full stop.
        where: file, option, image or device that it is about; empty where there is none.
        remedy: what the user can do about it, as an imperative sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  -> {self.remedy}" if self.remedy else text


class InputError(BenchError):
    """A mistake in the input. Nothing was started."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in one file.

    Attributes:
        file: the file as the user named it.
        line: 1-based line; 0 where the whole file is meant.
        column: 1-based column; 0 where the whole line or file is meant.
        path: JSONPath of the value, such as `$.cells[0].backend`; empty where it is not about a value.
        message: what is wrong, and where it helps, what was probably meant.
    """

    file: str
    message: str
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ProblemsError(InputError):
    """All the mistakes of a file at once, in the order in which they stand in it."""

    def __init__(self, problems: Sequence[Problem], *, remedy: str = "") -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.path, p.message)))
        super().__init__("\n".join(str(problem) for problem in self.problems), remedy=remedy)


class CellsFailedError(BenchError):
    """Every run was made or accounted for, but some cells have a failure instead of a number."""

    exit_code = 1


class ArtifactError(CellsFailedError):
    """An image or a model that a cell needs cannot be had.

    Args:
        reason: the `harness.values.failure.Reason` to record for the cells that need it.
    """

    def __init__(self, what: str, *, reason: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.reason = reason


class SlowerError(BenchError):
    """A comparison shows a slowdown by more than was accepted."""

    exit_code = 1


class UndecidedError(BenchError):
    """Whether there is a slowdown by more than was accepted is not known: the intervals are too wide for that."""

    exit_code = 4


class MachineError(BenchError):
    """The machine cannot do what was asked: no disk, no permission, another harness at work."""

    exit_code = 3


class EngineError(MachineError):
    """No container engine answers, or it went away while it was needed."""


class InterruptedByUserError(BenchError):
    """SIGINT or SIGTERM. Finished runs are recorded and the partial report is written."""

    exit_code = 130
