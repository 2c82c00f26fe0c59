from threading import Event

import pytest

from harness.machine import gate
from harness.machine.device_gate import MOST_HELD_BYTES, SETTLED_NS, Condition, DeviceGate
from harness.machine.facts import MachineRoots
from harness.machine.gate import CpuTimes, memory_room, wait_until_quiet
from harness.values.facts import Device
from harness.values.telemetry import DeviceProcess, DeviceReading, Throttle, ThrottleKind

CARD = Device(vendor="test", kind="gpu", name="Card")
APU = Device(vendor="test", kind="integrated", name="APU")
GIB = 1024**3
HOT = Throttle(kind=ThrottleKind.THERMAL, name="sw_thermal_slowdown")
CAPPED = Throttle(kind=ThrottleKind.POWER, name="sw_power_cap")
IDLE = {
    "utilization_percent": 0,
    "memory_used_bytes": GIB,
    "temperature_c": 40,
    "throttle": (),
    "processes": (),
}


def look(at_s: float = 0, device: Device = CARD, **changes):
    return ((device, DeviceReading(at_ns=round(at_s * 1e9), **{**IDLE, **changes})),)


def closed(*looks):
    """The conditions after the last of several looks; the first one is how the device is idle."""
    looking = DeviceGate()
    found: tuple[Condition, ...] = ()
    for each in looks:
        found = looking.closed(each)
    return [(condition.name, condition.value) for condition in found]


def test_a_device_as_it_was_at_first_is_open():
    assert closed(look(), look()) == []


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"utilization_percent": 6}, "utilization", "Card: 6 %, at most 5 %"),
        ({"temperature_c": 51}, "temperature", "Card: 51 °C, first 40 °C"),
        (
            {"memory_used_bytes": GIB + MOST_HELD_BYTES + 1},
            "device_memory",
            "Card: 1280 MiB in use, 256 MiB more than at first",
        ),
        (
            {"processes": (DeviceProcess(pid=77),)},
            "foreign_process",
            "Card: 1 other process computes on it (77)",
        ),
        ({"throttle": (HOT,)}, "throttle", "Card: sw_thermal_slowdown"),
    ],
)
def test_each_condition_says_which_and_its_value(changes, name, value):
    assert closed(look(), look(**changes)) == [(name, value)]


@pytest.mark.parametrize(
    "changes",
    [
        {"utilization_percent": 5},
        {"temperature_c": 50},
        {"memory_used_bytes": GIB + MOST_HELD_BYTES},
        {"memory_used_bytes": 0},
        dict.fromkeys(IDLE),
    ],
)
def test_small_differences_and_what_is_not_told_close_nothing(changes):
    assert closed(look(), look(**changes)) == []


def test_a_program_that_was_there_from_the_start_is_seen_too():
    assert [name for name, _ in closed(look(processes=(DeviceProcess(pid=7),), utilization_percent=80))] == [
        "utilization",
        "foreign_process",
    ]


def test_how_a_device_is_that_others_use_is_not_how_it_is_idle():
    busy = look(utilization_percent=90, temperature_c=80, memory_used_bytes=9 * GIB)
    assert closed(busy, look(), look(temperature_c=60)) == [("temperature", "Card: 60 °C, first 40 °C")]


def test_a_limit_of_power_that_was_there_from_the_start_is_how_the_card_is_set():
    assert closed(look(throttle=(CAPPED,)), look(throttle=(CAPPED,))) == []
    assert [name for name, _ in closed(look(throttle=(HOT,)), look(throttle=(HOT,)))] == ["throttle"]


def test_the_memory_of_an_apu_is_the_host_s():
    assert closed(look(device=APU), look(device=APU, memory_used_bytes=50 * GIB)) == []


def test_a_card_that_no_longer_cools_is_as_cool_as_it_gets():
    looking, settled_s = DeviceGate(), SETTLED_NS / 1e9
    looking.closed(look(0))
    looking.begin()
    assert looking.closed(look(100, temperature_c=70))
    assert looking.closed(look(100 + settled_s - 1, temperature_c=69.5))
    assert not looking.closed(look(100 + settled_s, temperature_c=69.5))


def test_a_card_that_cools_is_waited_for():
    looking, settled_s = DeviceGate(), SETTLED_NS / 1e9
    looking.closed(look(0))
    looking.begin()
    for step in range(10):
        assert looking.closed(look(100 + step * settled_s / 2, temperature_c=70 - step))


class TestTheWholeGate:
    @pytest.fixture(autouse=True)
    def no_waiting(self, monkeypatch):
        monkeypatch.setattr(gate, "WINDOW_S", 0.0)

    def go(self, *, conditions=tuple, times=None, **changes):
        looks = iter(times or [CpuTimes(busy=0, total=100 * n, own=0, steal=0) for n in range(100)])
        clock = iter(range(100))
        return wait_until_quiet(
            cancel=Event(),
            read=lambda: next(looks),
            clock=lambda: float(next(clock)),
            conditions=conditions,
            **changes,
        )

    def test_waits_for_the_device_and_says_for_what(self):
        hot = (Condition(name="temperature", value="Card: 70 °C, first 40 °C"),)
        answers = iter([hot, hot, ()])
        result = self.go(conditions=lambda: next(answers))
        assert result.passed
        assert (result.closed, result.waited_for) == ((), ("temperature",))
        assert result.waited_s > 0

    def test_the_wait_is_bounded_and_what_was_closed_is_recorded(self):
        hot = (Condition(name="temperature", value="Card: 70 °C, first 40 °C"),)
        result = self.go(conditions=lambda: hot, max_wait_s=3)
        assert not result.passed
        assert result.closed == hot

    def test_steal_closes_it(self):
        times = [CpuTimes(busy=0, total=100 * n, own=0, steal=20 * n) for n in range(100)]
        result = self.go(times=times, max_wait_s=0)
        assert [c.value for c in result.closed] == ["the hypervisor gives 20 % of the CPU time to others, at most 5 %"]


class TestMemoryRoom:
    @pytest.fixture
    def roots(self, tmp_path):
        (tmp_path / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
        return MachineRoots(proc=tmp_path)

    def test_there_is_room(self, roots):
        assert memory_room(4 * GIB, roots) == ()

    def test_others_have_taken_it(self, roots):
        (condition,) = memory_room(5 * GIB, roots)
        assert condition.value == "4096 MiB can be had, the model takes 5120 MiB"

    def test_what_can_never_be_is_not_waited_for(self, roots):
        assert memory_room(9 * GIB, roots) == ()

    def test_a_host_that_does_not_tell(self, tmp_path):
        assert memory_room(9 * GIB, MachineRoots(proc=tmp_path)) == ()
