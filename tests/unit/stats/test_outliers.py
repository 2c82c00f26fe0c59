import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.outliers import Outliers, tukey_outliers


def test_far_values_are_counted_by_how_far_they_are() -> None:
    # Quartiles 3 and 7, range 4: mild beyond -3 and 13, severe beyond -9 and 19.
    values = [1.0, 2, 3, 4, 5, 6, 7, 8, 9]
    assert tukey_outliers(values) == Outliers(mild=0, severe=0)
    assert tukey_outliers([1.0, 2, 3, 4, 5, 6, 7, 8, 14]) == Outliers(mild=1, severe=0)
    assert tukey_outliers([-20.0, 2, 3, 4, 5, 6, 7, 8, 14]) == Outliers(mild=1, severe=1)


@pytest.mark.parametrize("n", range(4))
def test_quartiles_of_fewer_than_four_values_mean_nothing(n: int) -> None:
    assert tukey_outliers([1.0] * n) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=50))
def test_never_more_than_half_of_the_values(values: list[float]) -> None:
    found = tukey_outliers(values)
    assert found is not None
    assert 0 <= found.mild + found.severe <= len(values) / 2
