"""Only what became stale is measured again; what is not is kept, and the report says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ArtifactError, CellsFailedError
from harness.flows import measure as measure_flow
from harness.flows.verify import findings_of
from harness.values.facts import Device
from harness.values.failure import Reason

TWO = """
preset: quick
repetitions: 2
images: {other: {ref: "example.org/llama:full"}}
cells:
  - {backend: cpu, model: gemma3-270m-q4_k_m, n_threads: 2, tests: [pp8]}
  - {backend: cpu, image: other, model: gemma3-270m-q4_k_m, n_threads: 2, tests: [tg4]}
"""


def report(harness: Any) -> str:
    folder: Path = harness.workspace.reports / "tiny"
    return (folder / "report.md").read_text()


def change_one_image(harness: Any, name: str, **changes: Any) -> None:
    before = harness._have

    def have(what: str, found: Any) -> Any:
        found = before(what, found)
        return replace(found, **changes) if what == f"image {name}" else found

    harness._have = have


def test_nothing_is_stale_right_after_measuring(harness: Any) -> None:
    file = harness.matrix(TWO)
    harness.measure(file)
    before = harness.records()
    harness.measure(file, only_stale=True)
    assert any("nothing that was measured is stale" in line for line in harness.lines)
    assert harness.records() == before


def test_only_the_cells_of_the_new_image_are_run_again(harness: Any) -> None:
    file = harness.matrix(TWO)
    harness.measure(file)
    before = harness.records()
    change_one_image(harness, "other", id="sha256:" + "e" * 64)
    harness.measure(file, only_stale=True)
    new = harness.records()[len(before) :]
    assert [[cell.test.name for cell in record.run.cells] for record in new] == [["tg4"], ["tg4"]]
    (told,) = [line for line in harness.lines if line.startswith("stale: ")]
    assert "image: b11312 (bbbbbbbbbbbb) then, b11312 (eeeeeeeeeeee) now" in told
    text = report(harness)
    assert "## Superseded" in text
    assert "measured only such cells again (--only-stale) and kept the rest" in text
    assert "Partial" not in text
    folder = harness.workspace.reports / "tiny"
    assert [f for f in findings_of(folder, harness.workspace)[1] if "is promised" not in f.what] == []


def test_what_was_never_measured_waits(harness: Any) -> None:
    file = harness.matrix(TWO)
    harness.measure(file, only=("*/pp8*",))
    harness.measure(file, only_stale=True)
    assert [cell.test.name for record in harness.records() for cell in record.run.cells] == ["pp8", "pp8"]


def test_what_cannot_be_had_today_keeps_its_numbers(harness: Any) -> None:
    file = harness.matrix(TWO)
    harness.measure(file)
    harness.missing["image other"] = ArtifactError("is gone", reason=Reason.IMAGE)
    change_one_image(harness, "cpu", id="sha256:" + "e" * 64)
    harness.measure(file, only_stale=True)
    text = report(harness)
    assert "Without a result" not in text
    assert "| tg4" in text


@pytest.mark.parametrize("kept", [True, False])
def test_another_driver_is_another_key_and_none_is_as_before(
    harness: Any, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    device = Device(vendor="cpu", kind="cpu", name="CPU", driver="1.0")
    monkeypatch.setattr(measure_flow, "discover_devices", lambda: (device,))
    file = harness.matrix(TWO)
    harness.measure(file)
    count = len(harness.records())
    newer = replace(device, driver="1.0" if kept else "2.0")
    monkeypatch.setattr(measure_flow, "discover_devices", lambda: (newer,))
    harness.measure(file, only_stale=True)
    assert len(harness.records()) == (count if kept else 2 * count)
    if not kept:
        assert any("driver: 1.0 then, 2.0 now" in line for line in harness.lines)


def test_a_cell_that_only_ever_failed_is_not_stale(harness: Any) -> None:
    harness.bench.kills = {"tg4": {"exit_code": 1, "log": "error: failed to load model"}}
    file = harness.matrix(TWO)
    with pytest.raises(CellsFailedError):
        harness.measure(file)
    count = len(harness.records())
    change_one_image(harness, "other", id="sha256:" + "e" * 64)
    harness.measure(file, only_stale=True)
    assert len(harness.records()) == count
