"""A line that is shaped like one that was checked is accepted as the schema accepts it, and no other is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store import line_shapes, quick_check
from harness.store.line_shapes import LineShapes, ShapeError, part
from harness.store.quick_check import ReadBySchema, check_line, id_holds, used_line
from harness.store.record_line import canonical, from_json
from harness.values.record import Outcome, Record, Run

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
LINES = [line for path in sorted(GOLDEN.glob("*/records/*.jsonl")) for line in path.read_bytes().split(b"\n")[:-1]]
LINE = next(line for line in LINES if json.loads(line)["outcomes"][0]["row"])


@pytest.fixture(autouse=True)
def shapes(monkeypatch: pytest.MonkeyPatch) -> LineShapes:
    """Those of one line, which was checked in full."""
    found = LineShapes()
    monkeypatch.setattr(quick_check, "_SHAPES", found)
    check_line(LINE)
    return found


def rehashed(line: bytes) -> bytes:
    """The line with the hash of its bytes as its id, whatever they are."""
    id_ = json.loads(LINE)["id"].encode()
    assert line.count(id_) == 1
    rest = line.replace(b',"id":"' + id_ + b'"', b"")
    return line.replace(id_, hashlib.sha256(rest).hexdigest().encode())


def edited(before: bytes, after: bytes) -> bytes:
    assert before in LINE
    return rehashed(LINE.replace(before, after, 1))


def signed(data: dict[str, Any]) -> bytes:
    rest = {key: value for key, value in data.items() if key != "id"}
    return canonical({"id": hashlib.sha256(canonical(rest)).hexdigest(), **rest})


def test_lines_like_the_first_are_read_by_its_shape(shapes: LineShapes) -> None:
    read = 0
    for line in LINES:
        found = shapes.check(line)
        if found is None:
            continue
        read += 1
        whole = from_json(json.loads(line))
        assert [outcome.samples_ns for outcome in found.outcomes] == [o.samples_ns for o in whole.outcomes]
        assert (found.id, found.machine, found.session) == (whole.id, whole.machine, whole.session)
        assert (found.run.round, found.run.order, found.run.repeat) == (
            whole.run.round,
            whole.run.order,
            whole.run.repeat,
        )
    assert read > 10


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"container":{', b'"container":{"a":1,"a":2,'),
        (b'"container":{', b'"container": {'),
        (b'"container":{', b'"container":{"zz":1,'),
        (b'"checks":[', b'"checks":[ '),
        (b'"avg_ns":', b'"avg_ns":1,"avg_ns":'),
        (b'"avg_ns":', b'"avg_ns": '),
        (b'"avg_ns":', b'"avg_ns":0'),
        (b'"row":{', b'"row":{"zz":1,'),
        (b'"duration_ns":', b'"duration_ns": '),
        (b'"duration_ns":', b'"duration_ns":1,"duration_ns":'),
        (b'"exit_code":0', b'"exit_code":0.0'),
        (b'"exit_code":0', b'"exit_code":false'),
        (b'"run":{', b'"run":{"key":"other",'),
        (b'"proof":"proven"', b'"proof":"sworn"'),
        (b'"evidence":"', b'"evidence":"\xff'),
        (b'"backend":"cpu"', b'"backend":"\xff"'),
        (b'"simulated":false', b'"simulated":0'),
        (b'"environment":{}', b'"environment":{"A":1}'),
        (b'},"samples_ns":[', b'},"samples_ns":[0,'),
        (b'},"samples_ns":[', b'},"samples_ns":[-7,'),
    ],
)
def test_what_the_schema_refuses_is_not_accepted_for_its_shape(before: bytes, after: bytes) -> None:
    line = edited(before, after)
    with pytest.raises(ValueError, match=r"\S"):
        check_line(line)


def test_a_row_that_is_nested_deeper_than_allowed_is_refused() -> None:
    deep = b"[" * 100 + b"]" * 100
    line = edited(b'"avg_ns":', b'"avg_a":' + deep + b',"avg_ns":')
    with pytest.raises(ValueError, match="nested deeper"):
        check_line(line)


@pytest.mark.parametrize("key", ["a b", "class", "__init__", 'quo"te', "back\\slash", "line\nfeed", "", "\u202e", "é"])
def test_rows_of_strangers_with_any_names_are_accepted(key: str) -> None:
    data = json.loads(LINE)
    data["outcomes"][0]["row"][key] = 1.5
    for _ in range(2):
        found = check_line(signed(data))
        assert not isinstance(found, ReadBySchema)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["duration_ns", "exit_code", "load_before", "diagnosis", "machine", "argv", "gate", "container"]),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_any_value_of_a_field_is_judged_as_the_schema_judges_it(name: str, value: Any) -> None:
    try:
        line = signed({**json.loads(LINE), name: value})
    except UnicodeEncodeError:
        return
    try:
        from_json(json.loads(line))
    except ValueError:
        with pytest.raises(ValueError, match=r"\S"):
            check_line(line)
    else:
        assert check_line(line).id == json.loads(line)["id"]


def test_an_id_that_is_not_the_hash_is_no_id() -> None:
    assert id_holds(LINE, json.loads(LINE)["id"])
    assert not id_holds(LINE, "0" * 64)
    assert not id_holds(LINE.replace(b'"exit_code":0', b'"exit_code":1'), json.loads(LINE)["id"])
    assert not id_holds(b"", "")


def test_what_is_used_of_a_changed_line_is_nothing() -> None:
    assert used_line(LINE) is not None
    assert used_line(LINE.replace(b'"exit_code":0', b'"exit_code":1')) is None
    assert used_line(edited(b'"duration_ns":', b'"duration_ns":-')) is None


def test_shapes_of_strangers_do_not_add_up(shapes: LineShapes) -> None:
    data = json.loads(LINE)
    for number in range(line_shapes.MOST_LEARNED + 20):
        data["outcomes"][0]["row"] = {f"field{number}": number}
        assert not isinstance(check_line(signed(data)), ReadBySchema)
        shapes.learn(data)
    assert len(shapes._lines._decoders) <= line_shapes.MOST_SHAPES
    assert len(shapes._rows._rows._decoders) <= line_shapes.MOST_SHAPES


def test_a_part_is_what_its_field_says() -> None:
    with pytest.raises(ShapeError):
        part(Run, "cells")(b"[]")
    assert part(Record, "argv")(b'["a","b"]') == ("a", "b")
    assert part(Outcome, "failure")(b"null") is None
    for name, data in (
        ("argv", b'["a", "b"]'),
        ("argv", b"[1]"),
        ("gate", b'{"a":1,"a":2}'),
        ("gate", b'{"b":1,"a":2}'),
    ):
        with pytest.raises(ShapeError):
            part(Record, name)(data)
