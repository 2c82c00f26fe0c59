"""The engine that a matrix would use, and why there is none."""

from dataclasses import replace

import pytest

from harness.engine.discovery import Discovery, Rejected
from harness.errors import EngineError
from harness.flows.checkup import engine
from harness.flows.checkup.engine import check_engine, looked_up
from harness.values.finding import State
from tests.unit.flows.checkup.conftest import DOCKER


def test_every_place_that_was_looked_at_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Rejected(source="Docker's socket", host="unix:///var/run/docker.sock", reason="no such socket")
    monkeypatch.setattr(engine, "find_engine", lambda _env: None)
    monkeypatch.setattr(engine, "discover", lambda _env: Discovery(endpoint=None, rejected=(place,)))
    with looked_up({}) as (answering, finding):
        assert answering is None
        assert finding.state is State.RED
        assert "Docker's socket (unix:///var/run/docker.sock): no such socket" in finding.found
        assert "./bench matrix installs" in finding.todo


def test_an_engine_that_may_not_be_opened_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_env: object) -> None:
        raise EngineError("you may not open it", where="unix:///x", remedy="Join the group docker.")

    monkeypatch.setattr(engine, "find_engine", refuse)
    with looked_up({}) as (answering, finding):
        assert (answering, finding.state) == (None, State.RED)
        assert finding.found == "unix:///x: you may not open it"
        assert finding.todo == "Join the group docker."


def test_limits_that_an_engine_cannot_set_are_yellow() -> None:
    states = {f.found: f.state for f in check_engine(replace(DOCKER, memory_limit=False, pids_limit=False))}
    assert states["it cannot limit memory"] is State.YELLOW
    assert states["it cannot limit processes"] is State.YELLOW


def test_a_card_is_not_told_by_its_uuid() -> None:
    names = ("nvidia.com/gpu=GPU-5e7b0c2d-0000-4000-8000-000000000001", "nvidia.com/gpu=all")
    (told,) = (f.found for f in check_engine(replace(DOCKER, cdi_devices=names)) if f.check == "engine_devices")
    assert "nvidia.com/gpu=GPU-..., nvidia.com/gpu=all" in told
    assert "5e7b" not in told


def test_runtimes_and_cdi_devices_are_told() -> None:
    told = [f.found for f in check_engine(replace(DOCKER, cdi_devices=("nvidia.com/gpu=0",)))]
    assert told == ["it limits memory and processes", "runtimes: runc; CDI devices: 1 (nvidia.com/gpu=0)"]
