"""Whole reports from real records, byte for byte; and their numbers, recomputed by the script of docs/records.md."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.analysis.results import read_results
from harness.report.report import write_report
from harness.store.records import RecordStore

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES)
def test_the_report_is_the_golden_one(tmp_path: Path, case: str) -> None:
    folder = tmp_path / case
    shutil.copytree(GOLDEN / case, folder)
    (folder / "report.md").unlink(missing_ok=True)
    report = write_report(folder)
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.copy(report, GOLDEN / case / "report.md")
        shutil.rmtree(GOLDEN / case / "charts", ignore_errors=True)
        if (folder / "charts").is_dir():
            shutil.copytree(folder / "charts", GOLDEN / case / "charts")
    assert report.read_text() == (GOLDEN / case / "report.md").read_text()
    charts = {path.name: path.read_text() for path in (folder / "charts").glob("*")}
    assert charts == {path.name: path.read_text() for path in (GOLDEN / case / "charts").glob("*")}


def test_charts_that_the_report_no_longer_shows_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "complete"
    shutil.copytree(GOLDEN / "complete", folder)
    (folder / "charts").mkdir()
    (folder / "charts" / "memory-9.svg").write_text("of another day")
    write_report(folder)
    assert list((folder / "charts").iterdir()) == []


def test_writing_it_again_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "complete"
    shutil.copytree(GOLDEN / "complete", folder)
    write_report(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_report(folder)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_reading_a_torn_file_does_not_repair_it() -> None:
    # A report can be written from a folder that belongs to somebody else.
    (path,) = (GOLDEN / "stopped" / "records").glob("*.jsonl")
    before = path.read_bytes()
    assert len(RecordStore(GOLDEN / "stopped").read(path.stem)) == 10
    assert path.read_bytes() == before


def shown(report: str, test: str, backend: str, model: str) -> list[str]:
    """The rates of the rows with this test, backend (with its label) and model."""
    found = []
    for line in report.splitlines():
        cells = [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in line.split(" | ")]
        if [model, test, backend] == [cell.strip("| ") for cell in cells[:3]]:
            found.append(cells[5])
    return found


def test_every_number_can_be_recomputed_by_the_script_of_the_docs(tmp_path: Path) -> None:
    folder = GOLDEN / "complete"
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "records.md").read_text(), re.DOTALL)
    assert len(script.splitlines()) <= 13
    (tmp_path / "recompute.py").write_text(script)
    report = (folder / "report.md").read_text()
    (results,) = read_results(folder)
    for result in results.cells:
        records = folder / "records" / f"{results.machine.machine}.jsonl"
        command = [sys.executable, "-I", "-X", "dev", "-W", "ignore", "recompute.py", str(records), result.cell.id]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        rate, words = re.fullmatch(r"(\S+) tokens/s (.*)\n", done.stdout).groups()  # type: ignore[union-attr] # it matches, or the test fails
        assert words == "in 6 rounds"
        backend = {"cpu": "CPU", "vulkan": "Vulkan"}[result.cell.backend]
        backend += f" #{result.cell.label}" if result.cell.label else ""
        assert result.model is not None
        (text,) = shown(report, result.cell.test.name, backend, result.model.title)
        value = text.split()[0]
        decimals = len(value.partition(".")[2])
        # Tens are shown where the interval is that wide.
        step = 10.0**-decimals if decimals else 10.0 ** (len(value) - len(value.rstrip("0")))
        assert abs(float(rate) - float(value)) <= 0.5001 * step, (result.cell.id, rate, text)
