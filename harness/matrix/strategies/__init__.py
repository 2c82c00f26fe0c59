"""Strategies: what to run next, seen what is recorded so far. Feedback has this one place; all else flows one way."""

from __future__ import annotations

from typing import Protocol

from harness.store.history import History
from harness.values.plan import Group, Planned


class Strategy(Protocol):
    """What to run next. It decides from the records alone, so that a start can be continued by another."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """Everything that it is about."""

    def next(self, history: History) -> tuple[Planned, ...]:
        """The runs to be made now, in order; empty when the work is done.

        The caller makes them one after the other and asks again when they are made, and earlier where one of them
        did not go as planned.
        """

    def ahead(self, history: History) -> tuple[Planned, ...]:
        """All runs that are left by what is known now, in no order that matters: for the display."""

    def lacking(self, history: History) -> tuple[str, ...]:
        """Ids of the cells that lack a number which they should have."""
