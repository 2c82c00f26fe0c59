import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.student import incomplete_beta, t_cdf, t_quantile

# Upper quantiles as printed in every table of Student's t (three decimals).
TABLE = [
    (1, 0.975, 12.706),
    (2, 0.975, 4.303),
    (3, 0.975, 3.182),
    (4, 0.975, 2.776),
    (5, 0.975, 2.571),
    (7, 0.975, 2.365),
    (9, 0.975, 2.262),
    (11, 0.975, 2.201),
    (19, 0.975, 2.093),
    (30, 0.975, 2.042),
    (120, 0.975, 1.980),
    (1, 0.95, 6.314),
    (5, 0.95, 2.015),
    (10, 0.95, 1.812),
    (5, 0.995, 4.032),
    (10, 0.995, 3.169),
    (5, 0.8, 0.920),
    (9, 0.8, 0.883),
    (2, 0.9995, 31.599),
]


@pytest.mark.parametrize(("df", "probability", "quantile"), TABLE)
def test_quantiles_are_those_of_the_tables(df: int, probability: float, quantile: float) -> None:
    assert t_quantile(probability, df) == pytest.approx(quantile, abs=5.1e-4)
    assert t_quantile(1 - probability, df) == pytest.approx(-quantile, abs=5.1e-4)


def test_with_one_degree_it_is_cauchy_and_with_many_it_is_normal() -> None:
    for t in (-3.0, -0.5, 0.1, 1.0, 40.0):
        assert t_cdf(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-14)
        assert t_cdf(t, 1e7) == pytest.approx((1 + math.erf(t / math.sqrt(2))) / 2, abs=1e-6)


def test_two_degrees_have_a_closed_form() -> None:
    for t in (-7.0, -1.0, 0.01, 2.5):
        assert t_cdf(t, 2) == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t * t)), abs=1e-14)


# Whole steps: for an x that 1 - x rounds away, the symmetry cannot be seen in floating point.
@given(st.integers(0, 4096).map(lambda n: n / 4096), st.floats(0.1, 50), st.floats(0.1, 50))
def test_incomplete_beta_is_a_probability_and_symmetric(x: float, a: float, b: float) -> None:
    value = incomplete_beta(a, b, x)
    assert -1e-12 <= value <= 1 + 1e-12
    assert value == pytest.approx(1 - incomplete_beta(b, a, 1 - x), abs=1e-9)


def test_incomplete_beta_of_whole_numbers_is_a_binomial_tail() -> None:
    # I_x(a, b) = P(at least a of a + b - 1 trials succeed with probability x).
    for a, b, x in ((2, 3, 0.3), (5, 1, 0.9), (1, 8, 0.05), (4, 4, 0.5)):
        n = a + b - 1
        tail = sum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
        assert incomplete_beta(a, b, x) == pytest.approx(tail, rel=1e-12)


@given(st.floats(1e-6, 1 - 1e-6), st.integers(1, 200))
def test_quantile_inverts_the_distribution(probability: float, df: int) -> None:
    assert t_cdf(t_quantile(probability, df), df) == pytest.approx(probability, abs=1e-10)


def test_ends_of_the_line() -> None:
    assert t_cdf(math.inf, 3) == 1
    assert t_cdf(-math.inf, 3) == 0
    assert t_quantile(0.5, 3) == 0


@pytest.mark.parametrize(("probability", "df"), [(0, 5), (1, 5), (-0.1, 5), (0.5, 0), (math.nan, 5)])
def test_nonsense_is_refused(probability: float, df: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        t_quantile(probability, df)


@pytest.mark.parametrize(("a", "b", "x"), [(0, 1, 0.5), (1, -1, 0.5), (1, 1, 1.5), (1, 1, math.nan)])
def test_incomplete_beta_refuses_what_it_is_not_defined_for(a: float, b: float, x: float) -> None:
    with pytest.raises(ValueError, match="not defined"):
        incomplete_beta(a, b, x)
