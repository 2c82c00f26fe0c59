"""The page as a file: its data, its policy, and that it is the same each time."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.results import read_results
from harness.analysis.table import rows_of
from harness.report.data import ReportData
from harness.report.page import build
from harness.report.page.columns import NUMBERS, TEXTS, columns, packed, samples_of, unpacked
from harness.report.writers import html
from harness.stats.intervals import run_value
from harness.values.block import Chart, Code, Heading, Note, Paragraph, Table

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = st.one_of(
    st.sampled_from(["<script>", "</script>", "\"'><img src=x>", "&lt;", "-->", "]]>", "\u202ex", "\x00", "${title}"]),
    st.text(max_size=30),
)


def no_picture(chart: Chart) -> str:
    return "<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.fixture(scope="module")
def content(four_machines: ReportData):
    rows = rows_of("many", four_machines.machines)
    return rows, columns(rows, samples_of(four_machines.machines))


def test_every_column_has_a_value_for_every_row(content) -> None:
    rows, found = content
    assert found["length"] == len(rows) == 72
    for name in TEXTS:
        assert [found["texts"][i] for i in found["text_columns"][name]][:1] != [None]
        assert len(found["text_columns"][name]) == 72
    assert all(len(found["number_columns"][name]) == 72 for name in NUMBERS)
    assert [found["texts"][i] for i in found["text_columns"]["device"]] == [row.device for row in rows]


def test_samples_come_back_as_they_were(content, four_machines: ReportData) -> None:
    rows, found = content
    samples, runs, at = samples_of(four_machines.machines), found["runs"], 0
    position = 0
    for row, count in zip(rows, runs["count"], strict=True):
        for place in range(count):
            steps = runs["differences_ns"][at : at + runs["samples"][position]]
            at += runs["samples"][position]
            position += 1
            own = [sum(steps[: i + 1]) for i in range(len(steps))]
            assert tuple(own) == samples[row.run_records[place], row.cell]
    assert at == len(runs["differences_ns"])


def test_the_page_computes_the_values_of_runs_as_the_table_does_whatever_was_measured() -> None:
    machines = read_results(ROOT / "reports/guide")
    rows = rows_of("guide", machines)
    found = columns(rows, samples_of(machines))
    samples = samples_of(machines)
    for row, tokens in zip(rows, found["number_columns"]["n_tokens"], strict=True):
        for record, value in zip(row.run_records, row.run_values_ns, strict=True):
            assert run_value(samples[record, row.cell], n_tokens=tokens) == value
    shown = {row.test: found["texts"][i] for row, i in zip(rows, found["text_columns"]["shown"], strict=True)}
    assert shown["load:cold"] == "1640 (1530 to 1790) ms"
    assert shown["quality:c128"] == "87.15 (87.15 to 87.15) perplexity"


def test_a_cell_beside_another_model_is_told_from_the_same_alone(content) -> None:
    rows, _ = content
    found = columns([rows[0], replace(rows[0], key={**rows[0].key, "beside": "other at work"})], {})
    alone, together = (found["texts"][i] for i in found["text_columns"]["settings"])
    assert together == f"{alone}, beside other at work"


def test_what_is_packed_is_unpacked(content) -> None:
    _, found = content
    assert json.loads(unpacked(packed(found))) == json.loads(json.dumps(found))
    with pytest.raises(ValueError, match=r".+"):
        unpacked("AAAA")


def test_a_value_without_samples_is_kept(content) -> None:
    rows, _ = content
    found = columns(rows[:1], {})
    assert found["runs"]["value"] == list(rows[0].run_values_ns)
    assert found["runs"]["differences_ns"] == []


def test_briefly_runs_have_their_value_alone(content) -> None:
    rows, whole = content
    found = columns(rows, {}, brief=True)
    assert found["runs"]["differences_ns"] == []
    assert {found["texts"][place] for place in found["runs"]["record"]} == {""}
    values = [value for row in rows for value in row.run_values_ns]
    assert found["runs"]["value"] == pytest.approx(values, rel=5e-5)
    assert found["runs"]["round"] == whole["runs"]["round"]
    assert len(packed(found)) < 0.6 * len(packed(whole))


def test_the_policy_names_the_hashes_of_what_is_there(content, four_machines: ReportData) -> None:
    _, found = content
    text = build.write([Heading(level=1, text="T")], found, picture=no_picture)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", text)
    assert text == build.write([Heading(level=1, text="T")], found, picture=no_picture)


def test_pages_are_compared_by_what_they_hold(content, four_machines: ReportData) -> None:
    rows, found = content
    first = build.write([], found, picture=no_picture)
    changed = columns((replace(rows[0], value=1.0), *rows[1:]), samples_of(four_machines.machines))
    other = build.write([], changed, picture=no_picture)
    assert build.comparable(first) != build.comparable(other)
    assert '"format":1' in build.comparable(first)


@given(st.lists(HOSTILE, min_size=5, max_size=5))
def test_blocks_become_markup_of_ours_only(texts: list[str]) -> None:
    blocks = (
        Heading(level=2, text=texts[0]),
        Paragraph(text=texts[1]),
        Note(kind="note", text=texts[2]),
        Code(text=texts[3]),
        Table(columns=(texts[4],), rows=((texts[0],),), caption=texts[1]),
    )
    text = html.write(blocks, picture=no_picture)
    tags = set(re.findall(r"</?([a-zA-Z0-9!-]+)", text))
    assert tags <= {"h2", "p", "strong", "pre", "code", "div", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert "\u202e" not in text


def test_a_long_table_is_cut_and_says_so() -> None:
    table = Table(columns=("a",), rows=tuple((str(n),) for n in range(500)))
    text = html.write([table], picture=no_picture)
    assert text.count("<tr>") == 1 + html.MOST_ROWS
    assert "300 further rows are in report.md." in text
