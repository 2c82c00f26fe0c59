"""A report of more cells than a person reads: what they come to, and nothing of a cell that is not on the page."""

from pathlib import Path

import pytest

from harness.analysis import many
from harness.report import report
from harness.report.page.columns import samples_of

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


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
    assert large.table == small.table
    assert samples_of(large) == samples_of(small)

    monkeypatch.setattr(report, "MOST_ROWS", 1)
    text = report.render_report(GOLDEN / folder)[report.REPORT]
    assert f"{len(small.rows())} results are too many for tables to be read" in text
    assert "more rows" in text
    assert "## Proof" not in text
    assert "## How it was measured" in text
    assert "## Provenance" in text


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
