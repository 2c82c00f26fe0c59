import math
import random

import pytest

from harness.stats.until import CONFIDENCE, LOOKS, narrow_enough, relative_half_width, rounds_wanted


def test_the_half_width_is_that_of_the_t_interval() -> None:
    # Student's sleep data once more: 1.58 +- 0.879886 at 95 %.
    values = [math.exp(d) for d in (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)]
    width = relative_half_width(values, confidence=0.95)
    assert width is not None
    assert math.log1p(width) == pytest.approx(0.8798858, abs=1e-6)
    assert relative_half_width([1.0]) is None


def by_round(values: list[float]) -> dict[int, float | None]:
    return dict(enumerate(values, start=1))


STEADY = [100.0, 100.1] * 10
WILD = [100.0, 150.0] * 10


@pytest.mark.parametrize(
    ("values", "rounds"),
    [
        ([], 8),
        (STEADY[:7], 8),
        (STEADY[:8], 8),
        # What was narrow at a look is done, whatever came later for the sake of others.
        (STEADY[:8] + WILD[:4], 8),
        # Between two looks nothing is decided.
        (WILD[:8] + STEADY[:1], 12),
        (WILD[:8], 12),
        (WILD[:12], 16),
        (WILD[:16], 20),
        (WILD, 20),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, list) else str(value),
)
def test_it_is_looked_at_after_8_12_16_and_20_rounds(values: list[float], rounds: int) -> None:
    assert rounds_wanted([by_round(values)], goal=0.01) == rounds


def test_the_last_look_ends_it_whatever_the_width() -> None:
    assert not narrow_enough(WILD, goal=0.01)
    assert rounds_wanted([by_round(WILD)], goal=0.01) == LOOKS[-1]


def test_all_four_intervals_hold_the_truth_in_95_of_100() -> None:
    generator = random.Random(11)
    missed = 0
    for _ in range(1000):
        logs = [generator.gauss(0, 0.02) for _ in range(20)]
        seen = (logs[:look] for look in LOOKS)
        missed += any(abs(sum(s) / len(s)) > math.log1p(width([math.exp(x) for x in s])) for s in seen)
    # 50 with a standard error of 6.9.
    assert 25 < missed < 78


def width(values: list[float]) -> float:
    found = relative_half_width(values, confidence=CONFIDENCE)
    assert found is not None
    return found


def test_cells_that_stop_together_wait_for_the_widest() -> None:
    assert rounds_wanted([by_round(STEADY[:8]), by_round(WILD[:8])], goal=0.01) == 12
    assert rounds_wanted([by_round(STEADY[:12]), by_round(STEADY[:8])], goal=0.01) == 8


def test_a_round_without_a_number_was_made_all_the_same() -> None:
    values = {**by_round(STEADY[:8]), 3: None}
    assert rounds_wanted([values], goal=0.01) == 8
    del values[3]
    assert rounds_wanted([values], goal=0.01) == 8
    assert rounds_wanted([{**by_round(WILD[:8]), 3: None}], goal=0.01) == 12


def test_without_a_cell_the_first_look_is_the_last() -> None:
    assert rounds_wanted([], goal=0.01) == 8
