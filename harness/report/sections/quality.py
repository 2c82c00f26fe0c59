"""What quantizations cost in quality, beside how large they are."""

from __future__ import annotations

from harness.analysis.comparability import proof_of
from harness.analysis.results import CellResult
from harness.report import words
from harness.report.data import ReportData
from harness.stats.digits import plain
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.measurement import QUALITY

_ALONE = (
    " A row without a base model has its perplexity only: what a quantization costs is seen with a larger one of the "
    "same model as `against`."
)
_FIGURES = ("perplexity", "perplexity_ratio", "kl_divergence", "same_top_percent")


def render(data: ReportData) -> tuple[Block, ...]:
    """One table; nothing where no quality was measured."""
    rows = [row for row in data.rows() if row[1].cell.test.measurement == QUALITY and row[1].runs]
    if not rows:
        return ()
    setting = ("Model", "Size", "Against", "Backend", "Parameters")
    figures = ("Perplexity", "Ratio", "KL divergence, nats", "Same top token, %")
    columns = (*setting, *figures, "Proof")
    align = ("left", "right", "left", "left", "left", "right", "right", "right", "right", "left")
    return (
        Heading(level=2, text="Quality"),
        Table(
            columns=("Machine", *columns) if data.several else columns,
            rows=tuple((*((m.machine.machine,) if data.several else ()), *_row(c)) for m, c in rows),
            align=("left", *align) if data.several else align,
        ),
        Paragraph(
            text="llama-perplexity over a text that is part of the harness, with the standard error over its words. "
            "Against a base model: how much larger the perplexity is, how far the choices of the next token are from "
            "the base's, and how often the most likely token is the same. The figures tell quantizations of one model "
            "apart, not models." + ("" if all(c.cell.test.against for _, c in rows) else _ALONE)
        ),
    )


def _row(result: CellResult) -> tuple[str, ...]:
    return (
        result.model.title if result.model else result.cell.model,
        words.size(result.model.size_bytes if result.model else None),
        result.cell.test.against or "-",
        words.backend(result.cell),
        words.parameters(result.cell),
        *(_figure(result, name) for name in _FIGURES),
        str(proof_of(result)),
    )


def _figure(result: CellResult, name: str) -> str:
    value, error = result.metric(name), result.metric(f"{name}_error")
    if value is None:
        return "-"
    return plain(value.median) if error is None else f"{plain(value.median)} ± {plain(error.median, 2)}"
