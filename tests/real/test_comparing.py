"""Comparing and reproducing on real containers and real llama.cpp: a real A/A over ten rounds, and a report made again.

What came out is no matter of a test; that it follows from the samples is.
"""

import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine.discovery import find_engine

pytestmark = [pytest.mark.engine, pytest.mark.real, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 10
T_OF_NINE_DEGREES = 2.262157
TINY = """
models:
  tiny:
    synthetic: {architecture: llama, n_layers: 2, n_embd: 256, n_ff: 512, n_heads: 4, n_kv_heads: 4, n_vocab: 1024,
                n_ctx: 512, quantization: Q4_0, seed: 3}
"""
CONTROL = f"""
preset: rigorous
rounds: {ROUNDS}
repetitions: 4
cells:
  - {{backend: cpu, model: tiny, tests: [tg32], n_threads: 1, label: [a, b]}}
{TINY}"""
SMALL = f"""
preset: standard
rounds: 6
repetitions: 3
cells:
  - {{backend: cpu, model: tiny, tests: [pp32, tg16], n_threads: 1}}
{TINY}"""


def invoke(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A task of the harness, with reports and lock in `folder`."""
    own = {**os.environ, "BENCH_REPORTS": str(folder / "reports"), "BENCH_LOCK_DIR": str(folder), **environment}
    command = [sys.executable, "-m", "invoke", *arguments]
    return subprocess.run(command, cwd=ROOT, env=own, text=True, capture_output=True, check=False, timeout=800)


@pytest.fixture(autouse=True)
def _engine() -> None:
    if find_engine(os.environ) is None:
        assert not os.environ.get("BENCH_TEST_ENGINE"), "an engine was promised"
        pytest.skip("no container engine answers")


def measure(folder: Path, matrix: str) -> Path:
    """The report's folder of a matrix that was measured."""
    (folder / "pair.yaml").write_text(matrix)
    done = invoke(folder, "matrix", "--file", str(folder / "pair.yaml"), "--gate-wait", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "reports/pair"


def lines_of(report: Path) -> list[dict]:
    return [json.loads(line) for path in (report / "records").glob("*.jsonl") for line in path.read_text().splitlines()]


def run_values(report: Path, label: str) -> dict[int, float]:
    """Median time of the counted repetitions by round, straight from the samples."""
    values = {}
    for record in lines_of(report):
        (cell,) = record["run"]["cells"]
        if cell["label"] == label and record["run"]["round"] and not record["invalid"]:
            values[record["run"]["round"]] = statistics.median(record["outcomes"][0]["samples_ns"][1:])
    return values


def test_a_thing_against_itself_over_ten_rounds(tmp_path: Path) -> None:
    report = measure(tmp_path, CONTROL)
    first, second = run_values(report, "a"), run_values(report, "b")
    assert sorted(first) == sorted(second) == list(range(1, ROUNDS + 1))
    for round_ in range(1, ROUNDS + 1):
        orders = [r["run"]["order"] for r in lines_of(report) if r["run"]["round"] == round_]
        assert len(set(orders)) == len(orders) >= 2, "both arms ran in every round, each in its place"
    logs = [math.log(first[round_] / second[round_]) for round_ in first]
    middle = statistics.fmean(logs)
    half = T_OF_NINE_DEGREES * statistics.stdev(logs) / math.sqrt(ROUNDS)

    said = invoke(tmp_path, "compare", "--report", "pair", "--json")
    (compared,) = json.loads(said.stdout)["comparisons"]
    assert compared["rounds"] == ROUNDS
    ends = [compared["low"], compared["ratio"], compared["high"]]
    assert ends == pytest.approx([math.exp(middle - half), math.exp(middle), math.exp(middle + half)], rel=1e-6)

    (row,) = [
        line
        for line in (report / "report.md").read_text().splitlines()
        if re.match(r"\| \S+ +\| cpu/tiny.* and #b", line)
    ]
    assert [cell.strip() for cell in row.split("|")][3:5] == [str(ROUNDS), compared["words"]]
    low, _, high = ends
    if low <= 1 <= high and high / low > 1.02**2:
        assert compared["verdict"] == "inconclusive", "a wide interval shows nothing"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small report that was measured for real."""
    if find_engine(os.environ) is None:
        pytest.skip("no container engine answers")
    return measure(tmp_path_factory.mktemp("original"), SMALL)


def test_a_report_is_made_again_from_nothing_but_its_folder(original: Path, tmp_path: Path) -> None:
    folder = tmp_path / "from-elsewhere"
    shutil.copytree(original, folder)
    empty = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}
    done = invoke(tmp_path, "reproduce", str(folder), "--gate-wait", "0", **empty)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    assert any((tmp_path / "cache").rglob("*.gguf")), "the model was made anew"
    (path,) = (folder / "reproductions").glob("*.json")
    made = json.loads(path.read_text())
    assert len(made["cells"]) == 2
    # Whether it was is a matter of the machine; that it can be compared is not, nor what follows from the run values.
    for cell in made["cells"]:
        assert cell["conclusion"] in {"reproduced", "not reproduced", "inconclusive"}, cell
        medians = [
            statistics.fmean(map(math.log, cell[name])) for name in ("first_ns_per_token", "second_ns_per_token")
        ]
        assert cell["ratio"] == pytest.approx(math.exp(medians[0] - medians[1]))
        if cell["conclusion"] != "inconclusive":
            assert (cell["low"] <= cell["ratio"] <= cell["high"]) == (cell["conclusion"] == "reproduced")
    assert (done.returncode == 0) == (made["conclusion"] == "reproduced")
    assert made["conclusion"] in (folder / "report.md").read_text()
    assert invoke(tmp_path, "verify", str(folder)).returncode == 0
    assert invoke(tmp_path, "verify", made["folder"]).returncode == 0


def changed_sample(folder: Path) -> str:
    (path,) = (folder / "records").glob("*.jsonl")
    text = path.read_text()
    sample = re.search(r'"samples_ns":\[(\d+)', text)
    assert sample is not None
    path.write_text(text.replace(sample[1], str(int(sample[1]) - 1), 1))
    return path.name


def changed_number(folder: Path) -> str:
    path = folder / "report.md"
    text = path.read_text()
    rate = re.search(r"\| +([\d.]+) \([\d.]+ to", text)
    assert rate is not None
    path.write_text(text[: rate.start(1)] + "9" + text[rate.start(1) :])
    return "report.md"


def changed_model(folder: Path) -> str:
    (path,) = (folder / "sessions").glob("*.json")
    text = path.read_text()
    model = json.loads(text)["models"][0]["sha256"]
    path.write_text(text.replace(model, model[::-1]))
    return path.name


@pytest.mark.parametrize("change", [changed_sample, changed_number, changed_model])
def test_what_was_changed_is_found_and_not_reproduced(original: Path, tmp_path: Path, change) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(original, folder)
    where = change(folder)
    verified = invoke(tmp_path, "verify", str(folder))
    assert verified.returncode == 1
    assert where in verified.stdout + verified.stderr
    if change is not changed_number:
        refused = invoke(tmp_path, "reproduce", str(folder), "--gate-wait", "0")
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert not (folder / "reproductions").exists()
