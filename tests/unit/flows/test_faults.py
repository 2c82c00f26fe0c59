"""Faults of the world around a campaign: what they must not do to its records."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.engine.replay import scripted
from harness.errors import EngineError, MachineError
from harness.flows import run_once
from harness.flows.prepare import Prepared
from harness.flows.run_once import model_identities
from harness.values.cell import Test
from harness.values.failure import Phase, Reason
from harness.values.measurement import LATENCY, QUALITY
from tests.unit.flows.conftest import IMAGE


def rewrite(path: Path) -> None:
    """Other bytes of the same length, at the same place."""
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(1, 1))


def exchange(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(path.read_bytes())
    new.replace(path)


@pytest.fixture
def on_disk(campaigning, pp, tmp_path: Path):
    """A campaign whose model is a file, and that file."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF weights")
    made = campaigning(cells=(pp(8),), rounds=2)
    model = replace(made.prepared.models["gemma"], path=path)
    made.prepared = Prepared(
        targets=made.prepared.targets, images=made.prepared.images, models={**made.prepared.models, "gemma": model}
    )
    made.identities = model_identities(made.prepared)
    return made, path


@pytest.mark.parametrize("change", [rewrite, exchange, Path.unlink])
@pytest.mark.parametrize("during", [False, True])
def test_a_model_that_is_exchanged_while_its_matrix_is_measured_gives_no_numbers(
    on_disk, change: Callable[[Path], object], during: bool
) -> None:
    made, path = on_disk
    done = False

    def act(*_: object) -> None:
        nonlocal done
        if not done and made.records:
            done = True
            change(path)

    if during:
        made.bench.seen = act
        made.go()
    else:
        made.go(on_record=act)
    first, *others = made.records
    assert first.outcomes[0].ok
    assert len(others) == 2
    for record in others:
        failure = record.outcomes[0].failure
        assert failure is not None
        assert (failure.phase, failure.reason) == (Phase.PREPARE, Reason.MODEL)
        assert "model.gguf" in failure.detail
        assert str(path.parent) not in failure.detail
        assert record.outcomes[0].samples_ns == ()
    # The next start verifies the file anew and makes the rounds again.
    path.write_bytes(b"GGUF weights")
    made.identities = model_identities(made.prepared)
    made.go()
    assert made.reasons(round_=1) == {made.cells[0].id: ["model", "ok"]}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"beside": ("other",)}, ["model"]),
        ({"test": Test(n_prompt=8, n_gen=4, measurement=LATENCY, draft="other")}, ["model"]),
        # Of the base its runs read the logits, which were made of the file that was checked.
        ({"test": Test(n_prompt=8, measurement=QUALITY, against="other")}, ["missing_rows"]),
    ],
)
def test_the_files_of_all_models_that_a_run_reads_are_watched(
    on_disk, make_cell, tmp_path: Path, changes: dict[str, Any], reasons: list[str]
) -> None:
    made, _ = on_disk
    path = tmp_path / "other.gguf"
    path.write_bytes(b"GGUF other weights")
    options = ("-m", "-md", "-dev", "-ngl", "-b", "-ub", "-ctk", "-ctv", "-t", "-lm", "-c", "-f", "--host", "--metrics")
    flags = dict.fromkeys(options, "N") | {"-fa": "[on|off|auto]"}
    image = replace(IMAGE, programs={"llama-server": flags, "llama-perplexity": flags})
    models = {**made.prepared.models, "other": replace(made.prepared.models["other"], path=path)}
    made.cells, made.rounds = (make_cell(**{"test": Test(n_prompt=8), **changes}),), 0
    made.prepared = replace(made.prepared, images={"cpu": image}, models=models)
    made.identities = model_identities(made.prepared)
    made.bench.ends.append(scripted())
    rewrite(path)
    made.go()
    assert made.reasons() == {made.cells[0].id: reasons}
    failure = made.records[0].outcomes[0].failure
    assert failure is not None
    assert ("model other: other.gguf" in failure.detail) == (reasons == ["model"])


def test_a_model_that_is_exchanged_during_a_run_leaves_no_series(on_disk, monkeypatch: pytest.MonkeyPatch) -> None:
    made, path = on_disk
    monkeypatch.setattr(run_once, "explained", lambda outcome, _: replace(outcome, series={"ttft_ns": (1, 2)}))
    made.bench.seen = lambda _: path.unlink(missing_ok=True)
    made.go()
    outcome = made.records[0].outcomes[0]
    assert outcome.failure is not None
    assert (outcome.samples_ns, outcome.series) == ((), {})


def test_durations_do_not_follow_a_wall_clock_that_steps_back(campaigning, pp, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def backwards() -> str:
        nonlocal now
        now -= timedelta(hours=1)
        return now.isoformat()

    monkeypatch.setattr(run_once, "utc_now", backwards)
    made = campaigning(cells=(pp(8),), rounds=2)
    made.go()
    assert all(record.ended_utc < record.started_utc for record in made.records)
    assert all(0 <= record.duration_ns < 60e9 for record in made.records)
    assert made.reasons() == {made.cells[0].id: ["ok"] * 3}


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_fetched_or_started(
    harness: Any, tiny: str
) -> None:
    harness.workspace.reports.write_text("a file where the folder should be")
    with pytest.raises(MachineError) as caught:
        harness.measure(harness.matrix(tiny))
    assert caught.value.exit_code == 3
    assert caught.value.remedy
    assert (harness.had, harness.started) == ([], [])


def test_without_an_engine_there_is_one_message_and_nothing_is_recorded(harness: Any, tiny: str) -> None:
    harness.no_engine = EngineError("the container engine does not answer", remedy="Start it.")
    with pytest.raises(EngineError) as caught:
        harness.measure(harness.matrix(tiny))
    assert caught.value.exit_code == 3
    assert not (harness.workspace.reports / "tiny/records").exists()
    assert harness.had == []
    harness.no_engine = None
    harness.measure(harness.matrix(tiny))
    assert len(harness.records()) == 2
