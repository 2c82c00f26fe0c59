"""Imported results as rows of the results table: with their source, in groups of their own, never to be ranked."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.analysis.hardware import data_sheet_of
from harness.analysis.names import short_hash
from harness.store.imports import ImportedRow
from harness.values.backend import BACKENDS
from harness.values.cell import Test
from harness.values.result_row import ResultRow, Trust

_SOURCE = re.compile(r"(?P<where>.*), line (?P<line>\d+) \((?P<program>[^()]*)\)", re.DOTALL)
WHY_NOT = "imported: nothing proves it"


def imported_rows(report: str, rows: Iterable[ImportedRow]) -> tuple[ResultRow, ...]:
    """Rows of the table, in the order in which they were imported."""
    return tuple(_row(report, row) for row in rows)


def _row(report: str, imported: ImportedRow) -> ResultRow:
    row = imported.row
    device = imported.device or row.device or "unknown device"
    test = Test(n_prompt=row.n_prompt, n_gen=row.n_gen, n_depth=row.n_depth).name
    shown = test + (f" x{row.parallel}" if row.parallel > 1 else "")
    key: dict[str, object] = {"trust": str(Trust.IMPORTED), "source": imported.source, "text": imported.text_sha256}
    key |= {"model": row.model, "test": shown, **row.params}
    sheet = data_sheet_of(device)
    return ResultRow(
        row=short_hash(imported.id),
        trust=Trust.IMPORTED,
        source=_shown_source(imported),
        report=report,
        machine=f"imported: {device}",
        cell=f"imported/{row.model or 'unknown model'}/{shown}",
        metric=row.metric,
        group=short_hash("imported", sorted(key.items())),
        key=key,
        kind="imported",
        rankable=False,
        why_not=WHY_NOT,
        model=row.model,
        model_title=row.model or "unknown model",
        model_size_bytes=row.size_bytes,
        model_params=row.n_params,
        test=shown,
        n_prompt=row.n_prompt,
        n_gen=row.n_gen,
        n_depth=row.n_depth,
        backend=_backend(row.backend),
        device=device,
        vendor=sheet.vendor if sheet else "",
        build_number=row.build_number,
        build_commit=row.build_commit,
        params={**row.params, **({"parallel": row.parallel} if row.parallel > 1 else {})},
        cpu=row.cpu,
        value=row.tokens_per_s,
        ns_per_token=1e9 / row.tokens_per_s,
        within_cv=row.deviation / row.tokens_per_s if row.deviation is not None else None,
        screening=True,
        first_utc=row.measured_utc,
        last_utc=row.measured_utc,
    )


def _shown_source(imported: ImportedRow) -> str:
    return f"{imported.source}, line {imported.row.line} ({imported.row.program})"


def source_of(row: ResultRow) -> tuple[str, str, str]:
    """Of an imported row where it was had from, the line there, and the program that printed it."""
    found = _SOURCE.fullmatch(row.source)
    return (found["where"], found["line"], found["program"]) if found else (row.source, "-", "")


def _backend(printed: str) -> str:
    """Our name of a backend where it is one of ours; else as it was printed."""
    known = {backend.registry_name.casefold(): name for name, backend in BACKENDS.items()}
    return known.get(printed.casefold(), printed)
