"""Imported results in a report: by source, with what all of a source share said once."""

from dataclasses import replace

from harness.report.data import ReportData
from harness.report.sections import imported
from harness.values.block import Note, Paragraph, Table
from harness.values.result_row import ResultRow, Trust


def row(model: str, test: str, *, source: str, value: float = 10.0, **more: object) -> ResultRow:
    """An imported row."""
    made = ResultRow(
        row=model + test, trust=Trust.IMPORTED, source=source, report="r", machine="imported: RTX 4090", cell="c",
        metric="tg", group="g", kind="imported", rankable=False, model=model, model_title=model, test=test, n_prompt=0,
        n_gen=128, n_depth=0, backend="cuda", device="RTX 4090", value=value, within_cv=0.01,
        params={"n_gpu_layers": 99}, build_number=2824, build_commit="4426e298",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def rendered(*rows: ResultRow) -> tuple[object, ...]:
    return imported.render(ReportData(name="r", machines=(), imported=rows))


def test_what_a_source_shares_is_said_once_above_its_table():
    source = "https://example.org/a (b.ipynb, line two)"
    blocks = rendered(
        row("8B", "pp512", source=f"{source}, line 8 (llama-bench)"),
        row("8B", "tg128", source=f"{source}, line 9 (llama-bench)", value=130.6),
    )
    above, table = blocks[-2:]
    assert isinstance(above, Paragraph)
    assert above.text == (
        f"Source 1: {source}, as llama-bench printed it. All with CUDA; RTX 4090; n_gpu_layers 99; b2824 (4426e298)."
    )
    assert isinstance(table, Table)
    assert table.columns == ("Model", "Test", "Tokens/s", "±", "Line")
    assert table.rows == (("8B", "pp512", "10.0", "0.10", "8"), ("8B", "tg128", "131", "1.3", "9"))


def test_what_differs_within_a_source_is_a_column():
    blocks = rendered(
        row("8B", "pp512", source="s, line 1 (llama-bench)"),
        row("8B", "pp512", source="s, line 2 (llama-bench)", backend="Metal", build_number=None, build_commit=""),
    )
    table = blocks[-1]
    assert isinstance(table, Table)
    assert table.columns == ("Model", "Test", "Backend", "Build", "Tokens/s", "±", "Line")
    assert [cells[2:4] for cells in table.rows] == [("CUDA", "b2824 (4426e298)"), ("Metal", "unknown build")]


def test_each_source_has_its_own_table_and_one_that_is_told_otherwise_is_shown_as_it_is():
    blocks = rendered(row("8B", "pp512", source="one, line 1 (llama-bench)"), row("8B", "pp512", source="two"))
    above = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert [text.split(",")[0].split(".")[0] for text in above] == ["Source 1: one", "Source 2: two"]
    assert len([b for b in blocks if isinstance(b, Table)]) == 2
    assert any(isinstance(b, Note) and "Nothing proves them" in b.text for b in blocks)


def test_two_hundred_are_shown_and_the_rest_is_counted():
    blocks = rendered(*(row("8B", f"pp{n}", source=f"s, line {n} (llama-bench)") for n in range(203)))
    assert sum(len(b.rows) for b in blocks if isinstance(b, Table)) == imported.MOST
    assert isinstance(blocks[-1], Paragraph)
    assert blocks[-1].text.startswith("3 further rows")


def test_without_imports_there_is_nothing():
    assert rendered() == ()
