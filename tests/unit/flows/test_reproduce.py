"""A report is measured again from its folder alone, and the numbers are held against each other."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CellsFailedError, InputError
from harness.flows import measure as measure_flow
from harness.flows import prepare as prepare_flow
from harness.flows.merge import MergeRequest, merge
from harness.flows.reproduce import ReproduceRequest, reproduce
from harness.flows.verify import findings_of
from harness.store.reproductions import Conclusion, Reproduction, read_reproductions
from harness.values.facts import Device

STANDARD = """
preset: standard
repetitions: 2
cells:
  - {backend: cpu, model: gemma3-270m-q4_k_m, n_threads: 2, tests: [pp8, tg4]}
"""


@pytest.fixture
def folder(harness: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    have = harness.prepare_model
    monkeypatch.setattr(prepare_flow, "prepare_model", lambda s, **how: replace(have(s, **how), sha256=s.sha256))
    harness.measure(harness.matrix(STANDARD))
    path: Path = harness.workspace.reports / "tiny"
    return path


@pytest.fixture
def again(harness: Any, folder: Path) -> Callable[..., Reproduction]:
    def go(**request: Any) -> Reproduction:
        wanted = ReproduceRequest(folder=str(request.pop("folder", folder)), machine="box2", **request)
        return reproduce(wanted, workspace=harness.workspace)

    return go


def test_the_same_numbers_are_reproduced_counted_and_shown(
    harness: Any, folder: Path, again: Callable[..., Reproduction]
) -> None:
    made = again()
    assert made.conclusion is Conclusion.REPRODUCED
    assert [(cell.cell.split("/")[2], cell.ratio) for cell in made.cells] == [
        ("pp8", pytest.approx(1)),
        ("tg4", pytest.approx(1)),
    ]
    assert (made.first_machine, made.second_machine) == ("box", "box2")
    assert read_reproductions(folder) == (made,)
    report = (folder / "report.md").read_text()
    assert "Reproduced by 1 of 1 attempts" in report
    new = harness.workspace.reports / made.folder
    assert len(list((new / "records").glob("box2.jsonl"))) == 1
    assert findings_of(folder, harness.workspace)[1] == ()
    assert findings_of(new, harness.workspace)[1] == ()


def test_a_second_attempt_is_measured_anew_in_a_folder_of_its_own(
    folder: Path, again: Callable[..., Reproduction]
) -> None:
    first, second = again(), again()
    assert first.folder != second.folder
    assert "Reproduced by 2 of 2 attempts" in (folder / "report.md").read_text()


def test_a_slower_machine_does_not_reproduce(
    harness: Any, folder: Path, again: Callable[..., Reproduction], slower: Callable[[float], None]
) -> None:
    slower(1.10)
    with pytest.raises(CellsFailedError, match="not reproduced") as caught:
        again()
    assert caught.value.exit_code == 1
    (made,) = read_reproductions(folder)
    assert {cell.conclusion for cell in made.cells} == {Conclusion.NOT_REPRODUCED}
    assert made.cells[0].ratio == pytest.approx(1 / 1.1, rel=1e-3)
    assert "Reproduced by 0 of 1 attempts" in (folder / "report.md").read_text()


def test_within_what_days_differ_it_is_reproduced(
    again: Callable[..., Reproduction], slower: Callable[[float], None]
) -> None:
    slower(1.02)
    assert again().conclusion is Conclusion.REPRODUCED


@pytest.fixture
def slower(harness: Any) -> Callable[[float], None]:
    """Makes everything that is measured from now on take this many times as long."""
    import json

    def slow(factor: float) -> None:
        bench = harness.bench

        def play(spec: Any) -> Any:
            ended = bench(spec)
            lines = []
            for line in ended.stdout:
                row = json.loads(line.text)
                row["samples_ns"] = [round(factor * ns) for ns in row["samples_ns"]]
                row["samples_ts"] = [rate / factor for rate in row["samples_ts"]]
                row["avg_ts"] /= factor
                lines.append(replace(line, text=json.dumps(row)))
            return replace(ended, stdout=tuple(lines))

        harness.bench = play

    return slow


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "sha256:" + "e" * 64, "build_number": 11400}, "build: b11312"),
        ({"id": "sha256:" + "e" * 64, "recipe_sha256": "1" * 64}, "image: "),
    ],
)
def test_another_image_is_not_comparable_and_nothing_is_run(
    harness: Any,
    folder: Path,
    again: Callable[..., Reproduction],
    changes: dict[str, Any],
    words: str,
) -> None:
    harness.image = replace(harness.image, **changes)
    with pytest.raises(CellsFailedError, match="not comparable") as caught:
        again()
    # Into the checkout that holds the report: an older one may have neither the report nor the command.
    assert re.search(r"`git checkout [0-9a-f]{12} -- images`", caught.value.remedy)
    (made,) = read_reproductions(folder)
    assert {cell.conclusion for cell in made.cells} == {Conclusion.NOT_COMPARABLE}
    assert made.cells[0].reasons[0].startswith(words)
    assert not (harness.workspace.reports / made.folder).exists()
    assert "not comparable: " + words.split(":", maxsplit=1)[0] in (folder / "report.md").read_text()


def test_another_base_image_is_told_as_that_and_no_checkout_is_advised(
    harness: Any, again: Callable[..., Reproduction], tmp_path: Path
) -> None:
    harness.image = replace(harness.image, recipe_sha256="2" * 64, base="sha256:" + "4" * 64)
    harness.measure(harness.matrix(STANDARD, name="other"))
    changes = {"id": "sha256:" + "e" * 64, "recipe_sha256": "3" * 64, "base": "sha256:" + "5" * 64}
    harness.image = replace(harness.image, **changes)
    with pytest.raises(CellsFailedError, match="not comparable") as caught:
        again(folder=harness.workspace.reports / "other")
    (made,) = read_reproductions(harness.workspace.reports / "other")
    assert made.cells[0].reasons[0].startswith("base image: 444444444444 then, 555555555555 here")
    assert "docker save" in caught.value.remedy
    assert "git checkout" not in caught.value.remedy


def test_records_that_were_not_made_are_not_spoken_of(
    harness: Any, again: Callable[..., Reproduction], capsys: pytest.CaptureFixture[str]
) -> None:
    again()
    assert "new records: " in capsys.readouterr().out
    harness.image = replace(harness.image, id="sha256:" + "e" * 64, build_number=11400)
    with pytest.raises(CellsFailedError):
        again()
    assert "new records" not in capsys.readouterr().out


def test_another_model_and_another_device_are_not_comparable(
    harness: Any, folder: Path, again: Callable[..., Reproduction], monkeypatch: pytest.MonkeyPatch
) -> None:
    have = harness.prepare_model
    monkeypatch.setattr(prepare_flow, "prepare_model", lambda s, **how: replace(have(s, **how), sha256="9" * 64))
    other = Device(vendor="cpu", kind="cpu", name="Another CPU")
    monkeypatch.setattr(measure_flow, "discover_devices", lambda: (other,))
    with pytest.raises(CellsFailedError):
        again()
    (made,) = read_reproductions(folder)
    (device, model) = made.cells[0].reasons
    assert device.startswith("device: ")
    assert model.startswith("model: SHA-256")


def test_the_same_binaries_in_another_image_are_compared_with_a_remark(
    harness: Any, again: Callable[..., Reproduction], tmp_path: Path
) -> None:
    binaries = {"app/llama-bench": "1" * 64}
    harness.image = replace(harness.image, binaries=binaries, recipe_sha256="2" * 64)
    harness.measure(harness.matrix(STANDARD, name="other"))
    harness.image = replace(harness.image, id="sha256:" + "e" * 64, recipe_sha256="3" * 64)
    made = again(folder=harness.workspace.reports / "other")
    assert made.conclusion is Conclusion.REPRODUCED
    assert any("the same programs and libraries byte for byte" in remark for remark in made.remarks)


def test_each_machine_of_a_merged_report_is_reproduced_by_its_own_matrix(
    harness: Any, folder: Path, again: Callable[..., Reproduction]
) -> None:
    own = STANDARD.replace("cells:", "images: {mine: {build: cpu}}\ncells:").replace(
        "{backend: cpu", "{image: mine, backend: cpu"
    )
    harness.measure(harness.matrix(own, name="own"), machine="older")
    harness.measure(harness.matrix(STANDARD, name="newer"), machine="newer")
    merge(MergeRequest(sources=("own", "newer"), out="both"), harness.workspace)
    both = harness.workspace.reports / "both"
    assert "mine" not in (both / "matrix.yaml").read_text()
    made = again(folder=both, of="older")
    assert made.conclusion is Conclusion.REPRODUCED
    assert made.cells[0].cell.startswith("cpu:mine/")


def test_one_record_and_a_glob_choose_cells(folder: Path, again: Callable[..., Reproduction], harness: Any) -> None:
    assert [cell.cell.split("/")[2] for cell in again(only=("*/tg*",)).cells] == ["tg4"]
    record = harness.records()[3].id
    assert len(again(record=record[:16]).cells) == 2
    with pytest.raises(InputError):
        again(record="ffff")
    with pytest.raises(InputError):
        again(only=("nothing*",))
    with pytest.raises(InputError):
        again(of="nobody")


def test_a_changed_report_and_a_screening_one_are_refused(
    harness: Any, folder: Path, again: Callable[..., Reproduction], tiny: str
) -> None:
    harness.measure(harness.matrix(tiny, name="quick"))
    with pytest.raises(CellsFailedError, match="not comparable"):
        again(folder=harness.workspace.reports / "quick")
    assert "screening" in (harness.workspace.reports / "quick/report.md").read_text()
    (path,) = (folder / "records").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"round":1', b'"round":9', 1))
    with pytest.raises(InputError, match="is not as it was measured"):
        again()


def test_an_interrupted_one_is_continued(
    harness: Any, folder: Path, again: Callable[..., Reproduction], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    runs = []

    def seen(spec: Any) -> None:
        runs.append(spec.name)
        if len(runs) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    harness.bench.seen = seen
    from harness.errors import InterruptedByUserError

    with pytest.raises(InterruptedByUserError):
        again()
    assert read_reproductions(folder) == ()
    assert again().conclusion is Conclusion.REPRODUCED
    assert len(runs) == 7
