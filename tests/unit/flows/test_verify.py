"""A folder as the harness writes it is verified; whatever is changed in it is found, with the place."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.audit.lines import read_line
from harness.errors import CellsFailedError, InputError
from harness.flows import prepare as prepare_flow
from harness.flows.verify import findings_of, verify
from harness.flows.workspace import CHECKOUT, Workspace
from harness.report.report import write_report
from harness.store.record_line import canonical

Made = tuple[Path, Workspace]


@pytest.fixture
def made(harness: Any, tiny: str, monkeypatch: pytest.MonkeyPatch) -> Made:
    have = harness.prepare_model
    monkeypatch.setattr(prepare_flow, "prepare_model", lambda s, **how: replace(have(s, **how), sha256=s.sha256))
    harness.measure(harness.matrix(tiny))
    return harness.workspace.reports / "tiny", harness.workspace


def said(made: Made) -> list[str]:
    return [str(finding) for finding in findings_of(*made)[1]]


def the(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def change_record(folder: Path, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    """As somebody who knows the format changes a record: id, journal and report fit again."""
    path = the(folder, "records/*.jsonl")
    lines = path.read_bytes().splitlines()
    data = json.loads(lines[number])
    old = data.pop("id")
    change(data)
    new = hashlib.sha256(canonical(data)).hexdigest()
    lines[number] = canonical({**data, "id": new})
    path.write_bytes(b"\n".join(lines) + b"\n")
    journal = the(folder, "journal/*.jsonl")
    journal.write_text(journal.read_text().replace(old, new))


def test_what_the_harness_wrote_is_verified(made: Made) -> None:
    assert said(made) == []


def test_the_demo_that_is_shipped_is_verified() -> None:
    verify(str(CHECKOUT / "reports/demo"))


@pytest.mark.parametrize("again", ["", ".reproduction-2"])
def test_a_copy_under_another_name_is_still_what_was_measured(made: Made, again: str) -> None:
    folder, workspace = made
    copied = folder.rename(folder.with_name(f"{folder.name}{again}"))
    write_report(copied)
    elsewhere = shutil.copytree(copied, folder.with_name("copied elsewhere"))
    assert said((elsewhere, workspace)) == []
    report = elsewhere / "report.md"
    report.write_text(report.read_text().replace(f"reports/{copied.name}", "reports/something-else"))
    assert any("reports/something-else" in finding for finding in said((elsewhere, workspace)))


def test_a_number_in_a_table_is_found_with_its_line_and_both_values(made: Made) -> None:
    report = made[0] / "report.md"
    lines = report.read_text().split("\n")
    (number,) = [n for n, line in enumerate(lines) if "| tg4" in line and "Gemma" in line][:1]
    shown = re.findall(r"[\d.]{3,}", lines[number].split("|")[6])[0]
    lines[number] = lines[number].replace(shown, "9" + shown[1:] if shown[0] != "9" else "8" + shown[1:])
    report.write_text("\n".join(lines))
    (finding,) = said(made)
    assert finding.startswith(f"report.md, line {number + 1}: says ")
    assert shown in finding


def test_a_removed_record_is_found(made: Made) -> None:
    path = the(made[0], "records/*.jsonl")
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert any("was written, and is not among the records" in finding for finding in said(made))


def test_an_invented_record_is_found(made: Made) -> None:
    path = the(made[0], "records/*.jsonl")
    line = json.loads(path.read_bytes().splitlines()[1])
    del line["id"]
    line["run"]["attempt"] = 2
    path.write_bytes(path.read_bytes() + canonical({**line, "id": hashlib.sha256(canonical(line)).hexdigest()}) + b"\n")
    assert any("no container was announced for round 1, attempt 2" in finding for finding in said(made))


def test_a_changed_sample_is_found_even_if_the_id_is_made_to_fit(made: Made) -> None:
    change_record(made[0], 1, lambda data: data["outcomes"][0]["samples_ns"].__setitem__(1, 5))
    found = said(made)
    assert any("line 2: outcomes[0]" in finding and "not those of the row" in finding for finding in found)


def test_a_changed_sample_and_row_are_found_by_the_rates(made: Made) -> None:
    def change(data: dict[str, Any]) -> None:
        outcome = data["outcomes"][0]
        outcome["samples_ns"] = outcome["row"]["samples_ns"] = [1000] * len(outcome["samples_ns"])

    change_record(made[0], 1, change)
    assert any("follows from the samples" in finding for finding in said(made))


def test_another_model_hash_is_found_in_the_record_and_in_the_session(made: Made) -> None:
    folder, _ = made
    change_record(folder, 1, lambda data: data.__setitem__("model_sha256", "e" * 64))
    assert any(f"line 2: model_sha256 {'e' * 64} is not the one of its session" in finding for finding in said(made))
    session = the(folder, "sessions/*.json")
    sha256 = json.loads(session.read_text())["models"][0]["sha256"]
    session.write_text(session.read_text().replace(sha256, "e" * 64))
    assert any("sessions/" in f and "its content is not what its hash says" in f for f in said(made))


def test_a_session_whose_hash_was_made_to_fit_no_longer_fits_its_records(made: Made) -> None:
    path = the(made[0], "sessions/*.json")
    data = json.loads(path.read_text())
    data["machine"]["kernel"] = "another"
    del data["content_sha256"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data["content_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    assert any("was changed since: its hash is not the one of the record" in finding for finding in said(made))


def test_the_model_that_the_registry_promises_is_held_against_the_session(made: Made) -> None:
    # As somebody who can make every hash of the folder fit.
    path = the(made[0], "sessions/*.json")
    sha256 = json.loads(path.read_text())["models"][0]["sha256"]
    data = json.loads(path.read_text().replace(sha256, "e" * 64))
    del data["content_sha256"]
    body = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data["content_sha256"] = hashlib.sha256(body.encode()).hexdigest()
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    for number in (0, 1):
        change_record(
            made[0],
            number,
            lambda record: record.update(model_sha256="e" * 64, session_sha256=data["content_sha256"]),
        )
    found = [finding for finding in said(made) if not finding.startswith(("report.md", "index.html"))]
    assert [f"and {sha256} is promised" in finding for finding in found] == [True]


def test_another_matrix_file_and_a_missing_journal_are_found(made: Made) -> None:
    folder, _ = made
    (folder / "matrix.yaml").write_text("cells: []\n")
    the(folder, "journal/*.jsonl").unlink()
    found = said(made)
    assert any(finding.startswith("matrix.yaml: has SHA-256") for finding in found)
    assert any("is missing, so that it cannot be seen" in finding for finding in found)


def test_simulated_results_in_a_real_folder_are_found(harness: Any, tiny: str) -> None:
    harness.image = replace(harness.image, simulated=True)
    harness.measure(harness.matrix(tiny))
    (records,) = harness.workspace.reports.rglob("records")
    target = harness.workspace.reports / "moved"
    shutil.copytree(records.parent, target)
    assert any("simulated and real results are in one folder" in f for f in said((target, harness.workspace)))


def test_the_exit_codes(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    folder, workspace = made
    verify(str(folder), workspace=workspace)
    (folder / "report.md").write_text("nothing\n")
    with pytest.raises(CellsFailedError) as caught:
        verify(str(folder), as_json=True, workspace=workspace)
    assert caught.value.exit_code == 1
    told = capsys.readouterr().out
    answer = json.loads(told[told.index("{") :])
    assert (answer["ok"], answer["records"]) == (False, 2)
    assert answer["findings"][0]["where"].startswith("report.md, line 1")
    with pytest.raises(InputError):
        verify(str(folder / "nowhere"), workspace=workspace)


def test_every_byte_of_a_record_counts(made: Made) -> None:
    line = the(made[0], "records/*.jsonl").read_bytes().splitlines()[1]

    def problem(data: bytes) -> str:
        return read_line(data, where="x", machine="box", number=1).problem

    assert problem(line) == ""
    for place in range(len(line)):
        changed = bytearray(line)
        changed[place] ^= 1
        assert problem(bytes(changed)), (place, line[place : place + 20])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_byte_of_the_folder_is_found(made: Made, data: st.DataObject) -> None:
    folder, _ = made
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    path = data.draw(st.sampled_from(paths))
    before = path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != before[place]))
    try:
        path.write_bytes(before[:place] + bytes([byte]) + before[place + 1 :])
        found = said(made)
        # The journal has no hash of its own: times and names in it can be changed unseen, records cannot.
        assert found or path.parent.name == "journal", (path, place)
    finally:
        path.write_bytes(before)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_number_changed_in_a_record_is_found(made: Made, data: st.DataObject) -> None:
    path = the(made[0], "records/*.jsonl")
    before = path.read_bytes()
    numbers = list(re.finditer(rb"(?<=[:\[,])\d+(?=[,\]}])", before))
    match = data.draw(st.sampled_from(numbers))
    other = data.draw(st.integers(0, 10**12).filter(lambda value: value != int(match[0])))
    try:
        path.write_bytes(before[: match.start()] + str(other).encode() + before[match.end() :])
        assert any(finding.startswith("records/") for finding in said(made))
    finally:
        path.write_bytes(before)
