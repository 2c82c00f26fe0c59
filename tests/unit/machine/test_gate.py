from threading import Event

import pytest

from harness.machine import gate
from harness.machine.gate import CpuTimes, foreign_share, read_cpu_times, wait_until_quiet


def times(busy: int, total: int, own: int = 0, steal: int = 0) -> CpuTimes:
    return CpuTimes(busy=busy, total=total, own=own, steal=steal)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "WINDOW_S", 0.0)


def test_own_time_is_not_foreign() -> None:
    assert foreign_share(times(0, 0), times(50, 100, own=50)) == 0
    assert foreign_share(times(0, 0), times(50, 100, own=10)) == pytest.approx(0.4)


def test_a_quiet_machine_passes_at_the_first_look() -> None:
    looks = iter([times(0, 0), times(1, 400)])
    result = wait_until_quiet(cancel=Event(), read=lambda: next(looks), clock=lambda: 0.0)
    assert result.passed
    assert result.foreign_cpu == 0.0025


def test_waits_until_the_others_are_quiet() -> None:
    looks = iter([times(0, 0), times(200, 400), times(200, 400), times(201, 800)])
    seen = []
    result = wait_until_quiet(cancel=Event(), read=lambda: next(looks), clock=lambda: 0.0, on_wait=seen.append)
    assert result.passed
    assert [[(c.name, c.value) for c in closed] for closed in seen] == [
        [("foreign_cpu", "other programs use 50 % of the CPU time, at most 5 %")]
    ]
    assert result.closed == ()
    assert result.waited_for == ("foreign_cpu",)


def test_the_wait_is_bounded_and_the_run_is_flagged() -> None:
    clock = iter(range(0, 10_000, 100))
    total = iter(range(0, 10_000, 100))

    def read() -> CpuTimes:
        now = next(total)
        return times(now, now)

    result = wait_until_quiet(cancel=Event(), max_wait_s=300, read=read, clock=lambda: float(next(clock)))
    assert not result.passed
    assert result.waited_s >= 300
    assert result.foreign_cpu == 1


def test_an_interrupt_ends_the_wait() -> None:
    cancel = Event()
    cancel.set()
    looks = iter([times(0, 0), times(400, 400)])
    assert not wait_until_quiet(cancel=cancel, read=lambda: next(looks), clock=lambda: 0.0).passed


def test_without_proc_nothing_is_claimed() -> None:
    result = wait_until_quiet(cancel=Event(), read=lambda: None, clock=lambda: 0.0)
    assert result.passed
    assert result.foreign_cpu is None


def test_reads_the_counters_of_a_process_with_spaces_and_brackets_in_its_name(tmp_path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "stat").write_text("cpu  100 1 20 1000 5 2 3 7 50 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    (tmp_path / "self/stat").write_text("42 (a) b) S 1 1 1 0 -1 4194304 100 200 0 0 11 12 13 14 20 0 1 0 5 6 7\n")
    assert read_cpu_times(tmp_path) == CpuTimes(busy=126, total=1138, own=50, steal=7)


def test_unreadable_counters_are_none(tmp_path) -> None:
    assert read_cpu_times(tmp_path) is None
