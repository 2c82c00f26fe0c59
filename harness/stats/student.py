"""Student's t distribution, by the regularised incomplete beta function."""

from __future__ import annotations

import math

_TINY = 1e-300
_EPSILON = 1e-15
_MAX_TERMS = 10_000


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1.

    Raises:
        ValueError: an argument is outside its range.
    """
    if a <= 0 or b <= 0 or not 0 <= x <= 1:
        raise ValueError(f"I_x(a, b) is not defined for a={a}, b={b}, x={x}")
    if x in (0, 1):
        return float(x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    # The fraction converges fast only below the mean; the other side follows from I_x(a, b) = 1 - I_(1-x)(b, a).
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(a, b, x) / a
    return 1 - front * _continued_fraction(b, a, 1 - x) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), DLMF 8.17.22, evaluated forwards by the modified Lentz method."""
    c = 1.0
    d = 1.0 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_cdf(t: float, df: float) -> float:
    """P(T <= t) for Student's t with `df` degrees of freedom."""
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    square = t * t
    # Of the two equal forms the one whose argument is not rounded away.
    if square < df:
        inside = incomplete_beta(0.5, df / 2, square / (df + square))
        return 0.5 + math.copysign(inside / 2, t)
    tail = incomplete_beta(df / 2, 0.5, df / (df + square)) / 2
    return 1 - tail if t > 0 else tail


def t_quantile(probability: float, df: float) -> float:
    """The t with P(T <= t) = `probability`, for 0 < probability < 1 and df > 0.

    Raises:
        ValueError: an argument is outside its range.
    """
    if not 0 < probability < 1 or df <= 0:
        raise ValueError(f"there is no quantile for probability {probability} and {df} degrees of freedom")
    if probability == 0.5:  # noqa: PLR2004 - the centre of a symmetric distribution
        return 0.0
    if probability > 0.5:  # noqa: PLR2004 - likewise
        # The lower tail is a small number with all its digits; the upper one would be a difference from 1.
        return -t_quantile(1 - probability, df)
    low, high = -1.0, 0.0
    while t_cdf(low, df) > probability:
        low, high = 2 * low, low
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if t_cdf(middle, df) > probability:
            high = middle
        else:
            low = middle
