import os

import pytest

from harness.machine.pace import Pace, piece_ns, spread


def paces(*looks: dict[int, float | None]) -> Pace:
    told = iter(looks)
    now: dict[int, float | None] = {}

    def piece(cpu: int) -> float | None:
        if cpu == 0:
            now.clear()
            now.update(next(told))
        return now[cpu]

    return Pace(cpus=(0, 1), piece=piece)


def test_the_first_look_is_the_best_so_far() -> None:
    pace = paces({0: 50.0, 1: 60.0})
    assert pace.look() == 1.0


def test_the_slowest_cpu_counts_against_its_own_best() -> None:
    pace = paces({0: 50.0, 1: 60.0}, {0: 50.0, 1: 100.0}, {0: 40.0, 1: 60.0}, {0: 50.0, 1: 60.0})
    assert [pace.look() for _ in range(4)] == [1.0, 0.6, 1.0, 0.8]


def test_a_core_that_is_shared_closes_the_gate_and_a_turbo_that_ends_does_not() -> None:
    pace = paces({0: 50.0, 1: 50.0}, {0: 58.0, 1: 57.0}, {0: 50.0, 1: 90.0}, {0: 51.0, 1: 50.0})
    assert pace.closed() == ()
    assert pace.closed() == ()
    (condition,) = pace.closed()
    assert condition.name == "frequency"
    assert condition.value.startswith("the processor is at 56 % of the best speed of this start, at least 75 %")
    assert pace.closed() == ()


def test_a_cpu_that_cannot_be_looked_at_says_nothing() -> None:
    assert paces({0: None, 1: 50.0}, {0: None, 1: 200.0}).look() == 1.0
    nothing = paces({0: None, 1: None})
    assert nothing.look() is None
    assert Pace(cpus=()).closed() == ()


def test_a_real_look_leaves_the_process_where_it_was() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    before = os.sched_getaffinity(0)
    for cpu in before:
        assert (piece_ns(cpu) or 0) > 0
    assert os.sched_getaffinity(0) == before
    assert piece_ns(10_000) is None


def test_large_machines_are_looked_at_here_and_there() -> None:
    assert spread([3, 1, 2]) == (1, 2, 3)
    found = spread(range(128))
    assert len(found) == 16
    assert found[:2] == (0, 8)
