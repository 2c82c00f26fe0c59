"""The largest context that fits, as searched for with real runs."""

from __future__ import annotations

from harness.analysis.context_limits import ContextLimit, context_limits
from harness.analysis.results import MachineResults
from harness.report import naming, words
from harness.report.data import ReportData
from harness.stats.digits import plain, with_interval
from harness.values.block import Block, Heading, Paragraph, Table

NONE = "-"
COLUMNS = (
    "Machine",
    "Model",
    "Device and backend",
    "KV cache",
    "Memory",
    "Largest context",
    "Too much",
    "Contexts tried",
    "Tokens/s of a prompt that fills it",
    "By invoke fit",
)
TEXT = (
    "Found by bisection: each context was filled with a prompt in a run of its own, up to what the model was trained "
    "for or the matrix allows; too much is within a 32nd above what fits. A context that runs while its weights are "
    "read from the disk again does not fit (paging). Memory: the container's limit on a CPU, the device's on a GPU, "
    "whatever else was in it."
)


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each search; empty where nothing was searched for."""
    rows = [_row(machine, limit) for machine in data.machines for limit in context_limits(machine)]
    if not rows:
        return ()
    start = 0 if data.several else 1
    return (
        Heading(level=2, text="Largest context"),
        Paragraph(text=TEXT),
        Table(
            columns=COLUMNS[start:],
            rows=tuple(row[start:] for row in rows),
            align=("left",) * (4 - start) + ("right",) * 6,
        ),
    )


def _row(machine: MachineResults, limit: ContextLimit) -> tuple[str, ...]:
    result = limit.result
    rate = result.tokens_per_s
    shown = NONE if rate is None else with_interval(rate, result.interval) if result.interval else plain(rate)
    return (
        machine.machine.machine,
        naming.model(result),
        naming.contender(machine, result),
        "/".join(dict.fromkeys(str(result.cell.params.get(name, "f16")) for name in ("type_k", "type_v"))),
        NONE if limit.memory_bytes is None else words.size(limit.memory_bytes),
        NONE if limit.fits is None else f"{limit.fits:,}" + ("" if limit.too_much else " (all that was asked for)"),
        NONE if limit.too_much is None else f"{limit.too_much:,} ({limit.why})",
        str(len(limit.tried)),
        shown,
        NONE if limit.predicted is None else f"{limit.predicted:,}",
    )
