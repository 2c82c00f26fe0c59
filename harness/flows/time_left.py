"""How long a campaign still takes, found anew as often as that costs next to nothing, and counted down meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

COST_SHARE = 0.01
"""Of the time that passes: of a thousand groups it is a tenth of a second, and runs can be as short as that."""
CHEAP_S = 0.02
"""Is found anew after each run."""


class TimeLeft:
    """Seconds that are left.

    Args:
        find: looks at everything that is ahead.
    """

    def __init__(self, find: Callable[[], float]) -> None:
        self.find = find
        self._left_s = 0.0
        self._found_at = 0.0
        self._cost_s = 0.0

    def __call__(self) -> float:
        """By what is known now, or was known a moment ago."""
        now = time.monotonic()
        if self._cost_s <= max(CHEAP_S, COST_SHARE * (now - self._found_at)):
            self._left_s = self.find()
            self._found_at = time.monotonic()
            self._cost_s = self._found_at - now
            return self._left_s
        return max(0.0, self._left_s - (now - self._found_at))
