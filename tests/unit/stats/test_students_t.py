import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.students_t import incomplete_beta, one_sided_p, two_sided_p, two_sided_quantile

# As printed in every table of Student's t (three decimals): degrees of freedom, confidence, two-sided quantile.
TABLE = [
    (1, 0.95, 12.706),
    (2, 0.95, 4.303),
    (3, 0.95, 3.182),
    (4, 0.95, 2.776),
    (5, 0.95, 2.571),
    (7, 0.95, 2.365),
    (9, 0.95, 2.262),
    (11, 0.95, 2.201),
    (19, 0.95, 2.093),
    (30, 0.95, 2.042),
    (120, 0.95, 1.980),
    (1, 0.9, 6.314),
    (5, 0.9, 2.015),
    (10, 0.9, 1.812),
    (5, 0.99, 4.032),
    (10, 0.99, 3.169),
    (2, 0.999, 31.599),
]


@pytest.mark.parametrize(("degrees", "confidence", "quantile"), TABLE)
def test_quantiles_are_those_of_the_tables(degrees: int, confidence: float, quantile: float) -> None:
    assert two_sided_quantile(confidence, degrees) == pytest.approx(quantile, abs=5.1e-4)


def test_with_one_degree_it_is_cauchy_and_with_many_it_is_normal() -> None:
    for t in (0.0, 0.1, 1.0, 3.0, 40.0):
        assert two_sided_p(t, 1) == pytest.approx(1 - 2 * math.atan(t) / math.pi, abs=1e-13)
        assert two_sided_p(t, 1e7) == pytest.approx(math.erfc(t / math.sqrt(2)), abs=1e-6)


def test_two_degrees_have_a_closed_form() -> None:
    for t in (0.01, 1.0, 2.5, 7.0):
        assert two_sided_p(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-13)


def test_both_sides_count() -> None:
    assert two_sided_p(-2.571, 5) == two_sided_p(2.571, 5)


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


@given(st.floats(0.01, 1 - 1e-6), st.integers(1, 200))
def test_quantile_inverts_the_distribution(confidence: float, degrees: int) -> None:
    assert two_sided_p(two_sided_quantile(confidence, degrees), degrees) == pytest.approx(1 - confidence, abs=1e-10)


@pytest.mark.parametrize(("confidence", "degrees"), [(0, 5), (1, 5), (-0.1, 5), (0.5, 0), (math.nan, 5)])
def test_nonsense_is_refused(confidence: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="degree of freedom"):
        two_sided_quantile(confidence, degrees)


@pytest.mark.parametrize(("t", "degrees", "p"), [(2.0, 7, 0.0428096643), (-1.0, 3.5, 0.8093313732), (0.0, 4, 0.5)])
def test_one_sided_probabilities(t: float, degrees: float, p: float) -> None:
    # SciPy 1.17: stats.t.sf
    assert one_sided_p(t, degrees) == pytest.approx(p, abs=1e-9)
