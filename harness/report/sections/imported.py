"""What others printed or posted: shown with its source, ranked with nothing."""

from __future__ import annotations

from harness.report.data import ReportData
from harness.stats.digits import plain
from harness.values.block import Block, Heading, Note, Paragraph, Table
from harness.values.result_row import ResultRow

MOST = 200
COLUMNS = ("Model", "Test", "Backend", "Device", "Parameters", "Tokens/s", "±", "Build", "Source")
ALIGN = ("left", "left", "left", "left", "left", "right", "right", "left", "left")
_SHOWN = ("n_gpu_layers", "flash_attn", "n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "parallel")


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each imported result, at most two hundred; empty where there is none."""
    if not data.imported:
        return ()
    more = len(data.imported) - MOST
    blocks: tuple[Block, ...] = (
        Heading(level=2, text="Imported: unverified"),
        Note(
            kind="warning",
            text="These were measured by others with other programs. Nothing proves them, nothing here is ranked, and "
            "none of it may be compared with the tables above: ± is what the program printed, mostly the standard "
            "deviation of repetitions in one process.",
        ),
        Table(columns=COLUMNS, rows=tuple(_row(row) for row in data.imported[:MOST]), align=ALIGN),
    )
    if more > 0:
        return (*blocks, Paragraph(text=f"{more} further rows are in the results table (`invoke export`)."))
    return blocks


def _row(row: ResultRow) -> tuple[str, ...]:
    value = row.value or 0.0
    deviation = row.within_cv * value if row.within_cv is not None else None
    build = f"b{row.build_number}" if row.build_number else ""
    commit = row.build_commit if row.build_commit != "unknown" else ""
    return (
        row.model_title,
        row.test,
        row.backend or "unknown",
        row.device,
        ", ".join(f"{name} {row.params[name]}" for name in _SHOWN if name in row.params),
        plain(value),
        "-" if deviation is None else plain(deviation, 2),
        f"{build} ({commit})" if build and commit else build or commit or "unknown",
        row.source,
    )
