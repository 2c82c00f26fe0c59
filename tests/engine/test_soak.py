"""Sixty runs of a llama-bench that fails in every way it can. `tests/slow/test_soak.py` makes two thousand."""

from pathlib import Path

import pytest

from tests.engine.accounting import account, nothing_left
from tests.engine.faulty import FAULTS, FaultyHarness, build_faulty, matrix
from tests.engine.own_engine import OwnEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]


def test_sixty_runs_a_quarter_of_them_faulty_are_recorded_and_leave_nothing(own: OwnEngine, tmp_path: Path) -> None:
    tag = build_faulty(own.host, rate=0.25)
    harness = FaultyHarness.made(tmp_path, matrix(tag, groups=6, rounds=9), own.environment(tmp_path))
    code, lines, held = harness.run()
    found = account(harness, groups=6, rounds=9)
    assert code == (1 if any(FAULTS[fault] for fault in found.faults) else 0), lines
    assert sum(found.faults.values()) > 0
    nothing_left(own, harness, held)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_recorded_as_what_it_is(own: OwnEngine, tmp_path: Path, fault: str) -> None:
    tag = build_faulty(own.host, rate=1, faults=[fault], name=fault)
    harness = FaultyHarness.made(tmp_path, matrix(tag, groups=1, rounds=1), own.environment(tmp_path))
    code, lines, held = harness.run()
    assert code == (1 if FAULTS[fault] else 0), lines
    assert account(harness, groups=1, rounds=1).faults == {fault: 1 if FAULTS[fault] else 2}
    nothing_left(own, harness, held)
