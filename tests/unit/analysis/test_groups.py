"""Rows with different keys are never in one order, and what differs otherwise is said."""

from dataclasses import replace
from typing import Any

from harness.analysis.groups import forbidding, groups_of
from harness.values.result_row import ResultRow, Trust

ROW = ResultRow(
    row="1",
    report="demo",
    machine="a",
    cell="cpu/gemma/tg10",
    metric="tg",
    group="g",
    key={"flash_attn": 0, "n_gen": 10},
    kind="ranked",
    rankable=True,
    model="gemma",
    model_title="Gemma",
    test="tg10",
    n_prompt=0,
    n_gen=10,
    n_depth=0,
    backend="cpu",
    device="CPU",
    image="cpu",
    value=10.0,
    params={"n_batch": 2048},
    build_number=1,
)


def test_the_best_comes_first_and_a_machine_counts_as_one() -> None:
    (group,) = groups_of([ROW, replace(ROW, row="2", value=20.0), replace(ROW, row="3", machine="b", value=15.0)])
    assert [row.value for row in group.ranked] == [20.0, 15.0, 10.0]
    assert group.machines == 2


def test_where_less_is_better_the_least_comes_first() -> None:
    rows = [replace(ROW, higher_is_better=False, value=v) for v in (3.0, 1.0, 2.0)]
    (group,) = groups_of(rows)
    assert [row.value for row in group.ranked] == [1.0, 2.0, 3.0]


def test_other_keys_are_other_groups_and_the_field_is_named() -> None:
    first, second = groups_of([ROW, replace(ROW, group="h", key={"flash_attn": 1, "n_gen": 10})])
    assert forbidding(first, second) == ("flash_attn",)


def test_what_may_differ_is_told() -> None:
    other = replace(
        ROW, row="2", build_number=2, params={"n_batch": 512}, environment={"GGML_X": "1"}, power_limit_w=300.0
    )
    (group,) = groups_of([ROW, other])
    differs = dict(group.differs)
    assert differs["build_number"] == ("1", "2")
    assert differs["n_batch"] == ("2048", "512")
    assert differs["GGML_X"] == ("1", "unset")
    assert differs["power_limit_w"] == ("300.0", "unknown")
    assert "driver" not in differs


def test_rows_that_may_not_be_ranked_stand_apart_and_imported_ones_nowhere() -> None:
    (group,) = groups_of([ROW, replace(ROW, rankable=False, why_not="screening"), replace(ROW, trust=Trust.IMPORTED)])
    assert len(group.ranked) == 1
    assert [row.why_not for row in group.unranked] == ["screening"]


def test_controls_are_counted_with_how_they_came_out() -> None:
    runs: dict[str, Any] = {"run_rounds": tuple(range(6)), "run_sessions": ("s",) * 6}
    values = (100.0, 101.0, 102.0, 103.0, 104.0, 105.0)
    a = replace(ROW, label="a", run_values_ns=values, **runs)
    same = replace(ROW, row="2", label="b", run_values_ns=tuple(v * 1.0001 for v in values), **runs)
    worse = replace(ROW, row="3", label="c", run_values_ns=tuple(v * 1.5 for v in values), **runs)
    (group,) = groups_of([same, a, worse, replace(ROW, row="4")])
    assert (group.controls, group.controls_equal) == (2, 1)
