"""What makes numbers worse on a machine."""

from pathlib import Path
from typing import Any

import pytest

from harness.flows.checkup import host
from harness.flows.checkup.host import check_host, check_moment, is_measuring
from harness.machine.gate import GateResult
from harness.machine.locks import measuring_lock
from harness.values.facts import MachineFacts
from harness.values.finding import State


@pytest.fixture
def state_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    def look(check: str, **facts: Any) -> State:
        fields: dict[str, Any] = {
            "machine": "",
            "os": "Debian",
            "kernel": "6.12",
            "cpu_model": "CPU",
            "cpu_cores": 2,
            "cpu_threads": 2,
            "memory_bytes": 1,
            "swap_bytes": 0,
            "cgroup_version": 2,
            "virtualization": "none",
        }
        monkeypatch.setattr(host, "read_machine_facts", lambda **_: MachineFacts(**{**fields, **facts}))
        (finding,) = [finding for finding in check_host((), {}) if finding.check == check]
        assert bool(finding.todo) is (finding.state is State.YELLOW)
        return finding.state

    return look


@pytest.mark.parametrize(
    ("check", "facts", "state"),
    [
        ("virtualization", {"virtualization": "none"}, State.GREEN),
        ("virtualization", {"virtualization": "kvm"}, State.YELLOW),
        ("governor", {"governor": "performance"}, State.GREEN),
        ("governor", {"governor": "powersave"}, State.YELLOW),
        ("governor", {"governor": None}, State.GREEN),
        ("swap", {"swap_bytes": 0}, State.GREEN),
        ("swap", {"swap_bytes": 1 << 30}, State.YELLOW),
        ("cgroup", {"cgroup_version": 2}, State.GREEN),
        ("cgroup", {"cgroup_version": 1}, State.YELLOW),
        ("cgroup", {"cgroup_version": None}, State.YELLOW),
        ("environment", {"environment": {"GGML_CUDA_P2P": "1"}}, State.YELLOW),
    ],
)
def test_facts_of_the_machine(state_of: Any, check: str, facts: dict[str, Any], state: State) -> None:
    assert state_of(check, **facts) is state


@pytest.mark.parametrize(
    ("source", "state"), [("tsc", State.GREEN), ("kvm-clock", State.GREEN), ("hpet", State.YELLOW)]
)
def test_a_slow_clock_is_told(
    state_of: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, state: State
) -> None:
    clock = tmp_path / "current_clocksource"
    clock.write_text(f"{source}\n")
    monkeypatch.setattr(host, "CLOCK_SOURCE", clock)
    assert state_of("clock") is state


@pytest.mark.parametrize(
    ("passed", "steal", "states"), [(True, 0.0, ("green", "green")), (False, 0.2, ("yellow", "yellow"))]
)
def test_what_others_do_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passed: bool, steal: float, states: tuple[str, str]
) -> None:
    gate = GateResult(passed=passed, waited_s=0.0, foreign_cpu=0.5, steal=steal)
    monkeypatch.setattr(host, "wait_until_quiet", lambda **_: gate)
    found = {finding.check: finding.state for finding in check_moment({"BENCH_LOCK_DIR": str(tmp_path)})}
    assert (found["load"], found["steal"], found["lock"]) == (*states, "green")


def test_another_harness_that_measures_is_seen(tmp_path: Path) -> None:
    environment = {"BENCH_LOCK_DIR": str(tmp_path)}
    assert not is_measuring(environment)
    with measuring_lock(tmp_path):
        assert is_measuring(environment)
