"""Telemetry and invalid runs as they are stored."""

import hashlib
from dataclasses import replace

import pytest

from harness.store.codec import CodecError
from harness.store.record_line import canonical, from_json, to_json
from harness.store.records import RecordStore
from harness.values.record import Violation
from harness.values.telemetry import (
    DeviceSummary,
    HostSummary,
    Telemetry,
    ThrottleKind,
    Trace,
    Window,
    WindowSummary,
)


def test_a_record_with_telemetry_is_read_as_it_was_written(store: RecordStore, make_record) -> None:
    summary = DeviceSummary(readings=3, power_mean_w=310.5, throttled={ThrottleKind.POWER: 0.5})
    window = Window(name="cell", begin_ns=-5, end_ns=9)
    windows = (WindowSummary(window=window, devices=(summary,), host=HostSummary(readings=3)),)
    trace = Trace(subject="Card", at_ms=(-5, 5), columns={"power_w": (310.5, None)}, missing={"energy_j": "no counter"})
    telemetry = Telemetry(interval_ms=100, devices=(trace,), host=Trace(subject="host"), windows=windows)
    broken = (Violation(rule="thermal_slowdown", evidence="Card: in 4.0 % of 50 timed readings"),)
    record = make_record(round_=1, telemetry=telemetry, invalid=broken)
    stored = store.append(replace(record, run=replace(record.run, repeat=1)))
    assert store.read(record.machine) == (stored,)
    assert (stored.telemetry, stored.invalid, stored.run.repeat) == (telemetry, broken, 1)
    assert not stored.counted


def test_a_record_of_before_has_seen_nothing_and_broken_nothing(make_record) -> None:
    data = to_json(make_record(round_=1))
    old = {name: value for name, value in data.items() if name not in {"telemetry", "invalid", "id"}}
    old["run"] = {name: value for name, value in old["run"].items() if name != "repeat"}
    # The id is the hash of what is stored.
    record = from_json({**old, "id": hashlib.sha256(canonical(old)).hexdigest()})
    assert (record.telemetry, record.invalid, record.run.repeat, record.counted) == (None, (), 0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval_ms": 0},
        {"devices": [{"subject": "Card"}]},
        {"windows": [{"window": {"name": ""}, "devices": [], "host": None}]},
        {"surprise": 1},
    ],
)
def test_telemetry_that_is_none_is_refused(make_record, wrong) -> None:
    data = to_json(make_record(round_=1, telemetry=Telemetry(interval_ms=100)))
    data["telemetry"] |= wrong
    del data["id"]
    with pytest.raises(CodecError, match=r"\$\.telemetry"):
        from_json({**data, "id": hashlib.sha256(canonical(data)).hexdigest()})
