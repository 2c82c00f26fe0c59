"""How many digits a number deserves: two of the half-width of its interval, three where there is none."""

from __future__ import annotations

import math

from harness.stats.intervals import Interval

INTERVAL_DIGITS = 2
LONE_DIGITS = 3
MOST_DIGITS = 6


def _decimals(value: float, digits: int) -> int:
    """Decimal places that show so many significant digits; none where the whole number has them already."""
    if value == 0:
        return 0
    exponent = math.floor(math.log10(abs(value)))
    # 0.0996 with two digits is 0.10: rounding can add a digit in front.
    rounded = round(abs(value), digits - 1 - exponent)
    return max(0, digits - 1 - math.floor(math.log10(rounded)))


def plain(value: float, digits: int = LONE_DIGITS) -> str:
    """At least so many significant digits, and never less than the whole number: `171`, `5.04`, `12346`."""
    return f"{value:.{_decimals(value, digits)}f}"


def with_interval(value: float, interval: Interval) -> str:
    """`171.3 (169.8 to 173.0)`: all three with the digits that the width of the interval leaves meaningful."""
    half_width = (interval.high - interval.low) / 2
    if half_width > 0:
        decimals = min(_decimals(half_width, INTERVAL_DIGITS), _decimals(value, MOST_DIGITS))
    else:
        # Equal to the last digit: the width says nothing about the digits.
        decimals = _decimals(value, INTERVAL_DIGITS)
    return f"{value:.{decimals}f} ({interval.low:.{decimals}f} to {interval.high:.{decimals}f})"
