"""An interval of confidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From `low` to `high`, both included.

    Attributes:
        confidence: the probability, 0 to 1, with which such an interval covers the true value: exact where it can be
            computed, and then at least what was asked for.
    """

    low: float
    high: float
    confidence: float

    @property
    def half_width(self) -> float:
        """Half of the distance between its ends, in the unit of the values."""
        return (self.high - self.low) / 2

    def holds(self, value: float) -> bool:
        """Whether `value` lies in it."""
        return self.low <= value <= self.high
