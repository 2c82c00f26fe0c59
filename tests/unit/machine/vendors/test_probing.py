import pytest

from harness.machine.vendors import VENDORS, discover_devices
from harness.machine.vendors.probing import SLOW_EVERY_NS, FieldProbe, MissingError, blind
from harness.values.telemetry import DEVICE_FIELDS


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def raising(error: Exception):
    def getter():
        raise error

    return getter


def test_a_field_that_fails_costs_the_others_nothing() -> None:
    probe = FieldProbe({"power_w": raising(OSError(5, "I/O error")), "temperature_c": lambda: 41})
    reading = probe.read()
    assert (reading.power_w, reading.temperature_c) == (None, 41)
    assert "I/O error" in probe.missing["power_w"]


def test_every_field_has_a_value_or_a_reason() -> None:
    probe = FieldProbe({"power_w": lambda: 3.5}, missing={"energy_j": "no counter"})
    reading = probe.read()
    absent = {name for name in DEVICE_FIELDS if getattr(reading, name) is None}
    assert absent == set(probe.missing)
    assert probe.missing["energy_j"] == "no counter"


def test_what_is_missing_for_good_is_not_asked_again() -> None:
    asked = []

    def getter():
        asked.append(1)
        raise MissingError("not on this card", for_good=True)

    probe = FieldProbe({"power_w": getter})
    probe.read()
    probe.read()
    assert len(asked) == 1
    assert probe.missing["power_w"] == "not on this card"


def test_what_comes_back_is_no_longer_missing() -> None:
    answers = iter([MissingError("busy"), 7])

    def getter():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    probe = FieldProbe({"power_w": getter})
    assert probe.read().power_w is None
    assert probe.read().power_w == 7
    assert "power_w" not in probe.missing


def test_slow_fields_are_asked_once_a_second_and_keep_their_value() -> None:
    clock, asked = Clock(), []

    def width() -> int:
        asked.append(clock.now)
        return 16

    probe = FieldProbe({"pcie_width": width, "power_w": lambda: 1}, slow=frozenset({"pcie_width"}), clock=clock)
    for clock.now in (0, SLOW_EVERY_NS // 2, SLOW_EVERY_NS):
        assert probe.read().pcie_width == 16
    assert asked == [0, SLOW_EVERY_NS]


def test_a_device_that_sleeps_is_not_asked() -> None:
    probe = FieldProbe({"power_w": raising(AssertionError("woken"))}, asleep=lambda: "it sleeps")
    assert probe.read().power_w is None
    assert probe.missing["power_w"] == "it sleeps"


def test_closing_never_raises() -> None:
    FieldProbe({}, close=raising(OSError("gone"))).close()


def test_a_blind_probe_says_why() -> None:
    probe = blind("no driver")
    assert set(probe.missing) == set(DEVICE_FIELDS)
    assert set(probe.missing.values()) == {"no driver"}


@pytest.mark.parametrize("device", discover_devices(), ids=lambda d: f"{d.vendor}-{d.kind}")
def test_every_device_of_this_machine_can_be_looked_at(device) -> None:
    probe = VENDORS[device.vendor].telemetry(device)
    reading = probe.read()
    probe.close()
    assert {n for n in DEVICE_FIELDS if getattr(reading, n) is None} == set(probe.missing)
