"""The engine is killed while a container of it is measured: SIGKILL for dockerd and containerd, then a new start."""

import signal
import time
from pathlib import Path

import pytest

from tests.engine.accounting import account, nothing_left
from tests.engine.faulty import FaultyHarness, build_faulty, matrix
from tests.engine.own_engine import OwnEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture
def slow(own: OwnEngine, tmp_path: Path) -> FaultyHarness:
    """A harness whose runs take six seconds and are well; three of them."""
    tag = build_faulty(own.host, rate=1, faults=["pause"], name="pause")
    text = matrix(tag, groups=1, rounds=2, timeout_s=60)
    return FaultyHarness.made(tmp_path, text, own.environment(tmp_path))


def kill_during_a_run(own: OwnEngine, process, harness: FaultyHarness, after: int = 1) -> None:
    assert harness.wait_for(after, process), process.communicate()[0]
    limit = time.monotonic() + 60
    while not own.containers():
        assert time.monotonic() < limit, "no run begins"
        time.sleep(0.05)
    time.sleep(1)
    own.kill()


def test_one_that_comes_back_costs_one_more_container(own: OwnEngine, slow: FaultyHarness) -> None:
    process = slow.start()
    kill_during_a_run(own, process, slow)
    own.start()
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    found = account(slow, groups=1, rounds=2)
    assert (found.runs, found.records) == (3, 4)
    (lost,) = [record for record in slow.records() if record.outcomes[0].failure]
    assert (str(lost.outcomes[0].failure.reason), lost.run.attempt) == ("engine", 1)
    assert "went away during the run" in lost.outcomes[0].failure.detail
    nothing_left(own, slow, {"threads": [], "files": [], "children": []})


def test_one_that_stays_away_ends_the_start_and_the_next_one_goes_on(own: OwnEngine, slow: FaultyHarness) -> None:
    process = slow.start()
    kill_during_a_run(own, process, slow)
    output, _ = process.communicate(timeout=200)
    own.start()
    assert process.returncode == 3, output
    assert "the container engine does not answer" in output
    assert "Traceback" not in output
    code, lines, held = slow.run()
    assert code == 0, lines
    assert account(slow, groups=1, rounds=2).runs == 3
    nothing_left(own, slow, held)


def test_engine_and_harness_killed_together(own: OwnEngine, slow: FaultyHarness) -> None:
    process = slow.start()
    kill_during_a_run(own, process, slow)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    own.start()
    code, lines, held = slow.run()
    assert code == 0, lines
    found = account(slow, groups=1, rounds=2)
    assert (found.runs, found.records) == (3, 3)
    nothing_left(own, slow, held)
