"""Two arms in the same rounds, until their ratio is decided: looked at after 8, 12, 16 and 20 rounds only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.stats.paired import compare_paired
from harness.stats.until import LOOKS
from harness.stats.verdicts import Comparison
from harness.store.history import History
from harness.values.plan import Group


class Sided:
    """How many rounds two arms need until it is decided what they are to each other, 20 at most.

    None where one of them has no number in the warm-up, and no more where they have no round in common by the first
    look: rounds of the other alone would tell nothing.

    Args:
        groups: of the two arms, in the order of the matrix: one cell each.
        decided: told the comparison of the rounds so far, second arm over first; None where it has too few.
        confidence: of its interval.
    """

    def __init__(
        self, groups: Sequence[Group], *, decided: Callable[[Comparison | None], bool], confidence: float
    ) -> None:
        self.groups = tuple(groups)
        self.decided = decided
        self.confidence = confidence

    def __call__(self, group: Group, history: History) -> int:  # noqa: ARG002 - both arms stop together
        """The first look that is not made, or at which it was decided."""
        arms = [(arm.key, cell) for arm in self.groups for cell in arm.cells]
        if any(arm.failure for arm in self.groups) or any(
            history.lasting_failure(key, cell.id, 0) for key, cell in arms
        ):
            return 0
        first, second = (history.by_round(key, cell) for key, cell in arms)
        for look in LOOKS[:-1]:
            rounds = range(1, look + 1)
            if not all(round_ in values for values in (first, second) for round_ in rounds):
                return look
            pairs = [(a, b) for r in rounds if (a := first[r]) is not None and (b := second[r]) is not None]
            bases, candidates = [a for a, _ in pairs], [b for _, b in pairs]
            if not pairs or self.decided(compare_paired(bases, candidates, confidence=self.confidence)):
                return look
        return LOOKS[-1]
