import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.holm import adjusted, corrected
from harness.stats.verdicts import Comparison


def of(log_ratio: float, error: float = 0.01, confidence: float = 0.95) -> Comparison:
    return Comparison(log_ratio=log_ratio, standard_error=error, degrees=9, rounds=10, confidence=confidence)


def test_a_known_result() -> None:
    # statsmodels 0.15: multipletests([.01, .04, .03, .005], method="holm")[1]
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted([0.6, 0.9]) == (1.0, 1.0)
    assert adjusted([]) == ()


def test_one_comparison_is_left_as_it_is() -> None:
    assert corrected([of(0.02)]) == (of(0.02),)
    assert corrected([None, of(0.02)]) == (None, of(0.02))


def test_confidences_follow_the_steps() -> None:
    # p: 0.0003, 0.03, 0.35. The second stands at 0.05 / 2, so the third keeps that step's level.
    strong, middling, weak = (c for c in corrected([of(0.055), of(0.0257), of(0.0098)]) if c)
    assert strong.confidence == pytest.approx(1 - 0.05 / 3)
    assert middling.confidence == pytest.approx(1 - 0.05 / 2)
    assert weak.confidence == pytest.approx(1 - 0.05 / 2)


@given(st.lists(st.floats(-0.06, 0.06), max_size=12), st.sampled_from([0.95, 0.981]))
def test_an_interval_without_1_and_a_hypothesis_that_falls_are_the_same(ratios: list[float], confidence: float) -> None:
    comparisons = [of(ratio, confidence=confidence) for ratio in ratios]
    for value, comparison in zip(adjusted([c.p for c in comparisons]), corrected(comparisons), strict=True):
        assert comparison is not None
        if abs(value - (1 - confidence)) > 1e-9:
            assert (value <= 1 - confidence) == (not comparison.low <= 1 <= comparison.high)


def test_the_chance_of_any_false_difference_stays_at_five_percent() -> None:
    generator = random.Random(5)
    false = 0
    for _ in range(1000):
        comparisons = []
        for index in range(10):
            # Five of ten are really different.
            true = 0.0 if index % 2 else 0.05
            noise = [generator.gauss(true, 0.01) for _ in range(10)]
            mean = sum(noise) / 10
            error = (sum((x - mean) ** 2 for x in noise) / 9 / 10) ** 0.5
            comparisons.append(of(mean, error))
        shown = [c for index, c in enumerate(corrected(comparisons)) if index % 2 and c and not c.low <= 1 <= c.high]
        false += bool(shown)
    # 50 with a standard error of 6.9.
    assert 20 < false < 78
