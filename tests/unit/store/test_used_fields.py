"""What results are computed from is read the same quickly and in full; what was changed is refused either way."""

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.results import read_machine
from harness.store.quick_check import read_line
from harness.store.record_line import canonical
from harness.store.records import RecordStore
from harness.store.sessions import read_sessions
from harness.store.used_fields import read_used
from harness.values.record import Outcome, Record, Run

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
FILES = sorted(GOLDEN.glob("*/records/*.jsonl"))
LINES = [line for path in FILES for line in path.read_bytes().split(b"\n")[:-1]]


def plainly(value: Any) -> Any:
    """A record by its fields, whatever holds them."""
    kind = next((kind for kind in (Record, Run, Outcome) if kind.__name__ == type(value).__name__), None)
    if kind is not None:
        return {field.name: plainly(getattr(value, field.name)) for field in fields(kind)}
    return [plainly(item) for item in value] if isinstance(value, tuple | list) else value


def test_it_is_the_record_without_what_nothing_is_computed_from() -> None:
    assert len(LINES) > 30
    for line in LINES:
        whole = read_line(line)
        outcomes = tuple(replace(outcome, row=None) for outcome in whole.outcomes)
        found = read_used(line)
        assert plainly(found) == plainly(replace(whole, outcomes=outcomes, environment={}, container={}))
        assert found.counted == whole.counted
        assert [outcome.ok for outcome in found.outcomes] == [outcome.ok for outcome in whole.outcomes]


def test_a_record_that_is_spelled_otherwise_is_read_too() -> None:
    for line in LINES:
        otherwise = json.dumps(json.loads(line), indent=None).encode()
        assert plainly(read_used(otherwise)) == plainly(read_used(line))


@pytest.mark.parametrize("folder", sorted({path.parents[1].name for path in FILES}))
def test_the_results_are_the_same(folder: str) -> None:
    store, sessions = RecordStore(GOLDEN / folder), read_sessions(GOLDEN / folder)
    for machine in store.machines():
        quick = read_machine(store, machine, sessions, line=read_used)
        for found, whole in zip(quick, read_machine(store, machine, sessions), strict=True):
            assert replace(found, records=()) == replace(whole, records=())


def changed(line: bytes, change: dict[str, Any]) -> bytes:
    """The line with other values in it and the hash of them as its id."""
    data = {**json.loads(line), **change}
    rest = {key: value for key, value in data.items() if key != "id"}
    return canonical({"id": hashlib.sha256(canonical(rest)).hexdigest(), **rest})


@pytest.mark.parametrize(
    "change",
    [
        {"machine": 7},
        {"version": 999},
        {"schema": "another"},
        {"run": {"key": "k"}},
        {"argv": "one text"},
        {"telemetry": {"devices": 3}},
        {"duration_ns": "long"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_record_is_refused_in_the_same_words(change: dict[str, Any]) -> None:
    line = changed(LINES[0], change)
    with pytest.raises(ValueError, match=r"\w") as slowly:
        read_line(line)
    with pytest.raises(ValueError, match=r"\w") as quickly:
        read_used(line)
    assert str(quickly.value) == str(slowly.value)


@pytest.mark.parametrize("samples", [[0], [-5, 7], [2**63], [1, "2"], [1.5]])
def test_durations_that_no_clock_gives_are_refused(samples: list[object]) -> None:
    outcomes = [{**outcome, "samples_ns": samples} for outcome in json.loads(LINES[0])["outcomes"]]
    with pytest.raises(ValueError, match=r"\S"):
        read_used(changed(LINES[0], {"outcomes": outcomes}))


@pytest.mark.parametrize("place", [5, 200, -10])
def test_a_changed_byte_is_refused(place: int) -> None:
    line = bytearray(LINES[0])
    line[place] ^= 1
    with pytest.raises(ValueError, match=r"\S"):
        read_used(bytes(line))
