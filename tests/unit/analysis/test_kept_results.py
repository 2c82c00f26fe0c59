"""What was kept of a machine's results: whole, of the same records, or not used at all."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis import kept_results, many
from harness.analysis.kept_results import ResultShelf, pack, unpack
from harness.analysis.results import read_results
from harness.analysis.table import rows_of
from harness.errors import InputError
from harness.report import report
from harness.report.page import build
from harness.report.page.columns import of_machines
from harness.store.reproductions import Conclusion, Reproduction
from harness.store.sessions import read_sessions

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a report's folder that counts as large."""
    monkeypatch.setattr(many, "LARGE", 1)
    return Path(shutil.copytree(GOLDEN / "two-machines", tmp_path / "two-machines"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The machines whose records were read."""
    found: list[str] = []
    real = many.read_machine

    def noting(store, name, *arguments, **keywords):
        found.append(name)
        return real(store, name, *arguments, **keywords)

    monkeypatch.setattr(many, "read_machine", noting)
    return found


@pytest.mark.parametrize("name", ["complete", "two-machines", "stopped"])
def test_what_is_unpacked_is_what_was_packed_but_for_what_single_cells_show(name: str) -> None:
    machines = read_results(GOLDEN / name)
    page = of_machines(rows_of(name, machines), machines, False)
    found, kept = unpack(pack(machines, page), read_sessions(GOLDEN / name))
    assert kept == page
    for now, was in zip(found, machines, strict=True):
        cells = tuple(
            replace(
                cell,
                observed=(),
                log=None,
                argv=(),
                runs=tuple(replace(run, record="", samples_ns=(), metrics={}) for run in cell.runs),
            )
            for cell in was.cells
        )
        assert now == replace(was, records=(), cells=cells)


def test_a_second_report_reads_no_records_and_is_the_same(folder: Path, read: list[str], tmp_path: Path) -> None:
    first = report.render_report(folder, cache=tmp_path / "cache")
    assert len(read) == 2
    second = report.render_report(folder, cache=tmp_path / "cache")
    assert len(read) == 2
    without = report.render_report(folder)
    assert len(read) == 4
    assert first == second == without


def test_one_more_record_makes_one_machine_new(folder: Path, read: list[str], tmp_path: Path) -> None:
    report.render_report(folder, cache=tmp_path / "cache")
    path = sorted((folder / "records").glob("*.jsonl"))[1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    read.clear()
    fewer = report.render_report(folder, cache=tmp_path / "cache")
    assert read == [path.stem]
    assert fewer == report.render_report(folder)


def test_a_changed_record_is_found_behind_what_was_kept(folder: Path, tmp_path: Path) -> None:
    report.render_report(folder, cache=tmp_path / "cache")
    path = sorted((folder / "records").glob("*.jsonl"))[0]
    path.write_bytes(path.read_bytes().replace(b'"samples_ns":[1', b'"samples_ns":[2', 1))
    with pytest.raises(InputError, match="line 1"):
        report.render_report(folder, cache=tmp_path / "cache")


@pytest.mark.parametrize("what", ["session", "program", "name", "reproductions"])
def test_what_was_kept_of_something_else_is_not_used(
    what: str, folder: Path, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, name = tmp_path / "cache", "one"
    report.read_data(folder, cache=cache, name=name)
    read.clear()
    if what == "session":
        real = many.read_sessions
        monkeypatch.setattr(
            many, "read_sessions", lambda folder: {key: replace(s, seed=s.seed + 1) for key, s in real(folder).items()}
        )
    elif what == "program":
        monkeypatch.setattr(many, "program_sha256", lambda: "another")
    elif what == "name":
        name = "two"
    else:
        found = (reproduction(sorted((folder / "records").glob("*.jsonl"))[0].stem),)
        monkeypatch.setattr(report, "read_reproductions", lambda _folder: found)
    report.read_data(folder, cache=cache, name=name)
    assert len(read) == (1 if what == "reproductions" else 2)


def reproduction(machine: str) -> Reproduction:
    """An attempt at the results of a machine."""
    return Reproduction(
        created_utc="2026-11-01T00:00:00Z", report="two-machines", matrix_sha256="0" * 64, first_machine=machine,
        second_machine="other", first_sessions=(), second_sessions=(), harness_version="1", harness_source=None,
        folder="again", day_sd=0.01, conclusion=Conclusion.REPRODUCED, cells=(),
    )  # fmt: skip


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: b"", lambda d: bytes([d[0] ^ 1]) + d[1:]])
def test_what_was_kept_and_is_damaged_is_made_again(damage, folder: Path, read: list[str], tmp_path: Path) -> None:
    first = report.render_report(folder, cache=tmp_path / "cache")
    for path in (tmp_path / "cache" / "results").iterdir():
        path.write_bytes(damage(path.read_bytes()))
    read.clear()
    assert report.render_report(folder, cache=tmp_path / "cache") == first
    assert len(read) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, no folder")
    files = report.render_report(folder, cache=tmp_path / "cache")
    assert files[report.REPORT] == report.render_report(folder)[report.REPORT]
    assert build.PAGE in files


def test_what_was_not_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="no results that were kept"):
        unpack(b"\x81\xa1a\x01", {})


def test_a_shelf_without_a_folder_keeps_nothing(tmp_path: Path) -> None:
    ResultShelf(None).keep("place", "key", b"packed")
    assert ResultShelf(None).find("place", "key") is None
    ResultShelf(tmp_path / "there").keep("place", "key", b"packed")
    assert ResultShelf(tmp_path / "there").find("place", "key") == b"packed"
    assert ResultShelf(tmp_path / "there").find("place", "other") is None


def test_the_program_is_named_by_what_computes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept_results.program_sha256.cache_clear()
    before = kept_results.program_sha256()
    for part in kept_results._COMPUTES:
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "stats" / "one.py").write_text("1")
    monkeypatch.setattr(kept_results, "_PACKAGE", tmp_path)
    kept_results.program_sha256.cache_clear()
    first = kept_results.program_sha256()
    (tmp_path / "stats" / "one.py").write_text("2")
    kept_results.program_sha256.cache_clear()
    assert len({before, first, kept_results.program_sha256()}) == 3
    kept_results.program_sha256.cache_clear()
