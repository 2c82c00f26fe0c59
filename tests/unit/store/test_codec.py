import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.codec import CodecError, decode, encode
from harness.store.sessions import Session
from harness.values.bench import LogFacts
from harness.values.cell import Cell, Test
from harness.values.facts import MachineFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Check, Outcome, Proof, Record, Run, Violation
from harness.values.telemetry import (
    DeviceSummary,
    HostSummary,
    Telemetry,
    ThrottleKind,
    Trace,
    Window,
    WindowSummary,
)

texts = st.text(max_size=20)
names = st.text(min_size=1, max_size=12)
whole = st.integers(0, 2**63)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
tests = st.builds(Test, n_prompt=whole, n_gen=whole, n_depth=whole)
cells = st.builds(
    Cell,
    id=names,
    label=texts,
    backend=names,
    image=names,
    model=names,
    device=texts,
    params=st.dictionaries(names, values, max_size=4),
    test=tests,
)
failures = st.builds(Failure, phase=st.sampled_from(Phase), reason=st.sampled_from(Reason), detail=texts, remedy=texts)
checks = st.builds(Check, name=names, proof=st.sampled_from(Proof), evidence=texts)
outcomes = st.builds(
    Outcome,
    cell=names,
    samples_ns=st.lists(whole, max_size=4).map(tuple),
    row=st.none() | st.dictionaries(names, plain | st.lists(plain, max_size=2), max_size=3),
    checks=st.lists(checks, max_size=2).map(tuple),
    failure=st.none() | failures,
)
logs = st.builds(
    LogFacts,
    libraries=st.dictionaries(names, texts, max_size=2),
    cpu_variant=st.none() | texts,
    layers_offloaded=st.none() | whole,
    model_buffers=st.dictionaries(names, whole, max_size=2),
    flash_attn=st.none() | st.booleans(),
    warnings=st.lists(texts, max_size=2).map(tuple),
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
traces = st.builds(
    Trace,
    subject=texts,
    pci=st.none() | texts,
    asked=st.booleans(),
    at_ms=st.lists(st.integers(), max_size=3).map(tuple),
    columns=st.dictionaries(names, st.lists(st.none() | numbers, max_size=3).map(tuple), max_size=2),
    constant=st.dictionaries(names, numbers, max_size=2),
    throttle_reasons=st.lists(texts, max_size=2).map(tuple),
    missing=st.dictionaries(names, texts, max_size=2),
)
windows = st.builds(
    WindowSummary,
    window=st.builds(Window, name=names, begin_ns=st.integers(), end_ns=st.integers(), untimed=st.booleans()),
    devices=st.lists(
        st.builds(
            DeviceSummary,
            readings=whole,
            power_mean_w=st.none() | shares,
            memory_growth_bytes=st.none() | st.integers(),
            throttled=st.none() | st.dictionaries(st.sampled_from(ThrottleKind), shares),
        ),
        max_size=2,
    ).map(tuple),
    host=st.none() | st.builds(HostSummary, readings=whole, cpu_busy=st.none() | shares),
)
seen = st.builds(
    Telemetry,
    interval_ms=whole,
    devices=st.lists(traces, max_size=2).map(tuple),
    host=st.none() | traces,
    windows=st.lists(windows, max_size=2).map(tuple),
    sampling_cpu=st.none() | shares,
    problem=texts,
)
records = st.builds(
    Record,
    matrix=names,
    matrix_sha256=texts,
    machine=names,
    session=names,
    run=st.builds(
        Run,
        key=names,
        round=whole,
        order=whole,
        attempt=whole,
        repeat=whole,
        cells=st.lists(cells, max_size=2).map(tuple),
    ),
    backend=names,
    device=texts,
    image=texts,
    model_sha256=texts,
    argv=st.lists(texts, max_size=3).map(tuple),
    environment=st.dictionaries(names, texts, max_size=2),
    container=st.dictionaries(names, plain, max_size=2),
    outcomes=st.lists(outcomes, max_size=2).map(tuple),
    started_utc=texts,
    ended_utc=texts,
    duration_ns=whole,
    exit_code=st.none() | st.integers(-1, 255),
    kill_stage=st.none() | texts,
    oom_killed=st.booleans(),
    load_before=st.none() | st.floats(0, 1),
    gate=st.dictionaries(names, plain, max_size=2),
    log=st.none() | logs,
    diagnosis=texts,
    software=st.booleans(),
    simulated=st.booleans(),
    telemetry=st.none() | seen,
    invalid=st.lists(st.builds(Violation, rule=names, evidence=texts), max_size=2).map(tuple),
)


@given(records)
def test_a_record_survives_json(record: Record) -> None:
    assert decode(Record, json.loads(json.dumps(encode(record)))) == record


def test_a_session_survives_json(session: Session) -> None:
    assert decode(Session, json.loads(json.dumps(encode(session)))) == session


def test_missing_fields_take_their_defaults() -> None:
    assert decode(Test, {"n_prompt": 512}) == Test(n_prompt=512)


def test_booleans_are_not_numbers() -> None:
    cell = Cell(id="a", backend="cpu", image="i", model="m", params={"a": True, "b": 1, "c": 1.0}, test=Test(n_gen=1))
    back = decode(Cell, json.loads(json.dumps(encode(cell))))
    assert {name: type(value) for name, value in back.params.items()} == {"a": bool, "b": int, "c": float}


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (Test, {"n_prompt": "512"}, r"\$\.n_prompt: str instead of int"),
        (Test, {"n_prompt": True}, r"\$\.n_prompt: bool instead of int"),
        (Test, {"n_promt": 1}, "unknown field 'n_promt'"),
        (Outcome, {}, "cell"),
        (Outcome, {"cell": "a", "samples_ns": [1, "2"]}, r"\$\.samples_ns\[1\]: str instead of int"),
        (Outcome, {"cell": "a", "checks": {}}, r"\$\.checks: dict instead of list"),
        (Check, {"name": "a", "proof": "perhaps", "evidence": ""}, "'perhaps'"),
        (MachineFacts, [], r"\$: list instead of dict"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(kind: type, change: Any, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        decode(kind, change)


def test_null_is_only_what_may_be_null(session: Session) -> None:
    data = encode(session)
    with pytest.raises(CodecError, match=r"\$\.seed: NoneType instead of int"):
        decode(Session, {**data, "seed": None})
    assert decode(Session, {**data, "harness_source": None}) == replace(session, harness_source=None)
