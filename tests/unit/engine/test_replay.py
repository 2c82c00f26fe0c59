from dataclasses import replace
from threading import Event

import pytest

from harness.engine.replay import ReplayEngine, scripted
from harness.engine.running import run
from harness.errors import ArtifactError
from harness.values.container import ContainerSpec
from harness.values.protocols import Engine

SPEC = ContainerSpec(name="one", image="sha256:1", argv=("/app/llama-bench", "-o", "jsonl"))


def test_it_is_an_engine_and_simulated() -> None:
    engine: Engine = ReplayEngine()
    assert engine.simulated
    assert engine.facts().name == "Replay"


def test_ends_come_in_order() -> None:
    first, second = scripted("a\n"), scripted(exit_code=1)
    engine = ReplayEngine([first, second])
    assert run(engine, SPEC, timeout_s=1) == first
    assert run(engine, replace(SPEC, name="two"), timeout_s=1) == second
    assert [spec.name for spec in engine.started] == ["one", "two"]
    with pytest.raises(LookupError, match="no end is scripted for one: /app/llama-bench"):
        engine.start(SPEC)


def test_ends_from_the_spec() -> None:
    engine = ReplayEngine(lambda spec: scripted(" ".join(spec.argv)))
    assert run(engine, SPEC, timeout_s=1).stdout[0].text == "/app/llama-bench -o jsonl"


def test_lines_are_told_in_the_order_of_their_stamps() -> None:
    told = []
    end = scripted("a\nb\nc\n", "x\n", duration_ns=100)
    run(ReplayEngine([end]), SPEC, timeout_s=1, on_line=lambda stream, text: told.append((stream, text)))
    assert told == [("stdout", "a"), ("stdout", "b"), ("stderr", "x"), ("stdout", "c")]
    assert (end.stdout_bytes, end.stderr_bytes) == (6, 2)


def test_a_cancelled_run_has_no_output() -> None:
    cancel = Event()
    cancel.set()
    end = run(ReplayEngine([scripted("a\n")]), SPEC, timeout_s=1, cancel=cancel)
    assert (end.cancelled, end.kill_stage, end.exit_code, end.stdout) == (True, "term", 143, ())


def test_images_are_those_given() -> None:
    engine = ReplayEngine(images={"demo:cpu": {"Id": "sha256:abc"}})
    assert engine.image_id("demo:cpu") == "sha256:abc"
    assert engine.image_id("demo:cuda") is None
    assert engine.inspect_image("demo:cpu") == {"Id": "sha256:abc"}
    with pytest.raises(ArtifactError, match="not present"):
        engine.inspect_image("demo:cuda")


def test_sweeps_are_noted() -> None:
    engine = ReplayEngine()
    engine.leftovers = ("old",)
    assert engine.sweep(labels={"a": "1"}) == ("old",)
    assert engine.sweep(labels={}) == ()
    assert engine.swept == [{"a": "1"}, {}]
