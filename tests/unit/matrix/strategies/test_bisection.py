"""Which build is looked at next, and what the answer is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.matrix.strategies.bisection import Narrowed, most_steps, narrow
from harness.stats.sides import Side


def search(builds: list[int], judge: Callable[[int], Side]) -> tuple[Narrowed, list[int]]:
    known: dict[int, Side] = {}
    asked = []
    while (found := narrow(builds, known)).next is not None:
        assert found.next not in known
        assert found.fine < found.next < found.slow
        asked.append(found.next)
        known[found.next] = judge(found.next)
    return found, asked


def planted(first_slow: int) -> Callable[[int], Side]:
    return lambda build: Side.SLOW if build >= first_slow else Side.FINE


@pytest.mark.parametrize("count", [2, 3, 4, 5, 9, 17, 100])
def test_a_slowdown_is_found_at_every_place_in_as_many_steps_as_promised(count: int) -> None:
    builds = list(range(8000, 8000 + count))
    for first_slow in builds[1:]:
        found, asked = search(builds, planted(first_slow))
        assert (found.fine, found.slow, found.found) == (first_slow - 1, first_slow, True)
        assert len(asked) <= most_steps(count)


def test_numbers_need_not_be_without_gaps() -> None:
    found, asked = search([6110, 8643, 9102, 11312], planted(9102))
    assert (found.fine, found.slow) == (8643, 9102)
    assert asked == [8643, 9102]


def test_where_a_build_cannot_be_judged_the_nearest_one_is_looked_at() -> None:
    builds = list(range(1, 10))
    skipped = {5, 4}

    def judge(build: int) -> Side:
        return Side.UNDECIDED if build in skipped else planted(8)(build)

    found, asked = search(builds, judge)
    assert asked[:3] == [5, 4, 6]
    assert (found.fine, found.slow, found.skipped, found.found) == (7, 8, (), True)


@pytest.mark.parametrize("first_slow", [4, 5, 6, 7])
def test_where_only_such_builds_are_left_the_answer_is_a_range(first_slow: int) -> None:
    builds = list(range(1, 10))

    def judge(build: int) -> Side:
        return Side.UNDECIDED if build in {4, 5, 6} else planted(first_slow)(build)

    found, _ = search(builds, judge)
    assert (found.fine, found.slow, found.skipped, found.found) == (3, 7, (4, 5, 6), False)


def test_nothing_between_can_be_judged() -> None:
    found, asked = search([1, 2, 3], lambda _: Side.UNDECIDED)
    assert (found.fine, found.slow, found.skipped, found.found) == (1, 3, (2,), False)
    assert asked == [2]


def test_a_search_that_was_interrupted_goes_the_same_way() -> None:
    builds = list(range(100))
    judge = planted(37)
    _, asked = search(builds, judge)
    for cut in range(len(asked)):
        known = {build: judge(build) for build in asked[:cut]}
        assert narrow(builds, known).next == asked[cut]


def test_what_goes_up_and_down_ends_at_a_change_from_fine_to_slow() -> None:
    builds = list(range(33))
    slow = {5, 6, 7, 20, 21, 30, 31, 32}
    found, _ = search(builds, lambda build: Side.SLOW if build in slow else Side.FINE)
    assert found.slow in slow
    assert found.fine not in slow
    assert found.slow == found.fine + 1


@pytest.mark.parametrize("builds", [[], [1], [2, 1], [1, 1, 2]])
def test_what_is_no_range_is_refused(builds: list[int]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        narrow(builds, {})
