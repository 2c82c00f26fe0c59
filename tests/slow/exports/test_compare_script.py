"""llama.cpp's own scripts/compare-llama-bench.py on our exports: two builds on one machine, figures as recomputed.

It is taken from the source distribution of llama-cpp-python, and runs unmodified in an environment of its own, outside
of any repository. Skipped where pip cannot get one of them.
"""

import subprocess
import sys
import tarfile
import venv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from harness.analysis.results import MachineResults, read_results
from harness.analysis.table import rows_of
from harness.report.exports import FORMATS
from harness.report.exports.compare_script import script_rows
from harness.report.exports.exported import Exported
from harness.store.records import RecordStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
SOURCE = "llama-cpp-python==0.3.36"
SCRIPT = "vendor/llama.cpp/scripts/compare-llama-bench.py"
FIRST, SECOND = "0c1e57098", "1f3a9b2c4"


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The script, and a Python that has what it imports."""
    folder = tmp_path_factory.mktemp("script")
    get = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
    if subprocess.run([*get, "-d", str(folder), SOURCE], check=False, capture_output=True).returncode:
        # Building its metadata needs its build system, which is got where it may be.
        get.remove("--no-build-isolation")
        if subprocess.run([*get, "-d", str(folder), SOURCE], check=False, capture_output=True).returncode:
            pytest.skip(f"pip cannot get the source distribution {SOURCE}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        (member,) = (m for m in tar if m.name.endswith(SCRIPT))
        data = tar.extractfile(member)
        assert data is not None
        path = folder / "compare-llama-bench.py"
        path.write_bytes(data.read())
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    got = subprocess.run(
        [python, "-m", "pip", "install", "-q", "tabulate", "GitPython"], check=False, capture_output=True
    )
    if got.returncode:
        pytest.skip("pip cannot get tabulate and GitPython")
    return path, python


@pytest.fixture(scope="module")
def two_builds() -> Exported:
    """A real report, and the same machine with another build that is 10 % faster."""
    (machine,) = read_results(GOLDEN / "complete")
    assert len(RecordStore(GOLDEN / "complete").read(machine.machine.machine)) == len(machine.records)
    machines = (machine, _faster(machine))
    return Exported(rows=rows_of("two", machines), machines=machines)


def _faster(machine: MachineResults) -> MachineResults:
    return replace(
        machine,
        records=tuple(
            replace(
                record,
                outcomes=tuple(
                    replace(
                        outcome,
                        row={**outcome.row, "build_commit": SECOND, "avg_ts": 1.1 * float(str(outcome.row["avg_ts"]))}
                        if outcome.row
                        else None,
                    )
                    for outcome in record.outcomes
                ),
            )
            for record in machine.records
        ),
    )


def expected(exported: Exported) -> dict[tuple[str, str], tuple[float, float, float]]:
    """By its own formula: unweighted means of `avg_ts` of all runs of a key, and their ratio."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in script_rows(exported):
        test = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
        found[str(row["build_commit"]), str(row["gpu_info"]) + str(row["model_type"]), test].append(
            float(str(row["avg_ts"]))
        )
    means = {}
    for build, model, test in found:
        if build == FIRST:
            first, second = fmean(found[FIRST, model, test]), fmean(found[SECOND, model, test])
            means[model, test] = (first, second, second / first)
    return means


@pytest.mark.parametrize("format_", ["sqlite", "jsonl"])
def test_its_figures_are_ours(script: tuple[Path, Path], two_builds: Exported, tmp_path: Path, format_: str) -> None:
    path, python = script
    file = tmp_path / f"export.{format_}"
    file.write_bytes(FORMATS[format_].write(two_builds))
    tool = ["-t", "llama-bench"] if format_ == "jsonl" else []
    done = subprocess.run(
        [python, path, "-i", file, "-b", FIRST, "-c", SECOND, *tool],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    header, rows = lines[0], lines[2:]
    wanted = expected(two_builds)
    place = {name: header.index(name) for name in ("Test", f"t/s {FIRST}", f"t/s {SECOND}", "Speedup")}
    shown = sorted(
        (row[place["Test"]], row[place[f"t/s {FIRST}"]], row[place[f"t/s {SECOND}"]], row[place["Speedup"]])
        for row in rows
    )
    ours = sorted(
        (test, f"{first:.2f}", f"{second:.2f}", f"{ratio:.2f}") for (_, test), (first, second, ratio) in wanted.items()
    )
    assert shown == ours
