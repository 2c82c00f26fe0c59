"""Imported rows keep their source, and nobody changes them unnoticed."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.groups import groups_of
from harness.analysis.imported import imported_rows
from harness.analysis.table import read_rows
from harness.errors import InputError
from harness.flows.import_results import ImportRequest, import_results
from harness.flows.workspace import Workspace
from harness.report.data import ReportData
from harness.report.sections import imported as section
from harness.report.writers.markdown import write
from harness.store.imports import ImportedRow, read_import, read_imports, write_imports
from harness.store.merge import merge_parts
from harness.store.sources import find_parts
from harness.values.foreign import ForeignRow
from harness.values.result_row import Trust

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
ROW = ImportedRow(
    source="https://example.org/1",
    text_sha256="a" * 64,
    row=ForeignRow(
        program="llama-bench",
        form="markdown",
        line=7,
        model="llama 7B Q4_0",
        device="Some GPU",
        backend="Vulkan",
        metric="tg",
        n_gen=128,
        tokens_per_s=131.42,
        deviation=0.59,
        params={"flash_attn": "1"},
    ),
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folders = {name: tmp_path / name for name in ("matrices", "images", "reports", "cache", "state")}
    return Workspace(cwd=tmp_path, **folders)


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_imports(tmp_path, [ROW])
    write_imports(tmp_path, [ROW])
    (found,) = read_imports(tmp_path)
    assert replace(found, id="") == ROW


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "https://example.org/2"}, "changed"),
        ({"version": 2}, "update the harness"),
        ({"schema": "x"}, "no imported result"),
        ({"surprise": 1}, "unknown field"),
    ],
)
def test_what_was_changed_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = write_imports(tmp_path, [ROW])
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}) + "\n")
    with pytest.raises(InputError, match=said):
        read_import(path)


def test_they_are_rows_of_the_table_and_never_ranked() -> None:
    (row,) = imported_rows("demo", [replace(ROW, id="x")])
    assert row.trust is Trust.IMPORTED
    assert not row.rankable
    assert row.why_not.startswith("imported")
    assert row.source == "https://example.org/1, line 7 (llama-bench)"
    assert (row.value, row.backend, row.test) == (131.42, "vulkan", "tg128")
    assert groups_of([row]) == ()


def test_a_folder_of_imported_rows_alone_has_a_table(tmp_path: Path) -> None:
    write_imports(tmp_path, [ROW])
    assert [row.trust for row in read_rows(tmp_path)] == [Trust.IMPORTED]


def test_merging_keeps_them_with_their_source(tmp_path: Path) -> None:
    write_imports(tmp_path / "a", [ROW])
    (tmp_path / "w").mkdir()
    parts = [*find_parts(tmp_path / "a", tmp_path / "w"), *find_parts(GOLDEN / "complete", tmp_path / "w")]
    merged = merge_parts([*parts, *parts], tmp_path / "out")
    assert (merged.imported, merged.records) == (1, 28)
    assert read_imports(tmp_path / "out") == read_imports(tmp_path / "a")
    assert read_rows(tmp_path / "out")[-1].source.startswith("https://example.org/1")


def test_the_task_imports_or_says_why_not(tmp_path: Path, workspace: Workspace) -> None:
    good, bad = tmp_path / "good.md", tmp_path / "bad.log"
    good.write_text("| model | test | t/s |\n|---|---|---|\n| m | tg128 | 10.00 ± 0.10 |\n")
    bad.write_text("nothing\n")
    request = ImportRequest(file="good.md", out="board", device="My card")
    assert import_results(request, workspace) == 1
    assert "My card" in (workspace.reports / "board" / "report.md").read_text()
    with pytest.raises(InputError, match="no result of a program"):
        import_results(replace(request, file="bad.log"), workspace)
    with pytest.raises(InputError, match="cannot be read"):
        import_results(replace(request, file="gone"), workspace)


HOSTILE = st.text(max_size=40) | st.sampled_from(
    ["a|b", "<script>alert(1)</script>", "[x](javascript:alert(1))", "\n# x"]
)


@given(text=HOSTILE)
@settings(max_examples=100, deadline=None)
def test_texts_of_strangers_stay_in_their_cells(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    row = replace(ROW, id="x", source=text, device=text, row=replace(ROW.row, model=text, backend=text))
    data = ReportData(name="demo", machines=(), imported=imported_rows("demo", [row]))
    lines = [line for line in write(section.render(data)).splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert len({_columns(line) for line in lines}) == 1
    assert not re.search(r"(?<!\\)<", lines[-1])


def _columns(line: str) -> int:
    return line.replace("\\\\", "").replace("\\|", "").count("|")
