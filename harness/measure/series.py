"""Values over time: means and maxima within a window, differences of counters, integrals, thinning. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from harness.values.telemetry import Number

NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What one field was, at the times at which it was known; times ascend."""

    at_ns: tuple[int, ...]
    values: tuple[Number, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, Number | None]]) -> Series:
        """Without the looks that did not tell."""
        known = [(at_ns, value) for at_ns, value in pairs if value is not None]
        return cls(at_ns=tuple(at for at, _ in known), values=tuple(value for _, value in known))

    def within(self, begin_ns: int, end_ns: int) -> tuple[Number, ...]:
        """The values in a window, both ends included."""
        return tuple(v for at, v in zip(self.at_ns, self.values, strict=True) if begin_ns <= at <= end_ns)

    def at(self, moment_ns: int) -> float | None:
        """The value at a moment, on the line between its neighbours; None outside of what was seen."""
        index = bisect_left(self.at_ns, moment_ns)
        if index < len(self.at_ns) and self.at_ns[index] == moment_ns:
            return float(self.values[index])
        if not 0 < index < len(self.at_ns):
            return None
        before, after = self.at_ns[index - 1], self.at_ns[index]
        share = (moment_ns - before) / (after - before)
        return self.values[index - 1] + share * (self.values[index] - self.values[index - 1])

    def grown(self, begin_ns: int, end_ns: int, *, slack_ns: int = 0) -> float | None:
        """By how much a counter grew; None where the window was not seen whole, or the counter began anew.

        Args:
            begin_ns: of the window. end_ns: likewise.
            slack_ns: how much of either end may not have been seen.
        """
        if self.at_ns and slack_ns:
            begin_ns = min(max(begin_ns, self.at_ns[0]), begin_ns + slack_ns)
            end_ns = max(min(end_ns, self.at_ns[-1]), end_ns - slack_ns)
        first, last = self.at(begin_ns), self.at(end_ns)
        if first is None or last is None or last < first:
            return None
        return last - first

    def integral_s(self, begin_ns: int, end_ns: int) -> float | None:
        """Value times seconds over a window, by trapezoids; None where the window was not seen whole."""
        first, last = self.at(begin_ns), self.at(end_ns)
        if first is None or last is None:
            return None
        inner = [(at, v) for at, v in zip(self.at_ns, self.values, strict=True) if begin_ns < at < end_ns]
        points = [(begin_ns, first), *inner, (end_ns, last)]
        return sum((after - before) / NS_PER_S * (low + high) / 2 for (before, low), (after, high) in pairwise(points))


def mean(values: Sequence[Number]) -> float | None:
    """None of nothing."""
    return fmean(values) if values else None


def most(values: Sequence[Number]) -> Number | None:
    """None of nothing."""
    return max(values) if values else None


def thinned(count: int, bound: int) -> tuple[int, ...]:
    """At most `bound` indices of `count`, evenly spread, the first and the last among them."""
    if count <= bound:
        return tuple(range(count))
    return tuple(round(index * (count - 1) / (bound - 1)) for index in range(bound))
