"""How many digits a number deserves: two of the half-width of its interval, three where there is none."""

from __future__ import annotations

import math

from harness.stats.intervals import Interval

INTERVAL_DIGITS = 2
LONE_DIGITS = 3
MOST_DIGITS = 6


def _decimals(value: float, digits: int) -> int:
    """Decimal places that show so many significant digits of `value`; negative for tens and hundreds."""
    if value == 0:
        return 0
    exponent = math.floor(math.log10(abs(value)))
    # 0.0996 with two digits is 0.10: rounding can add a digit in front.
    rounded = round(abs(value), digits - 1 - exponent)
    return digits - 1 - math.floor(math.log10(rounded))


def fixed(value: float, decimals: int) -> str:
    """`value` rounded to `decimals` places: `171.3`; -1 rounds to tens: `12340`."""
    return f"{round(value, decimals):.{max(decimals, 0)}f}"


def plain(value: float, digits: int = LONE_DIGITS) -> str:
    """At least so many significant digits, and never less than the whole number: `171`, `5.04`, `12346`."""
    return fixed(value, max(0, _decimals(value, digits)))


def significant(value: float, digits: int) -> str:
    """So many significant digits at most, and no power of ten where the whole number can be read: `0.6`, `1007`."""
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in text else text


def interval_decimals(value: float, interval: Interval | None) -> int:
    """The decimal places that `value` and the ends of its `interval` are shown with."""
    if interval is None:
        return _decimals(value, LONE_DIGITS)
    half_width = (interval.high - interval.low) / 2
    most = _decimals(value, MOST_DIGITS)
    if half_width <= 0:
        # All values are equal to the last digit: the interval says nothing about how many are meant.
        return min(most, _decimals(value, LONE_DIGITS + 1))
    # Of an interval that is far wider than its value, the value keeps a digit: 7 is not 10, and 3 is not 0.
    return max(min(most, _decimals(half_width, INTERVAL_DIGITS)), _decimals(value, 1))


def with_interval(value: float, interval: Interval | None, *, why_none: str = "") -> str:
    """`171.3 (169.8 to 173.0)`; without an interval `171 (no interval: 1 round)`."""
    decimals = interval_decimals(value, interval)
    text = fixed(value, decimals)
    if interval is None:
        return f"{text} (no interval: {why_none})" if why_none else text
    return f"{text} ({fixed(interval.low, decimals)} to {fixed(interval.high, decimals)})"
