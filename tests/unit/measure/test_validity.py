import pytest

from harness.measure.validity import MOST_MAJOR_FAULTS, MOST_REFAULTS, MOST_SWAPPED_BYTES, violations
from harness.values.cell import Cell, Test
from harness.values.measurement import BENCH, QUALITY
from harness.values.telemetry import (
    DeviceSummary,
    HostSummary,
    Telemetry,
    ThrottleKind,
    Trace,
    Window,
    WindowSummary,
)


def window(name, *, device=None, host=None):
    return WindowSummary(
        window=Window(name=name, begin_ns=0, end_ns=10**9),
        devices=(DeviceSummary(**{"readings": 100, **(device or {})}),),
        host=HostSummary(readings=100, **(host or {})),
    )


def telemetry(*windows, asked=True):
    return Telemetry(interval_ms=100, devices=(Trace(subject="Card", asked=asked),), windows=windows)


def rules(*windows, **changes):
    return [broken.rule for broken in violations(telemetry(*windows, **changes))]


def throttled(kind, share):
    return {"throttled": {kind: share}}


def test_a_quiet_run_is_valid():
    assert rules(window("idle"), window("load"), window("cell")) == []


def test_nothing_seen_is_nothing_broken():
    assert violations(None) == ()
    assert rules() == []


@pytest.mark.parametrize(
    ("kind", "rule"),
    [(ThrottleKind.THERMAL, "thermal_slowdown"), (ThrottleKind.HARDWARE, "hardware_slowdown")],
)
def test_slowdown_for_over_one_percent(kind, rule):
    assert rules(window("cell", device=throttled(kind, 0.02))) == [rule]
    assert rules(window("cell", device=throttled(kind, 0.01))) == []


def test_slowdown_is_counted_over_all_tests_of_the_run():
    hot, cool = throttled(ThrottleKind.THERMAL, 0.03), throttled(ThrottleKind.THERMAL, 0.0)
    assert rules(window("a", device=hot), window("b", device=cool)) == ["thermal_slowdown"]
    assert rules(window("a", device=hot), window("b", device=cool), window("c", device=cool)) == []


@pytest.mark.parametrize(("measurement", "expected"), [(QUALITY, []), (BENCH, ["refaults"])])
def test_rules_of_time_are_not_for_what_is_not_timed(measurement, expected):
    pressed = telemetry(window("cell", host={"container_refaults": MOST_REFAULTS + 1}))
    cell = Cell(id="cell", backend="cpu", image="cpu", model="m", test=Test(n_prompt=512, measurement=measurement))
    assert [broken.rule for broken in violations(pressed, (cell,))] == expected


def test_a_power_limit_is_shown_and_no_fault():
    assert rules(window("cell", device=throttled(ThrottleKind.POWER, 1.0))) == []


def test_only_timed_parts_count():
    hot = throttled(ThrottleKind.THERMAL, 1.0)
    busy = {"container_major_faults": 10**6, "swap_bytes": 10**12}
    assert rules(window("idle", device=hot), window("load", device=hot, host=busy), window("cell")) == []


def test_another_process_on_the_device():
    assert rules(window("cell", device={"foreign_processes": 1})) == ["foreign_process"]
    assert rules(window("cell", device={"foreign_processes": 0})) == []


def test_a_device_that_was_not_asked_for_may_do_what_it_likes():
    busy = {"foreign_processes": 3, **throttled(ThrottleKind.THERMAL, 1.0)}
    assert rules(window("cell", device=busy), asked=False) == []


@pytest.mark.parametrize(
    ("field", "limit", "rule"),
    [
        ("swap_bytes", MOST_SWAPPED_BYTES, "swap"),
        ("container_major_faults", MOST_MAJOR_FAULTS, "major_faults"),
        ("container_refaults", MOST_REFAULTS, "refaults"),
    ],
)
def test_memory_that_was_not_there(field, limit, rule):
    assert rules(window("a", host={field: limit}), window("b", host={field: 1})) == [rule]
    assert rules(window("a", host={field: limit}), window("b", host={field: 0})) == []
    assert rules(window("a", host={field: limit})) == []


def test_the_evidence_has_the_figure():
    (broken,) = violations(telemetry(window("cell", device=throttled(ThrottleKind.THERMAL, 0.25))))
    assert broken.evidence == "Card: in 25.0 % of 100 timed readings"
