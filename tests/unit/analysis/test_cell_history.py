"""A cell over starts: one point each, whatever report it stands in, and a change only where the level changed."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.cell_history import CellHistory, cell_histories
from harness.store.records import canonical
from tests.rig.repository import add_start, change, repository

NOISE = (1.0, 1.004, 0.997, 1.002, 0.999, 1.003, 0.998, 1.001)


def tg32(histories: tuple[CellHistory, ...]) -> CellHistory:
    return next(history for history in histories if history.cell.id == "cpu/gemma3-270m-q4_k_m/tg32")


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return repository(tmp_path).reports / "demo"


def test_one_start_is_one_point_with_the_report_s_own_value(demo: Path) -> None:
    histories = cell_histories({"demo": demo})
    assert len(histories) == 8
    (start,) = tg32(histories).starts
    assert (start.runs, start.build, start.report) == (6, "b11312 (0c1e57098)", "demo")
    assert start.interval is not None
    assert "83.7 (79.7 to 86.0)" in (demo / "report.md").read_text()
    assert round(start.tokens_per_s, 1) == 83.7
    assert (round(start.interval.low, 1), round(start.interval.high, 1)) == (79.7, 86.0)


def test_the_same_records_in_two_reports_count_once(demo: Path) -> None:
    again = shutil.copytree(demo, demo.with_name("merged"))
    history = tg32(cell_histories({"demo": demo, "merged": again}))
    assert [start.runs for start in history.starts] == [6]
    assert history.reports == {"demo", "merged"}


def test_a_later_attempt_counts_also_where_a_copy_of_before_it_is_read_after_it(demo: Path) -> None:
    before = shutil.copytree(demo, demo.with_name("older"))
    (records,) = (demo / "records").glob("*.jsonl")
    again = []
    for line in records.read_bytes().splitlines():
        value = json.loads(line)
        del value["id"]
        value["run"]["attempt"] += 1
        value["started_utc"] = value["started_utc"].replace("2026", "2027")
        for outcome in value["outcomes"]:
            outcome["samples_ns"] = [2 * ns for ns in outcome["samples_ns"]]
        again.append(canonical({**value, "id": hashlib.sha256(canonical(value)).hexdigest()}))
    with records.open("ab") as file:
        file.write(b"\n".join(again) + b"\n")
    alone = tg32(cell_histories({"demo": demo}))
    assert round(alone.starts[0].tokens_per_s, 1) == 41.9
    for folders in ({"demo": demo, "older": before}, {"older": before, "demo": demo}):
        assert tg32(cell_histories(folders)).starts[0].tokens_per_s == alone.starts[0].tokens_per_s


@pytest.mark.parametrize("other", [{"beside": ["other"]}, {"device": "1"}])
def test_a_cell_beside_another_model_or_on_another_card_is_another_cell(demo: Path, other: dict[str, Any]) -> None:
    before = {history.cell.id: history.starts[0].tokens_per_s for history in cell_histories({"demo": demo})}

    def as_the_first_arm(value: dict[str, Any]) -> None:
        for cell in value["run"]["cells"]:
            if cell["label"] == "b":
                cell.update(label="a", **other)

    change(demo, record=as_the_first_arm)
    after = {history.cell.id: history.starts[0].tokens_per_s for history in cell_histories({"demo": demo})}
    assert after == before


def test_a_slower_build_is_a_change_with_its_size(demo: Path) -> None:
    for number in range(14):
        slower = (1.0 if number < 7 else 1.08) * NOISE[number % 8]
        add_start(demo, number, slower=slower, build=11400 if number < 7 else 11500)
    history = tg32(cell_histories({"demo": demo}))
    assert len(history.starts) == 15
    (found,) = history.changes
    assert history.starts[found.at].build.startswith("b11500")
    assert history.starts[found.at - 1].build.startswith("b11400")
    assert found.words.startswith(("slower by 7.", "slower by 8."))
    assert found.p <= 0.05


def test_without_a_change_and_below_one_percent_nothing_is_said(demo: Path) -> None:
    for number in range(14):
        add_start(demo, number, slower=1.0 if number < 7 else 1.006)
    assert tg32(cell_histories({"demo": demo})).changes == ()


def test_screening_and_simulated_starts_are_left_out(demo: Path) -> None:
    change(demo, session=lambda data: data.update(screening=True))
    assert cell_histories({"demo": demo}) == ()
    change(demo, session=lambda data: data.update(screening=False), record=lambda value: value.update(invalid=[]))
    assert len(cell_histories({"demo": demo})) == 8
