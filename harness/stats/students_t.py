"""Student's t distribution, from the regularised incomplete beta function; tested against published tables."""

from __future__ import annotations

import math
from functools import cache

_TINY = 1e-300
_ITERATIONS = 400
_EPSILON = 1e-15


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by the modified Lentz method."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    result = d
    for m in range(1, _ITERATIONS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + numerator / c
            c = c if abs(c) > _TINY else _TINY
            result *= d * c
        if abs(d * c - 1.0) < _EPSILON:
            break
    return result


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for 0 <= x <= 1."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The fraction converges fast on one side only; the other follows by symmetry.
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def two_sided_p(t: float, degrees: float) -> float:
    """The probability of a value at least as far from zero as `t`."""
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def one_sided_p(t: float, degrees: float) -> float:
    """The probability of a value of at least `t`."""
    tail = two_sided_p(t, degrees) / 2
    return tail if t >= 0 else 1 - tail


@cache
def two_sided_quantile(confidence: float, degrees: float) -> float:
    """The t beyond which 1 - `confidence` of the distribution lies, both sides together; by bisection.

    Raises:
        ValueError: the confidence is not between 0 and 1, or there is no degree of freedom.
    """
    if not 0 < confidence < 1 or degrees <= 0:
        raise ValueError("a confidence between 0 and 1 and at least one degree of freedom are needed")
    low, high = 0.0, 1.0
    while two_sided_p(high, degrees) > 1 - confidence:
        high *= 2
    # Until no number lies between the two: about 55 steps.
    while low < (middle := (low + high) / 2) < high:
        if two_sided_p(middle, degrees) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high
