import math
import random
from dataclasses import replace

import pytest

from harness.analysis.reproduction import DAY_SD, in_words, judge, overall, unfit
from harness.analysis.validity import InvalidRun
from harness.store.reproductions import Conclusion, ReproducedCell
from harness.values.failure import Failure, Phase, Reason
from tests.unit.analysis.made import made

QUIET = [100.0, 100.1, 99.9, 100.2, 99.8, 100.0]


def times(factor: float) -> list[float]:
    return [factor * value for value in QUIET]


def test_a_day_apart_means_within_about_three_percent_on_a_quiet_machine() -> None:
    assert judge("a", QUIET, times(1.02), cells=1).conclusion is Conclusion.REPRODUCED
    assert judge("a", QUIET, times(1 / 1.02), cells=1).conclusion is Conclusion.REPRODUCED
    assert judge("a", QUIET, times(1.035), cells=1).conclusion is Conclusion.NOT_REPRODUCED
    assert judge("a", QUIET, times(1 / 1.035), cells=1).conclusion is Conclusion.NOT_REPRODUCED


def test_the_interval_is_of_welch_and_days_together() -> None:
    found = judge("a", QUIET, QUIET, cells=1)
    assert found.high is not None
    assert found.low == pytest.approx(1 / found.high)
    # 1.96 sqrt(2) ln(1.01) = 2.758 %, and 0.2 % for the runs.
    assert math.log(found.high) == pytest.approx(0.02766, abs=2e-4)


def test_runs_that_scatter_too_much_say_nothing() -> None:
    noisy = [100.0, 160.0, 70.0, 130.0, 90.0, 150.0]
    found = judge("a", noisy, noisy, cells=1)
    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert "would pass" in in_words(found)


def test_two_runs_of_one_cell_among_thousands_say_nothing_whatever_number_would_pass() -> None:
    found = judge("x", [1000.0, 1300.0], [1000.0, 1000.0], cells=5000)
    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert in_words(found) == "inconclusive: the runs scatter so much that more than +-1000 % would pass"
    assert found.high is not None
    assert math.isfinite(found.high)


def test_too_few_runs_are_inconclusive() -> None:
    assert judge("a", QUIET, [100.0], cells=1).conclusion is Conclusion.INCONCLUSIVE


def test_equal_machines_are_reproduced_95_times_in_100_with_all_their_cells() -> None:
    generator = random.Random(7)
    good = 0
    for _ in range(400):
        cells = []
        for _ in range(4):
            days = [generator.gauss(0, DAY_SD) for _ in range(2)]
            runs = [[100 * math.exp(day + generator.gauss(0, 0.01)) for _ in range(6)] for day in days]
            cells.append(judge("a", runs[0], runs[1], cells=4))
        good += overall(cells) is Conclusion.REPRODUCED
    # 380 are expected at least; 2.6 standard deviations below that.
    assert good >= 368


def test_one_cell_that_is_not_reproduced_decides_and_those_not_comparable_do_not_count() -> None:
    good = ReproducedCell(cell="a", conclusion=Conclusion.REPRODUCED)
    assert overall([good, replace(good, conclusion=Conclusion.NOT_REPRODUCED)]) is Conclusion.NOT_REPRODUCED
    assert overall([good, replace(good, conclusion=Conclusion.INCONCLUSIVE)]) is Conclusion.INCONCLUSIVE
    assert overall([good, replace(good, conclusion=Conclusion.NOT_COMPARABLE)]) is Conclusion.REPRODUCED
    assert overall([replace(good, conclusion=Conclusion.NOT_COMPARABLE)]) is Conclusion.NOT_COMPARABLE


def test_what_was_never_measured_is_not_called_screening() -> None:
    assert unfit(made(runs=())) == ["the original was not measured: no counted run of it is recorded"]
    # A quick matrix that was stopped before this cell: still the first thing to say of it.
    assert unfit(made(runs=(), screening=True)) == unfit(made(runs=()))
    broken = InvalidRun(round=1, repeat=0, rules=(), made_again=False)
    assert unfit(made(runs=(), invalid=(broken,))) == ["the original has no valid run"]
    failure = Failure(phase=Phase.LOAD, reason=Reason.OOM_DEVICE, detail="x")
    assert unfit(made(runs=(), failures=((1, failure),))) == ["the original has no number: oom_device"]
    assert unfit(made(screening=True)) == ["the original is screening: one round has no interval"]
    (run,) = made().runs
    assert unfit(made(runs=(run, replace(run, round=2)))) == []
