import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.intervals import (
    Interval,
    beyond_fences,
    counted_samples,
    median_interval,
    rate,
    rate_interval,
    run_value,
    variation,
)

durations = st.lists(st.integers(1, 10**15), min_size=1, max_size=40)
positive = st.floats(min_value=1e-3, max_value=1e12)


def test_the_first_repetition_is_not_counted() -> None:
    assert counted_samples((900, 100, 110, 120)) == (100, 110, 120)
    assert run_value([900, 100, 110, 120], n_tokens=10) == 11


def test_a_single_repetition_counts() -> None:
    assert counted_samples((500,)) == (500,)
    assert run_value([500], n_tokens=5) == 100


def test_of_an_even_number_of_counted_samples_the_middle_two_are_averaged() -> None:
    assert run_value([1, 100, 400, 200, 300], n_tokens=1) == 250


@pytest.mark.parametrize(("samples", "tokens"), [([], 5), ([1], 0), ([1, 0, 2], 5), ([-3], 5)])
def test_what_is_no_measurement_is_refused(samples: list[int], tokens: int) -> None:
    with pytest.raises(ValueError, match="no value"):
        run_value(samples, n_tokens=tokens)


@given(durations, st.integers(1, 8192), st.integers(2, 1000))
def test_value_scales_with_the_samples(samples: list[int], tokens: int, factor: int) -> None:
    longer = run_value([factor * s for s in samples], n_tokens=tokens)
    assert longer == pytest.approx(factor * run_value(samples, n_tokens=tokens))


@given(durations, st.integers(1, 8192), st.randoms())
def test_order_of_the_counted_samples_does_not_matter(samples: list[int], tokens: int, shuffle: random.Random) -> None:
    rest = samples[1:]
    shuffle.shuffle(rest)
    assert run_value([samples[0], *rest], n_tokens=tokens) == run_value(samples, n_tokens=tokens)


def test_rates_are_per_second_and_turn_the_interval_round() -> None:
    assert rate(10_000_000) == 100
    assert rate_interval(Interval(low=5e6, high=10e6, coverage=0.96875)) == Interval(
        low=100.0, high=200.0, coverage=0.96875
    )


@pytest.mark.parametrize("n", range(6))
def test_no_interval_exists_below_six_values(n: int) -> None:
    assert median_interval(list(range(n))) is None


@pytest.mark.parametrize(
    # Ranks from tables of the sign test: at 95 % the k-th smallest and k-th largest of n values.
    ("n", "rank", "coverage"),
    [
        (6, 1, 0.96875),
        (7, 1, 0.984375),
        (8, 1, 0.9921875),
        (9, 2, 0.9609375),
        (10, 2, 0.978515625),
        (12, 3, 0.961425781),
        (15, 4, 0.964843750),
        (20, 6, 0.958610535),
        (25, 8, 0.956714749),
    ],
)
def test_ranks_and_coverage_are_those_of_the_tables(n: int, rank: int, coverage: float) -> None:
    values = list(range(1, n + 1))
    random.Random(n).shuffle(values)
    interval = median_interval(values)
    assert interval is not None
    assert (interval.low, interval.high) == (rank, n + 1 - rank)
    assert interval.coverage == pytest.approx(coverage)


def test_less_confidence_needs_fewer_values() -> None:
    assert median_interval([1, 2, 3], confidence=0.75) == Interval(low=1, high=3, coverage=0.75)
    assert median_interval([1, 2, 3], confidence=0.76) is None


@given(st.lists(positive, min_size=6, max_size=60))
def test_the_median_lies_in_its_interval(values: list[float]) -> None:
    interval = median_interval(values)
    assert interval is not None
    assert interval.coverage >= 0.95
    assert interval.low <= median(values) <= interval.high
    assert {interval.low, interval.high} <= set(values)


def test_it_covers_as_often_as_it_says() -> None:
    generator = random.Random(1)
    hits = 0
    for _ in range(2000):
        interval = median_interval([generator.lognormvariate(0, 0.3) for _ in range(10)])
        assert interval is not None
        hits += interval.low <= 1 <= interval.high
    # 97.85 % of 2,000, with a standard error of 0.32 %: four of them either way.
    assert 0.9655 < hits / 2000 < 0.9915


def test_variation_is_relative() -> None:
    assert variation([9.0, 11.0]) == pytest.approx(math.sqrt(2) / 10)
    assert variation([90.0, 110.0]) == pytest.approx(math.sqrt(2) / 10)
    assert variation([5.0]) is None
    assert variation([]) is None


def test_values_beyond_the_fences_are_counted() -> None:
    # Quartiles 3 and 7, range 4: the fences are -3 and 13.
    assert beyond_fences([1.0, 2, 3, 4, 5, 6, 7, 8, 9]) == 0
    assert beyond_fences([1.0, 2, 3, 4, 5, 6, 7, 8, 14]) == 1
    assert beyond_fences([-20.0, 2, 3, 4, 5, 6, 7, 8, 14]) == 2
    assert beyond_fences([1.0, 1.0, 99.0]) == 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_never_more_than_half_of_the_values_are_beyond(values: list[float]) -> None:
    assert 0 <= beyond_fences(values) <= len(values) / 2
