import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.arms import Arms, control_arms, counterparts, labelled_arms
from harness.analysis.comparisons import Compared, compare, compare_all, hold_against, paired_values
from harness.analysis.results import machine_results
from harness.stats.verdicts import Comparison, Verdict
from harness.store.sessions import Session
from harness.values.cell import Cell
from harness.values.record import Record

MakeCell = Callable[..., Cell]
MakeSession = Callable[..., Session]
MakeRecord = Callable[..., Record]


@pytest.fixture
def two_arms(make_cell: MakeCell, make_session: MakeSession, make_record: MakeRecord) -> Callable[..., Any]:
    def make(first: Sequence[int], second: Sequence[int], *, sessions: int = 1, **session: Any) -> Any:
        a, b = make_cell("x#a", label="a", image="a"), make_cell("x#b", label="b", image="b")
        records = []
        for cell, values in ((a, first), (b, second)):
            for round_, ns in enumerate(values, start=1):
                name = f"20261124T00000{1 if cell is a else sessions}Z-000001"
                records.append(make_record((cell, [9, ns]), round_=round_, key=cell.id, session=name))
        keys = {"x#a": "x#a", "x#b": "x#b"}
        return machine_results([make_session([a, b], keys=keys, **session)], records)

    return make


def test_arms_of_the_same_rounds_are_paired(two_arms: Any) -> None:
    (arms,) = labelled_arms(two_arms([1000, 2000, 3000, 1500, 900, 700], [1100, 2200, 3300, 1650, 990, 770]))
    found = compare(arms)
    assert found.comparison is not None
    assert found.comparison.ratio == pytest.approx(1 / 1.1)
    assert found.comparison.verdict is Verdict.SLOWER
    assert found.sign is not None
    assert found.sign.low == pytest.approx(1 / 1.1)


def test_rounds_of_two_starts_are_no_pairs(two_arms: Any) -> None:
    (arms,) = labelled_arms(two_arms([1000] * 6, [1100] * 6, sessions=2))
    assert paired_values(arms.first, arms.second) == ([], [])
    found = compare(arms)
    assert (found.comparison, found.why_none) == (None, "fewer than two common rounds")


def test_screening_is_never_compared(two_arms: Any) -> None:
    (arms,) = labelled_arms(two_arms([1000] * 6, [1100] * 6, screening=True))
    assert compare(arms).why_none.startswith("screening")


def test_how_long_quality_took_is_no_speed(two_arms: Any) -> None:
    (arms,) = labelled_arms(two_arms([1000, 1010, 990] * 2, [1100, 1110, 1090] * 2))
    first, second = (
        replace(result, cell=replace(result.cell, test=replace(result.cell.test, measurement="quality")))
        for result in (arms.first, arms.second)
    )
    found = compare(replace(arms, first=first, second=second))
    assert (found.comparison, found.why_none) == (None, "quality is no speed")


def test_two_reports_are_compared_apart(two_arms: Any) -> None:
    first, second = two_arms([1000, 1010, 990] * 2, [1] * 6), two_arms([1100, 1110, 1090] * 2, [1] * 6)
    found = compare(counterparts(first, second)[0])
    assert found.comparison is not None
    assert not found.comparison.paired
    assert found.comparison.verdict is Verdict.SLOWER
    assert found.sign is None


def test_what_may_not_be_compared_says_which_field(two_arms: Any) -> None:
    (arms,) = labelled_arms(two_arms([1000] * 6, [1100] * 6))
    assert compare(replace(arms, refused=("type_k", "kind"))).why_none == "not comparable: type_k, kind"


def test_where_the_width_decided_when_to_stop_intervals_are_wider(two_arms: Any) -> None:
    (arms,) = labelled_arms(two_arms([1000, 1010] * 4, [1100, 1105] * 4, until=0.01))
    found = compare(arms)
    assert found.comparison is not None
    assert found.alone == found.comparison.confidence == pytest.approx(0.981)


def test_several_are_corrected(two_arms: Any) -> None:
    (arms,) = labelled_arms(two_arms([1000, 1010] * 3, [1010, 1001] * 3))
    alone, three = compare(arms).comparison, compare_all([arms] * 3)
    assert alone is not None
    assert [found.comparison.confidence for found in three if found.comparison] == [pytest.approx(1 - 0.05 / 3)] * 3
    assert compare_all([arms])[0].comparison == alone


ARMS = Arms.__new__(Arms)


def of(log_ratio: float, error: float = 0.01) -> Compared:
    comparison = Comparison(log_ratio=log_ratio, standard_error=error, degrees=9, rounds=10)
    return Compared(arms=ARMS, comparison=comparison)


class TestALimit:
    def test_one_comparison_is_judged_by_the_ends_of_its_interval(self) -> None:
        generator = random.Random(3)
        for _ in range(300):
            each = of(generator.gauss(-0.03, 0.04), abs(generator.gauss(0, 0.01)))
            found = hold_against([each], 0.03)
            assert each.comparison is not None
            assert bool(found.slower) == (each.comparison.high <= 0.97)
            assert bool(found.undecided) == (each.comparison.low < 0.97 < each.comparison.high)

    def test_what_says_nothing_is_undecided(self) -> None:
        nothing = Compared(arms=ARMS, comparison=None, why_none="screening")
        assert hold_against([nothing], 0.03).undecided == (nothing,)
        fine = of(0.0, 0.001)
        assert hold_against([fine, nothing], 0.03).undecided == (nothing,)

    def test_several_are_judged_together(self) -> None:
        # Alone its interval lies just below the limit; as one of ten that is not enough.
        close = of(-0.055, 0.01)
        assert hold_against([close], 0.03).slower == (close,)
        many = [close, *(of(-0.0001 * index, 0.001) for index in range(1, 10))]
        assert hold_against(many, 0.03).slower == ()
        assert hold_against(many, 0.03).undecided == (close,)


def test_controls_are_compared_each_by_itself(two_arms: Any) -> None:
    assert control_arms(two_arms([1000] * 6, [1000] * 6)) == ()
