"""Changes of level: found where they are, and not more often than promised where there are none."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.change_points import FEWEST, LEVEL, change_points


def noise(generator: random.Random, count: int, *, level: float = 100.0, sd: float = 0.01) -> list[float]:
    return [level * math.exp(generator.gauss(0, sd)) for _ in range(count)]


def test_a_change_is_found_where_it_is() -> None:
    (change,) = change_points([100.1, 99.8, 100.3, 99.9, 100.0, 105.2, 104.9, 105.1, 105.0, 105.3])
    assert change.at == 5
    assert change.p <= LEVEL


def test_several_changes_are_found_in_order() -> None:
    generator = random.Random(1)
    values = [*noise(generator, 12), *noise(generator, 12, level=108), *noise(generator, 12, level=95)]
    assert [change.at for change in change_points(values)] == [12, 24]


def test_eight_values_are_the_fewest_that_can_show_one() -> None:
    levels = [1.0, 1.1, 1.2, 1.3, 2.0, 2.1, 2.2, 2.3]
    assert [change.at for change in change_points(levels)] == [4]
    assert change_points(levels[1:]) == ()
    assert change_points(levels[: FEWEST - 1]) == ()


def test_two_bad_days_at_the_end_are_no_change_of_level() -> None:
    assert change_points([100.0, 100.3, 99.7, 100.1, 99.9, 100.2, 99.8, 100.05, 80.0, 80.1]) == ()


def test_one_day_far_out_in_the_middle_is_no_change_of_level() -> None:
    assert change_points([100.0, 100.3, 99.7, 100.1, 10.0, 100.2, 99.8, 100.05, 99.95, 100.15]) == ()


@pytest.mark.parametrize("values", [[], [1.0], [5.0] * 30])
def test_nothing_is_found_in_nothing(values: list[float]) -> None:
    assert change_points(values) == ()


@pytest.mark.parametrize("count", [8, 15])
def test_where_there_is_no_change_one_in_twenty_is_shown_at_most(count: int) -> None:
    generator = random.Random(7)
    histories = 300
    false = sum(bool(change_points(noise(generator, count))) for _ in range(histories))
    # Three standard errors of a share of 5 % above it.
    assert false / histories <= LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / histories)


def test_a_change_of_three_standard_deviations_is_found_nearly_always_in_twenty_values() -> None:
    generator = random.Random(3)
    found = 0
    for _ in range(100):
        values = [*noise(generator, 10), *noise(generator, 10, level=103)]
        found += any(abs(change.at - 10) <= 1 for change in change_points(values))
    assert found >= 95


@given(st.lists(st.floats(1, 100), min_size=8, max_size=14), st.floats(0.1, 10))
def test_only_the_order_of_the_values_counts(values: list[float], scale: float) -> None:
    scaled = [value * 2.0 ** round(math.log2(scale)) for value in values]
    assert change_points(values) == change_points(scaled)
