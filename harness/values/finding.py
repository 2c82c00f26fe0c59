"""What `invoke doctor` found: one check of one thing, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands."""

    GREEN = "green"
    """Nothing has to be done."""
    YELLOW = "yellow"
    """It works, but numbers will be worse, or something has to be made first, or it could not be looked at."""
    RED = "red"
    """Cells will fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check of one thing.

    Attributes:
        check: which check, from the list in docs/doctor.md; stable.
        subject: what it is about: a device, an image, a model; empty where the check says it all.
        found: what was seen, as a sentence without a full stop.
        todo: what to do; empty where nothing has to be done.
        reason: of `harness.values.failure.Reason`, where a cell would fail for it; empty otherwise.
    """

    check: str
    state: State
    found: str
    subject: str = ""
    todo: str = ""
    reason: str = ""


def green(check: str, found: str, *, subject: str = "") -> Finding:
    """Nothing has to be done."""
    return Finding(check=check, state=State.GREEN, found=found, subject=subject)


def yellow(check: str, found: str, *, subject: str = "", todo: str = "") -> Finding:
    """It works, in a way."""
    return Finding(check=check, state=State.YELLOW, found=found, subject=subject, todo=todo)


def red(check: str, found: str, *, todo: str, subject: str = "", reason: str = "") -> Finding:
    """Cells will fail."""
    return Finding(check=check, state=State.RED, found=found, subject=subject, todo=todo, reason=reason)
