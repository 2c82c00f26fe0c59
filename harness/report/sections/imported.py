"""What others printed or posted: shown with its source, ranked with nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from harness.analysis.imported import source_of
from harness.report.data import ReportData
from harness.stats.digits import plain
from harness.values.backend import BACKENDS
from harness.values.block import Block, Heading, Note, Paragraph, Table
from harness.values.result_row import ResultRow

MOST = 200
_SHOWN = ("n_gpu_layers", "flash_attn", "n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "parallel")
_VARYING = ("Model", "Test", "Backend", "Device", "Parameters", "Build")
"""Columns that are left out of a source's table where they say the same in each row, and stand above it."""


def render(data: ReportData) -> tuple[Block, ...]:
    """A table for each source, with at most two hundred results in all; empty where there is none."""
    if not data.imported:
        return ()
    shown, more = data.imported[:MOST], len(data.imported) - MOST
    blocks: list[Block] = [
        Heading(level=2, text="Imported: unverified"),
        Note(
            kind="warning",
            text="These were measured by others with other programs. Nothing proves them, nothing here is ranked, and "
            "none of it may be compared with the tables above: ± is what the program printed, mostly the standard "
            "deviation of repetitions in one process.",
        ),
    ]
    for number, (where, rows) in enumerate(groupby(shown, key=lambda row: source_of(row)[0]), start=1):
        blocks += _of_source(number, where, tuple(rows))
    if more > 0:
        blocks.append(Paragraph(text=f"{more} further rows are in the results table (`invoke export`)."))
    return tuple(blocks)


def _of_source(number: int, where: str, rows: Sequence[ResultRow]) -> tuple[Block, ...]:
    cells = [_cells(row) for row in rows]
    varying = [name for name in _VARYING if name in {"Model", "Test"} or len({cell[name] for cell in cells}) > 1]
    columns = (*varying, "Tokens/s", "±", "Line")
    same = [cells[0][name] for name in _VARYING if name not in varying and cells[0][name]]
    programs = ", ".join(sorted({source_of(row)[2] for row in rows} - {""}))
    printed = f", as {programs} printed it" if programs else ""
    said = f". All with {'; '.join(same)}" if same else ""
    return (
        Paragraph(text=f"Source {number}: {where}{printed}{said}."),
        Table(
            columns=columns,
            rows=tuple(tuple(cell[name] for name in columns) for cell in cells),
            align=tuple("right" if name in {"Tokens/s", "±", "Line"} else "left" for name in columns),
        ),
    )


def _cells(row: ResultRow) -> dict[str, str]:
    value = row.value or 0.0
    deviation = row.within_cv * value if row.within_cv is not None else None
    build = f"b{row.build_number}" if row.build_number else ""
    commit = row.build_commit if row.build_commit != "unknown" else ""
    backend = BACKENDS[row.backend].title if row.backend in BACKENDS else row.backend
    return {
        "Model": row.model_title,
        "Test": row.test,
        "Backend": backend or "unknown backend",
        "Device": row.device,
        "Parameters": ", ".join(f"{name} {row.params[name]}" for name in _SHOWN if name in row.params),
        "Build": f"{build} ({commit})" if build and commit else build or commit or "unknown build",
        "Tokens/s": plain(value),
        "±": "-" if deviation is None else plain(deviation, 2),
        "Line": source_of(row)[1],
    }
