"""Whatever is done to a record: it is refused at speed where the schema refuses it, whatever was read before."""

import hashlib
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from harness.store import quick_check, used_fields
from harness.store.line_shapes import LineShapes
from harness.store.quick_check import check_line, read_as_written, read_line
from harness.store.record_line import canonical, from_json
from harness.store.telemetry_summaries import READINGS
from harness.store.used_fields import NOT_USED, read_used

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
LINES = [line for path in sorted(GOLDEN.glob("*/records/*.jsonl")) for line in path.read_bytes().split(b"\n")[:-1]]
READERS = (check_line, read_line, read_as_written, read_used)
TRACE = {
    "subject": "card",
    "pci": None,
    "asked": True,
    "at_ms": [0],
    "columns": {"w": [1.5, None]},
    "constant": {},
    "throttle_reasons": [],
    "missing": {"energy_j": "not told"},
    "substitutes": {},
}
SUMMARY: dict[str, Any] = {"readings": 1, "throttled": {"thermal": 0.5}}
WINDOW = {"window": {"name": "load", "begin_ns": 0, "end_ns": 5}, "devices": [SUMMARY], "host": {"readings": 1}}
ROW = {"a_rate": 1.5, "b_rates": [1.5, 2, -0.0], "c": None, "d": True, "n": 1, "samples": [1, 2], "t": "x"}
BESIDE = {"model": "m", "model_sha256": "0" * 64, "argv": ["a"], "busy": True, "load_ns": 1, "cpu_ns": 1, "answered": 1}


def full() -> dict[str, Any]:
    """A record with everything that one can have."""
    data = json.loads(next(line for line in LINES if json.loads(line)["outcomes"][0]["row"]))
    data["outcomes"] = [{**data["outcomes"][0], "series": {"itl_ns": [1, 2.5]}, "row": ROW}]
    data["outcomes"][0]["checks"] = data["outcomes"][0]["checks"][:1]
    data["run"]["cells"] = data["run"]["cells"][:1]
    failed = {"phase": "load", "reason": "load", "detail": "", "remedy": ""}
    data["outcomes"].append({**data["outcomes"][0], "row": None, "samples_ns": [], "series": {}, "failure": failed})
    data["invalid"] = [{"rule": "r", "evidence": ""}]
    data["beside"] = [BESIDE]
    data["telemetry"] = {
        "interval_ms": 100,
        "devices": [TRACE],
        "host": TRACE,
        "server": None,
        "windows": [WINDOW],
        "sampling_cpu": 0.1,
        "problem": "",
    }
    return data


def signed(data: dict[str, Any]) -> bytes:
    rest = {key: value for key, value in data.items() if key != "id"}
    return canonical({"id": hashlib.sha256(canonical(rest)).hexdigest(), **rest})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def others(value: Any) -> list[Any]:
    """What may stand in its place."""
    found: list[Any] = [None, True, -1, 0, 1.5, 2.0, 1e-7, 2**31, 2**63, 10**450, "", "x", [], {}, {"a": 1}]
    return [other for other in found if json.dumps(other) != json.dumps(value)]


def changed(path: tuple[Any, ...]) -> Iterator[tuple[str, bytes]]:
    data = full()
    for what in ["gone", "more", *others(at(data, path))]:
        one = deepcopy(data)
        inside = at(one, path[:-1])
        if what == "gone":
            del inside[path[-1]]
        elif what == "more":
            if not isinstance(inside[path[-1]], dict):
                continue
            inside[path[-1]]["surprise"] = 1
        else:
            inside[path[-1]] = what
        yield str(what)[:20], signed(one)


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def accepted(reader: Any, line: bytes) -> bool:
    try:
        return reader(line) is not None
    except ValueError:
        return False


def by_the_schema(line: bytes) -> bool:
    from harness.formats.strict_json import loads

    try:
        from_json(loads(line))
    except ValueError:
        return False
    return True


def know(line: bytes) -> None:
    """The first leaves the shape of the line; the second, read by it, those of its rows."""
    for _ in range(2):
        check_line(line)


@pytest.fixture(autouse=True)
def _nothing_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_check, "_SHAPES", LineShapes())


def test_the_full_record_is_one() -> None:
    line = signed(full())
    assert by_the_schema(line)
    for reader in READERS:
        assert accepted(reader, line), reader
    assert quick_check._by_shape(line) is not None


@pytest.mark.parametrize("warm", [False, True], ids=["first", "after others"])
@pytest.mark.parametrize("field", sorted(full()))
def test_any_change_is_judged_as_the_schema_judges_it(field: str, warm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in [(field,), *places(full()[field], (field,))]:
        for what, line in changed(path):
            monkeypatch.setattr(quick_check, "_SHAPES", LineShapes())
            if warm:
                know(signed(full()))
            wanted = by_the_schema(line)
            for reader in READERS[:3]:
                found = accepted(reader, line)
                # Read only as it is written by this program, it may be refused for its spelling.
                assert found == wanted or (reader is read_as_written and not found), (path, what, reader)
            unseen = field in NOT_USED or (field == "outcomes" and "row" in path)
            assert accepted(read_used, line) == wanted or unseen, (path, what, "used")


def test_of_large_telemetry_all_but_the_readings_is_judged_as_the_schema_judges_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(used_fields, "LARGE_PART", 1)
    know(signed(full()))
    readings = {name for names in READINGS.values() for name in names}
    for path in places(full()["telemetry"], ("telemetry",)):
        # Those of the host, and within the traces of devices; summaries have a host too.
        unseen = path[1] in readings or (path[1] == "devices" and not readings.isdisjoint(path))
        for what, line in changed(path):
            assert accepted(read_used, line) == by_the_schema(line) or unseen, (path, what)


def test_what_is_used_of_large_telemetry_is_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    line = signed(full())
    whole = read_line(line).telemetry
    monkeypatch.setattr(used_fields, "LARGE_PART", 1)
    know(line)
    found = read_used(line).telemetry
    assert found is not None
    assert whole is not None
    assert found.windows == whole.windows
    assert found.window("load") == whole.window("load")
    assert found.devices[0].missing == whole.devices[0].missing
    assert type(found) is not type(whole)


@pytest.mark.parametrize("place", ["container", "gate", "row"])
def test_an_id_within_is_not_the_id(place: str) -> None:
    data = full()
    data["id"] = "0" * 63 + "1"
    inner = {"a": 1, "image": "x"}
    if place == "row":
        data["outcomes"][0]["row"] = {"zz": inner}
    else:
        data[place] = {"zz": inner}
    line = canonical(data)
    digest = hashlib.sha256(line).hexdigest()
    forged = line.replace(b'{"a":1,"image":"x"}', b'{"a":1,"id":"' + digest.encode() + b'","image":"x"}')
    check_line(signed(full()))
    for reader in READERS:
        if reader is read_as_written:
            assert reader(forged) is None
        else:
            with pytest.raises(ValueError, match="not what its id says"):
                reader(forged)


SPELLED = [
    (b'"load_before":', b'"load_before":1e-7,"x":'),
    (b'"gate":{', b'"gate":{"a":0.00001,'),
    (b'"gate":{', b'"gate":{"a":1e16,'),
    (b'"row":{', b'"row":{"a":0.00001,'),
    (b'"row":{', b'"row":{"a":' + b"7" * 500 + b","),
    (b'"a_rate":1.5', b'"a_rate":0.00001'),
    (b'"a_rate":1.5', b'"a_rate":1e16'),
    (b'"a_rate":1.5', b'"a_rate":-1e-5'),
    (b'"a_rate":1.5', b'"a_rate":1.50'),
    (b'"b_rates":[1.5,', b'"b_rates":[0.00001,'),
    (b'"b_rates":[1.5,', b'"b_rates":[1e22,'),
    (b'"device":', b'"device":"other","device":'),
    (b'"samples_ns":', b'"samples_ns":[1],"samples_ns":'),
    (b'"gate":{', b'"gate": {'),
    (b'"backend":"cpu"', b'"backend":"\\u0063pu"'),
]


@pytest.mark.parametrize(("before", "after"), SPELLED)
def test_what_is_spelled_otherwise_has_not_the_hash_of_its_bytes(before: bytes, after: bytes) -> None:
    line = signed(full())
    assert before in line
    other = line.replace(before, after.replace(b',"x":', b"") if b',"x":' in after else after, 1)
    if b',"x":' in after:
        value = json.dumps(json.loads(line)["load_before"]).encode()
        other = line.replace(b'"load_before":' + value, b'"load_before":1e-7', 1)
    id_ = json.loads(line)["id"].encode()
    rest = other.replace(b',"id":"' + id_ + b'"', b"")
    other = other.replace(id_, hashlib.sha256(rest).hexdigest().encode())
    know(line)
    for reader in (check_line, read_line, read_used):
        if reader is read_used and before[:4] in {b'"row', b'"a_r', b'"b_r'}:
            continue
        with pytest.raises(ValueError, match=r"\S"):
            reader(other)


def test_a_line_of_nothing_but_ids_is_refused_at_once() -> None:
    line = b"{" + b',"id":"' + b"a" * 64 + b'","image":' * 20_000 + b"}"
    with pytest.raises(ValueError, match=r"\S"):
        check_line(line)
