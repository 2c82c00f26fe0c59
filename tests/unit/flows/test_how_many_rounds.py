"""`until` and `--budget` through the whole main job."""

from types import SimpleNamespace

import pytest

from harness.analysis.results import read_results
from harness.errors import InputError
from harness.flows import strategy
from harness.store.sessions import read_sessions


def text(tiny: str, **changes: str) -> str:
    return tiny.replace("preset: quick", "\n".join(f"{key}: {value}" for key, value in changes.items()))


def test_until_stops_when_the_intervals_are_narrow(harness, tiny: str) -> None:
    harness.measure(harness.matrix(text(tiny, until="1%")))
    assert [record.run.round for record in harness.records()] == list(range(9))
    folder = harness.workspace.reports / "tiny"
    (session,) = read_sessions(folder).values()
    assert (session.until, session.rounds) == (0.01, 20)
    (machine,) = read_results(folder)
    assert all(cell.complete and cell.rounds_planned == 8 for cell in machine.cells)
    report = (folder / "report.md").read_text()
    assert "until ±1 %, 8 to 20 x 2" in report
    assert "98.1 %" in report
    assert any("after round 8 the widest interval is ±0 %" in line for line in harness.lines)


def test_until_has_nothing_left_once_it_is_reached(harness, tiny: str) -> None:
    file = harness.matrix(text(tiny, until="1%"))
    harness.measure(file)
    harness.measure(file)
    assert harness.started == []
    assert any("everything is measured already" in line for line in harness.lines)


@pytest.fixture
def _a_second_each(harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each container that is played seems to take a second."""
    now = 0.0

    def seen(_spec: object) -> None:
        nonlocal now
        now += 1.0

    harness.bench.seen = seen
    monkeypatch.setattr(strategy, "time", SimpleNamespace(monotonic=lambda: now))


@pytest.mark.usefixtures("_a_second_each")
def test_a_budget_that_is_too_small_is_refused_with_what_would_fit(harness, tiny: str) -> None:
    with pytest.raises(InputError, match=r"6 rounds of about 1 s do not fit into 0.0667 minutes; 2 would fit"):
        harness.measure(harness.matrix(text(tiny, preset="standard")), budget_s=4.0)
    assert [record.run.round for record in harness.records()] == [0]


@pytest.mark.usefixtures("_a_second_each")
def test_a_budget_adds_rounds_to_those_of_the_preset(harness, tiny: str) -> None:
    file = harness.matrix(text(tiny, preset="standard"))
    harness.measure(file, budget_s=11.0)
    assert max(record.run.round for record in harness.records()) == 9
    (machine,) = read_results(harness.workspace.reports / "tiny")
    assert all(cell.complete for cell in machine.cells)
