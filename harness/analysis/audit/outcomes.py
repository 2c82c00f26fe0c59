"""Outcomes: samples or a failure, never both; and every printed number follows from the samples."""

from __future__ import annotations

import itertools
import math
from statistics import fmean

from harness.analysis.audit.findings import Finding
from harness.analysis.audit.lines import Line
from harness.stats.intervals import rate
from harness.values.cell import Cell
from harness.values.measurement import BATCHED, BENCH, LATENCY, LOAD
from harness.values.record import Outcome, Proof, Record

RATE_TOLERANCE = 1e-4
"""Relative; llama-bench prints rates with six digits."""


def audit_outcomes(line: Line) -> list[Finding]:
    """Whether the outcomes of a record belong to its cells and agree with themselves."""
    record = line.record
    assert record is not None  # noqa: S101 - the caller asks for whole lines only
    cells = {cell.id: cell for cell in record.run.cells}
    told = [outcome.cell for outcome in record.outcomes]
    findings = []
    if sorted(told) != sorted(cells):
        findings.append(Finding(where=line.where, what="its outcomes are not one for each of its cells"))
    for index, outcome in enumerate(record.outcomes):
        cell = cells.get(outcome.cell)
        where = f"{line.where}: outcomes[{index}] ({outcome.cell})"
        if cell is not None:
            findings += [Finding(where=where, what=what) for what in _problems(outcome, cell, record)]
    return findings


def _problems(outcome: Outcome, cell: Cell, record: Record) -> list[str]:
    contradicted = [check.name for check in outcome.checks if check.proof is Proof.CONTRADICTED]
    if outcome.failure is not None:
        return ["it has samples and a failure"] if outcome.samples_ns else []
    found = [f"the check {name!r} is contradicted, and there are samples" for name in contradicted]
    samples = outcome.samples_ns
    if not samples or min(samples) <= 0:
        return [*found, "it has neither positive samples nor a failure"]
    wanted = _repetitions(record.argv)
    if wanted is not None and len(samples) != wanted:
        found.append(f"{len(samples)} samples, and {wanted} were asked for")
    if cell.test.measurement != BENCH:
        return found + _series_problems(outcome, cell)
    return found + _row_problems(outcome.row or {}, samples, cell)


def _series_problems(outcome: Outcome, cell: Cell) -> list[str]:
    """Whether the samples that stand for a measurement follow from its raw values."""
    samples, test = outcome.samples_ns, cell.test
    wanted: tuple[int | float, ...]
    if test.measurement == LATENCY:
        first = outcome.series.get("ttft_ns", ())
        groups = [first[at : at + test.n_parallel] for at in range(0, len(first), test.n_parallel)]
        wanted = tuple(max(1, round(fmean(group))) for group in groups)
    elif test.measurement == LOAD:
        wanted = outcome.series.get("load_ns", ())
    elif test.measurement == BATCHED:
        wanted = outcome.series.get("generation_ns", ())
    else:
        return []
    return [] if wanted == samples else ["samples_ns do not follow from its series"]


def _row_problems(row: object, samples: tuple[int, ...], cell: Cell) -> list[str]:
    if not isinstance(row, dict):
        return ["its row is missing"]
    found = []
    if tuple(row.get("samples_ns") or ()) != samples:
        found.append("samples_ns are not those of the row")
    for name, wanted in (
        ("n_prompt", cell.test.n_prompt),
        ("n_gen", cell.test.n_gen),
        ("n_depth", cell.test.n_depth),
    ):
        if name in row and row[name] != wanted:
            found.append(f"{name} of the row is {row[name]}, and {wanted} in the cell")
    rates = [rate(sample / cell.test.n_tokens) for sample in samples]
    printed = row.get("avg_ts")
    if isinstance(printed, int | float) and not math.isclose(printed, fmean(rates), rel_tol=RATE_TOLERANCE):
        found.append(f"avg_ts of the row is {printed}, and {fmean(rates):.6g} follows from the samples")
    each = row.get("samples_ts")
    if isinstance(each, list) and not _all_close(each, rates):
        found.append("samples_ts of the row do not follow from the samples")
    return found


def _all_close(printed: list[object], rates: list[float]) -> bool:
    return len(printed) == len(rates) and all(
        isinstance(a, int | float) and math.isclose(a, b, rel_tol=RATE_TOLERANCE)
        for a, b in zip(printed, rates, strict=True)
    )


def _repetitions(argv: tuple[str, ...]) -> int | None:
    """What `-r` asks for."""
    for option, value in itertools.pairwise(argv):
        if option == "-r" and value.isdigit():
            return int(value)
    return None
