"""Exports say what the results table says, and texts of strangers do nothing in them."""

import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import unquote

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.results import CellResult, read_results
from harness.analysis.table import rows_of
from harness.formats import foreign
from harness.report.exports import FORMATS
from harness.report.exports.badges import badge
from harness.report.exports.compare_script import FIELDS, script_rows
from harness.report.exports.exported import COLUMNS, Exported
from harness.report.exports.scoreboard import mean_and_deviation
from harness.values.cell import Test
from harness.values.result_row import ResultRow

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
HOSTILE = [
    '=HYPERLINK("http://x")',
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    " =1",
    'Card;=HYPERLINK("http://x")',
    'Card; "@SUM(A1)"',
    "a;\t+1;'=1;-2+3",
    "a|b\nc",
    "'); DROP TABLE results; --",
    '"quoted"',
    "<script>alert(1)</script>",
    "\u202eevil",
    "\x00",
]


def read(case: str) -> Exported:
    machines = read_results(GOLDEN / case)
    return Exported(rows=rows_of(case, machines), machines=machines)


@pytest.fixture(scope="module")
def complete() -> Exported:
    return read("complete")


def of_rows(complete: Exported, **changes: Any) -> Exported:
    return Exported(rows=(replace(complete.rows[0], **changes),), machines=())


def test_every_format_is_written(complete: Exported) -> None:
    for name, format_ in FORMATS.items():
        data = format_.write(complete)
        assert data, name
        if not format_.binary:
            data.decode()


def test_csv_holds_every_row_and_column(complete: Exported) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(complete).decode())))
    assert [row["cell"] for row in rows] == [row.cell for row in complete.rows]
    assert tuple(rows[0]) == COLUMNS
    assert float(rows[0]["value"]) == complete.rows[0].value
    missing = FORMATS["csv"].write(of_rows(complete, value=None)).decode()
    assert next(csv.DictReader(io.StringIO(missing)))["value"] == ""


def test_json_and_parquet_hold_the_same(complete: Exported, tmp_path: Path) -> None:
    rows = json.loads(FORMATS["json"].write(complete))
    (tmp_path / "x.parquet").write_bytes(FORMATS["parquet"].write(complete))
    wanted = "row, value, run_values_ns, params, rankable"
    columns = duckdb.read_parquet(str(tmp_path / "x.parquet")).project(wanted).fetchall()
    assert [(r["row"], r["value"], r["run_values_ns"], r["params"], r["rankable"]) for r in rows] == [
        (row, value, list(values), json.loads(params), rankable) for row, value, values, params, rankable in columns
    ]


TEXT = st.text(max_size=30) | st.sampled_from(HOSTILE)


@given(text=TEXT)
@settings(max_examples=100, deadline=None)
def test_no_cell_of_csv_is_a_formula_and_none_breaks_out(complete: Exported, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    exported = of_rows(complete, device=text, failure_detail=text, environment={"GGML_X": text})
    data = FORMATS["csv"].write(exported).decode()
    header, *rows = list(csv.reader(io.StringIO(data)))
    assert len(rows) == 1
    assert len(rows[0]) == len(header)
    numbers = re.compile(r"-?[0-9.e+-]+$")
    for value in rows[0]:
        assert numbers.match(value) or not value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
        assert not re.search("[\x00-\x1f]", value)
    # Where a comma is in numbers, spreadsheets take semicolons between cells.
    for line in csv.reader(io.StringIO(data), delimiter=";"):
        for value in line[1:]:
            assert numbers.match(value) or not value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))


@given(text=TEXT)
@settings(max_examples=30, deadline=None)
def test_sqlite_takes_any_text_as_text(complete: Exported, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    connection = opened(FORMATS["sqlite"].write(of_rows(complete, device=text, source=text)))
    assert connection.execute("SELECT device, source FROM results").fetchall() == [(text, text)]
    assert connection.execute("SELECT count(*) FROM llama_bench").fetchone() == (0,)


@given(text=TEXT)
@settings(max_examples=100, deadline=None)
def test_a_badge_is_one_image_whatever_a_device_is_called(complete: Exported, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    line = badge(replace(complete.rows[0], device=text))
    assert "\n" not in line
    address = line.rpartition("](")[2]
    assert re.fullmatch(r"https://img\.shields\.io/badge/[A-Za-z0-9%._~-]+-[A-Za-z0-9%._~-]+-blue\)", address)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308, -1e308, 10**400])
def test_numbers_that_are_none_break_nothing(complete: Exported, value: float) -> None:
    exported = of_rows(complete, power_w=value, memory_bytes=2**70, key={"n": value})
    for name in ("csv", "json", "sqlite"):
        assert FORMATS[name].write(exported)
    assert "NaN" not in FORMATS["json"].write(exported).decode()


def opened(data: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    return connection


def test_the_rows_for_the_script_are_those_of_llama_bench(complete: Exported) -> None:
    rows = list(script_rows(complete))
    counted = [(run, cell) for machine in complete.machines for cell in machine.cells for run in cell.runs]
    assert len(rows) == len(counted)
    connection = opened(FORMATS["sqlite"].write(complete))
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(llama_bench)")]
    assert columns == list(FIELDS)
    for row in rows:
        assert set(row) == set(FIELDS)
        assert None not in row.values()
    average = fmean(row["avg_ts"] for row in rows if row["n_gen"] == 32)  # type: ignore[misc] # a number
    (stored,) = connection.execute("SELECT avg(avg_ts) FROM llama_bench WHERE n_gen = 32").fetchone()
    assert stored == pytest.approx(average, rel=1e-12)


def test_models_are_told_apart_though_all_have_one_name_in_a_container(complete: Exported) -> None:
    assert {row["model_filename"] for row in script_rows(complete)} == {
        "gemma3-270m-q4_k_m.gguf",
        "synthetic-17m-q4_0.gguf",
    }


def test_rows_that_only_the_script_would_take_for_alike_are_told_apart(complete: Exported) -> None:
    (machine,) = complete.machines
    plain = machine.cells[0]

    def names(**changes: Any) -> set[object]:
        cell = replace(plain.cell, **changes)
        own = replace(machine, cells=(replace(plain, cell=cell),))
        return {row["model_filename"] for row in script_rows(Exported(rows=(), machines=(own,)))}

    assert names() == {"gemma3-270m-q4_k_m.gguf"}
    assert names(beside=("a", "b"), beside_busy=True) == {"gemma3-270m-q4_k_m-beside-a_b_at_work.gguf"}
    assert names(params={**plain.cell.params, "power_limit_w": 250}) == {"gemma3-270m-q4_k_m-250W.gguf"}
    assert names(test=replace(plain.cell.test, sustained_s=600)) == {"gemma3-270m-q4_k_m-600s.gguf"}


def changed_rows(complete: Exported, change: Callable[[Mapping[str, object]], dict[str, object]]) -> Exported:
    machines = tuple(
        replace(
            machine,
            records=tuple(
                replace(
                    record,
                    outcomes=tuple(
                        replace(outcome, row=change(outcome.row) if outcome.row else None)
                        for outcome in record.outcomes
                    ),
                )
                for record in machine.records
            ),
        )
        for machine in complete.machines
    )
    return Exported(rows=complete.rows, machines=machines)


def test_rows_of_older_builds_get_what_their_fields_meant(complete: Exported) -> None:
    gone = {"n_cpu_moe", "fit_target", "fit_min_ctx", "load_mode", "n_depth", "tensor_buft_overrides"}
    older = changed_rows(
        complete, lambda row: {**{k: v for k, v in row.items() if k not in gone}, "use_mmap": False, "flash_attn": True}
    )
    row = next(script_rows(older))
    assert (row["load_mode"], row["n_cpu_moe"], row["n_depth"], row["flash_attn"]) == ("none", 0, 0, 1)


@pytest.mark.parametrize(
    "change", [{"build_commit": "x' OR 1=1 --"}, {"avg_ts": "fast"}, {"n_gen": 2**80}, {"cpu_info": None}]
)
def test_a_row_that_the_script_could_not_use_is_left_out(complete: Exported, change: dict[str, object]) -> None:
    assert list(script_rows(changed_rows(complete, lambda row: {**row, **change}))) == []


def test_the_scoreboard_has_the_figures_of_llama_bench(complete: Exported) -> None:
    text = FORMATS["scoreboard"].write(complete).decode()
    assert "build: 0c1e57098 (11312)" in text
    (result,) = [c for c in complete.machines[0].cells if c.cell.id == "cpu/gemma3-270m-q4_k_m/tg32"]
    rates = [32e9 / sample for run in result.runs for sample in run.samples_ns]
    assert f"{fmean(rates):.2f} ±" in text
    assert "llvmpipe" not in text


def on_two(complete: Exported, second: str) -> str:
    """The scoreboard of the machine and of one of another name, whose tests are those that boards have columns for."""
    (machine,) = complete.machines
    tests = {"pp128": Test(n_prompt=512), "tg32": Test(n_gen=128)}
    cells = tuple(
        replace(c, cell=replace(c.cell, test=tests.get(c.cell.test.name, c.cell.test))) for c in machine.cells
    )
    one = replace(machine, cells=cells)
    other = replace(one, machine=replace(one.machine, machine=second))
    return FORMATS["scoreboard"].write(Exported(rows=(), machines=(one, other))).decode()


def test_a_device_of_several_machines_is_told_apart_by_their_names(complete: Exported) -> None:
    name = complete.machines[0].machine.machine
    text = on_two(complete, "other-epyc")
    assert f"AMD EPYC ({name})\n\n" in text
    assert "AMD EPYC (other-epyc)\n\n" in text
    board = text[text.index("| Chip") :]
    assert len(re.findall(r"^\| AMD EPYC \(other-epyc\) ", board, re.MULTILINE)) == 1
    # Two matrices of one machine are no two machines.
    assert "AMD EPYC (" not in on_two(complete, name)


def with_setting(complete: Exported, *changes: dict[str, Any]) -> str:
    """The scoreboard of Gemma's two tests, once as they are and once for each change of its cells."""
    (machine,) = complete.machines
    tests = {"pp128": Test(n_prompt=512), "tg32": Test(n_gen=128)}
    gemma = [c for c in machine.cells if c.cell.model == "gemma3-270m-q4_k_m"]
    gemma = [replace(c, cell=replace(c.cell, test=tests[name])) for c in gemma if (name := c.cell.test.name) in tests]
    cells = []
    for number, change in enumerate(({}, *changes)):
        params = change.get("params", {})
        for c in gemma:
            how = {**change, "id": f"{c.cell.id}-{number}", "params": {**c.cell.params, **params}}
            cells.append(replace(c, cell=replace(c.cell, **how)))
    return FORMATS["scoreboard"].write(Exported(rows=(), machines=(replace(machine, cells=tuple(cells)),))).decode()


@pytest.mark.parametrize(
    ("change", "columns", "values"),
    [
        ({"params": {"type_k": "q8_0", "type_v": "q4_0"}}, ["type_k", "type_v"], {("f16", "f16"), ("q8_0", "q4_0")}),
        ({"params": {"no_kv_offload": 1}}, ["nkvo"], {("",), ("1",)}),
        ({"beside": ("other",), "beside_busy": True}, ["beside"], {("",), ("other at work",)}),
        ({"image": "official"}, ["image"], {("cpu",), ("official",)}),
        ({"label": "x"}, ["label"], {("",), ("x",)}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_rows_that_differ_do_not_look_alike_on_a_scoreboard(
    complete: Exported, change: dict[str, Any], columns: list[str], values: set[tuple[str, ...]]
) -> None:
    table, board = with_setting(complete, change).split("\n| Chip ")
    head, _, *rows = [[c.strip() for c in line.strip("| ").split("|")] for line in table.splitlines() if "|" in line]
    assert [name for name in head if name in columns] == columns
    assert head[-2:] == ["test", "t/s"]
    assert len(rows) == len({tuple(row) for row in rows}) == 4
    assert {tuple(row[head.index(name)].replace("\\", "") for name in columns) for row in rows} == values
    # One line for each setting on the board, and not the prompt of one with the generation of the other.
    assert "|".join([""] + [f" {name} " for name in columns] + [" pp512"]) in re.sub(" +", " ", board.splitlines()[0])
    assert board.count("| AMD EPYC ") == 2


def test_a_setting_that_all_rows_have_is_shown_and_the_default_is_not(complete: Exported) -> None:
    assert "type_k" not in with_setting(complete)
    assert "| ngl " not in with_setting(complete).split("| Chip ")[1]
    threads = with_setting(complete, {"params": {"n_threads": 1}})
    assert "| threads " in re.sub(" +", " ", threads.split("| Chip ")[1])


def test_a_control_is_given_once_on_a_scoreboard(complete: Exported) -> None:
    text = FORMATS["scoreboard"].write(complete).decode()
    assert text.count("| Synthetic llama 17M Q4_0 ") == 2
    (a,) = [c for c in complete.machines[0].cells if c.cell.id == "cpu/synthetic-17m-q4_0/pp64#a"]
    assert f"{mean_and_deviation(a)[0]:.2f} ±" in text
    assert "A/A" in text
    # Where the first arm has no number, the next one stands for it.
    cells = tuple(replace(c, runs=()) if c.cell.label == "a" else c for c in complete.machines[0].cells)
    failed = Exported(rows=(), machines=(replace(complete.machines[0], cells=cells),))
    assert FORMATS["scoreboard"].write(failed).decode().count("| Synthetic llama 17M Q4_0 ") == 2


def test_rows_of_a_scoreboard_that_differ_say_in_what_and_are_of_llama_bench_alone(complete: Exported) -> None:
    (machine,) = complete.machines
    (plain,) = [c for c in machine.cells if c.cell.id == "cpu/gemma3-270m-q4_k_m/tg32"]

    def cell(rate: float, test: Test, *, measurement: str = "bench", **params: str) -> CellResult:
        shape = replace(test, measurement=measurement)
        own = replace(plain.cell, id=f"{rate}", test=shape, params={**plain.cell.params, **params})
        samples = (round(1e9 * max(1, shape.n_tokens) / rate),) * 2
        return replace(plain, cell=own, runs=(replace(plain.runs[0], samples_ns=samples),))

    prompt, generation = Test(n_prompt=512), Test(n_gen=128)
    cells = (
        cell(512, prompt),
        cell(64, generation),
        cell(256, prompt, type_k="q8_0"),
        cell(32, generation, type_k="q8_0"),
        cell(128, prompt, type_k="q4_0"),
        cell(2, Test(), measurement="load"),
        cell(16, Test(n_prompt=512, n_gen=128), measurement="latency"),
    )
    text = FORMATS["scoreboard"].write(Exported(rows=(), machines=(replace(machine, cells=cells),))).decode()
    table, _, board = text.partition("| Chip")
    assert "type_k" in table
    assert "load" not in table
    assert "serve" not in table
    assert re.findall(r"\| +(\w+) +\| +([\d.]+) ± [\d.]+ \| +([\d.]+) ± ", board) == [
        ("f16", "512.00", "64.00"),
        ("q8_0", "256.00", "32.00"),
    ]
    # Read in again, the rows are told apart too.
    rows = [row for row in foreign.read(table).rows if row.metric == "pp"]
    assert [(row.params["type_k"], row.tokens_per_s) for row in rows] == [("f16", 512), ("q8_0", 256), ("q4_0", 128)]


def test_badges_are_of_rows_that_may_be_ranked(complete: Exported) -> None:
    text = unquote(FORMATS["badge"].write(complete).decode())
    assert "Gemma 3 270M Q4__K__M tg32 on AMD EPYC" in text
    assert "llvmpipe" not in text
    assert "Synthetic" not in text
    nothing: tuple[ResultRow, ...] = ()
    assert b"nothing for a badge" in FORMATS["badge"].write(Exported(rows=nothing, machines=()))


def test_a_badge_of_a_control_is_of_its_first_arm_and_not_of_the_faster(complete: Exported) -> None:
    (first,) = [row for row in complete.rows if row.cell == "cpu/gemma3-270m-q4_k_m/tg32"]
    arms = (
        replace(first, cell="x#a", label="a", value=80.0),
        replace(first, cell="x#b", label="b", value=90.0),
    )
    assert "80.0" in unquote(FORMATS["badge"].write(Exported(rows=arms, machines=())).decode())
    # Another machine's is no arm of the same control, and is the best of the group.
    faster = replace(first, machine="other", value=95.0)
    assert "95.0" in unquote(FORMATS["badge"].write(Exported(rows=(*arms, faster), machines=())).decode())


def test_two_badges_of_one_name_say_in_what_they_differ(complete: Exported) -> None:
    (off,) = [row for row in complete.rows if row.cell == "cpu/gemma3-270m-q4_k_m/tg32"]
    on = replace(off, cell="x/fa1", group="other", key={**off.key, "flash_attn": 1}, value=90.0)
    text = unquote(FORMATS["badge"].write(Exported(rows=(off, on), machines=())).decode())
    assert "tg32 on AMD EPYC, fa 0: " in text
    assert "tg32 on AMD EPYC, fa 1: 90.0 tokens/s" in text
    alone = unquote(FORMATS["badge"].write(Exported(rows=(on,), machines=())).decode())
    assert "tg32 on AMD EPYC: 90.0 tokens/s" in alone


def test_noise_for_weights_has_a_badge_only_where_nothing_real_has(complete: Exported) -> None:
    synthetic = tuple(row for row in complete.rows if row.kind == "synthetic")
    text = FORMATS["badge"].write(Exported(rows=synthetic, machines=())).decode()
    assert text.count("![Synthetic llama 17M") == 2
