"""A report of more cells than a person reads: what they come to, and nothing of a cell that is not on the page."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import many
from harness.analysis.results import read_results
from harness.analysis.table import read_rows
from harness.errors import InputError
from harness.report import report
from harness.report.page.columns import RUN_TEXTS, TEXTS, columns, joined, samples_of
from harness.store.record_line import canonical
from harness.store.sessions import content_sha256, read_sessions

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def plainly(page: Mapping[str, Any]) -> dict[str, Any]:
    """What a page holds, with each text in its place."""
    texts = page["texts"]
    shown = {name: [texts[i] for i in page["text_columns"][name]] for name in TEXTS}
    runs = page["runs"] | {name: [texts[i] for i in page["runs"][name]] for name in RUN_TEXTS}
    return {**page, "texts": sorted(texts), "text_columns": shown, "runs": runs}


def test_machines_are_read_side_by_side_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    before = report.read_data(GOLDEN / "two-machines")
    monkeypatch.setattr(many, "_PARALLEL_BYTES", 0)
    assert report.read_data(GOLDEN / "two-machines") == before


@pytest.mark.parametrize("folder", ["two-machines", "complete"])
def test_a_large_one_has_the_same_table_and_samples_and_says_what_it_leaves_out(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = report.read_data(GOLDEN / folder)
    monkeypatch.setattr(many, "LARGE", 1)
    large = report.read_data(GOLDEN / folder)
    assert not small.large
    assert large.large
    assert small.page is not None
    assert large.page is not None
    assert plainly(large.page) == plainly(small.page)

    monkeypatch.setattr(report, "MOST_ROWS", 1)
    text = report.render_report(GOLDEN / folder)[report.REPORT]
    assert f"{len(small.rows())} results are too many for tables to be read" in text
    assert "more rows" in text
    assert "## Proof" not in text
    assert "## How it was measured" in text
    assert "## Provenance" in text


def test_with_too_many_runs_the_page_has_no_samples_and_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "LARGE", 1)
    planned = sum(many._planned(read_sessions(GOLDEN / "two-machines").values()).values())
    monkeypatch.setattr(many, "MANY_RUNS", planned)
    assert not report.read_data(GOLDEN / "two-machines").brief
    monkeypatch.setattr(many, "MANY_RUNS", planned - 1)
    data = report.read_data(GOLDEN / "two-machines")
    assert data.brief
    assert data.page is not None
    assert data.page["runs"]["differences_ns"] == []
    text = report.render_report(GOLDEN / "two-machines")[report.REPORT]
    assert "with the values of its runs and its command" in text
    assert "Samples are in the records." in text


def test_a_large_folder_keeps_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    small = report.read_data(GOLDEN / "complete")
    monkeypatch.setattr(many, "LARGE", 1)
    large = report.read_data(GOLDEN / "complete")
    for was, now in zip(small.machines, large.machines, strict=True):
        assert now.records == ()
        assert (now.days, now.waited, now.not_quiet) == (was.days, was.waited, was.not_quiet)
        assert now.sessions == was.sessions
        assert [cell.image for cell in now.cells] == [cell.image for cell in was.cells]
        assert [cell.model for cell in now.cells] == [cell.model for cell in was.cells]


def test_parts_of_a_page_join_to_what_is_made_at_once() -> None:
    rows = read_rows(GOLDEN / "two-machines")
    samples = samples_of(read_results(GOLDEN / "two-machines"))
    at_once, middle = columns(rows, samples), len(rows) // 2
    found = joined([columns(rows[:middle], samples), columns(rows[middle:], samples), columns((), {})])
    assert plainly(found) == plainly(at_once)
    assert joined([at_once]) == at_once
    assert joined([]) == columns((), {})


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the last record, with the hash that belongs to it."""
    path = sorted((folder / "records").glob("*.jsonl"))[0]
    *lines, last = path.read_bytes().splitlines()
    data = json.loads(last)
    change(data)
    del data["id"]
    data["id"] = hashlib.sha256(canonical(data)).hexdigest()
    path.write_bytes(b"\n".join([*lines, canonical(data)]) + b"\n")


def failed(data: dict[str, Any]) -> None:
    data["outcomes"][0]["failure"] = {"phase": "load", "reason": "load", "detail": "", "remedy": ""}


def no_samples(data: dict[str, Any]) -> None:
    data["outcomes"][0]["samples_ns"] = []


def no_row(data: dict[str, Any]) -> None:
    data["outcomes"][0]["row"] = None


@pytest.mark.parametrize("change", [failed, no_samples, no_row])
@pytest.mark.parametrize("large", [1, 10**9])
def test_what_a_small_report_refuses_a_large_one_refuses(
    change: Callable[[dict[str, Any]], None], large: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "LARGE", large)
    folder = Path(shutil.copytree(GOLDEN / "complete", tmp_path / "complete"))
    rewritten(folder, change)
    with pytest.raises(InputError, match=r"line 28: \$"):
        report.read_data(folder)


def test_a_number_that_cannot_be_kept_is_named_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "LARGE", 1)
    folder = Path(shutil.copytree(GOLDEN / "complete", tmp_path / "complete"))
    (path,) = (folder / "sessions").glob("*.json")
    data = {**json.loads(path.read_text()), "rounds": 2**70}
    path.write_text(json.dumps({**data, "content_sha256": content_sha256(data)}))
    with pytest.raises(InputError, match="more than 64 bits"):
        report.read_data(folder)


def test_a_test_without_tokens_is_told_without_a_traceback(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "complete", tmp_path / "complete"))
    (path,) = (folder / "sessions").glob("*.json")
    data = json.loads(path.read_text())
    for cell in data["cells"]:
        cell["test"] |= {"n_prompt": 0, "n_gen": 0}
    path.write_text(json.dumps({**data, "content_sha256": content_sha256(data)}))
    with pytest.raises(InputError, match="of 0 tokens have no value"):
        report.read_data(folder)


def test_settings_are_shown_the_same_whatever_was_shown_before() -> None:
    row = read_rows(GOLDEN / "complete")[0]
    rows = [replace(row, params={"no_kv_offload": value}) for value in (True, 1, 1.0)]
    for order in (rows, rows[::-1]):
        found = columns(order, {})
        shown = [found["texts"][place] for place in found["text_columns"]["settings"]]
        assert shown == [f"nkvo {one.params['no_kv_offload']}" for one in order]
