"""The first slow build between a fine and a slow one: which one to look at next, seen what the others turned out to be.

As `git bisect` does, it believes that there is one change from fine to slow. Builds that cannot be judged are skipped:
the nearest one to the middle is looked at instead, and where only such builds are left the answer is a range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.stats.sides import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """How far a search has come.

    Attributes:
        fine: the last build that is known to be fine, slow: the first known to be slow.
        skipped: builds between them that could not be judged.
        next: the build to be looked at now; None where the search has ended.
    """

    fine: int
    slow: int
    skipped: tuple[int, ...]
    next: int | None

    @property
    def found(self) -> bool:
        """Whether the first slow build is known, and not only a range."""
        return self.next is None and not self.skipped


def narrow(builds: Sequence[int], known: Mapping[int, Side]) -> Narrowed:
    """Walk through the search, from the whole range, with what is known: the same knowledge always leads the same way.

    Args:
        builds: in ascending order; the first is fine and the last slow.
        known: what builds turned out to be; those that are undecided are skipped.

    Raises:
        ValueError: there are fewer than two builds, or they are not in ascending order.
    """
    ordered = tuple(builds)
    if len(ordered) < 2 or list(ordered) != sorted(set(ordered)):  # noqa: PLR2004 - a fine and a slow one
        raise ValueError("a search needs a fine build and a slow one, and all of them in ascending order")
    low, high = 0, len(ordered) - 1
    while True:
        middle = (low + high) / 2
        between = sorted(range(low + 1, high), key=lambda index: (abs(index - middle), index))
        index = next((i for i in between if known.get(ordered[i]) is not Side.UNDECIDED), None)
        if index is None or ordered[index] not in known:
            return Narrowed(
                fine=ordered[low],
                slow=ordered[high],
                skipped=tuple(b for b in ordered[low + 1 : high] if known.get(b) is Side.UNDECIDED),
                next=None if index is None else ordered[index],
            )
        if known[ordered[index]] is Side.FINE:
            low = index
        else:
            high = index


def most_steps(builds: int) -> int:
    """How many of the builds between are looked at at most, where none is skipped."""
    return math.ceil(math.log2(builds - 1)) if builds > 2 else 0  # noqa: PLR2004 - with the two ends
