"""What really happened, as the log of the warm-up says, and which checks hold."""

from __future__ import annotations

from harness.analysis.results import CellResult
from harness.report import words
from harness.report.data import ReportData
from harness.values.bench import LogFacts
from harness.values.block import Block, Heading, Paragraph, Table
from harness.values.record import Proof


def render(data: ReportData) -> tuple[Block, ...]:
    """A row a cell that has a number."""
    rows: tuple[tuple[str, ...], ...] = tuple(
        (machine.machine.machine, *_row(result)) if data.several else _row(result)
        for machine, result in data.rows()
        if result.runs
    )
    if not rows:
        return ()
    columns: tuple[str, ...] = (
        "Cell",
        "Computed on",
        "Layers on the GPU",
        "Weights",
        "KV cache",
        "Flash attention",
        "Not observable",
    )
    columns = ("Machine", *columns) if data.several else columns
    return (
        Heading(level=2, text="Proof"),
        Paragraph(
            text="From the verbose log of the discarded warm-up run, and from every row: backend, device, build, model "
            "and parameters are those of the cell, and the printed rates follow from the samples. A check that fails "
            "takes the number away; one that cannot be made is named here."
        ),
        Table(columns=columns, rows=rows, align=("left",) * len(columns)),
    )


def _row(result: CellResult) -> tuple[str, ...]:
    log = result.log or LogFacts()
    unobservable = [check.name for check in result.checks if check.proof is Proof.UNOBSERVABLE]
    return (
        result.cell.id,
        _computed_on(result, log),
        f"{log.layers_offloaded} of {log.layers_total}" if log.layers_total is not None else "-",
        _buffers(log.model_buffers),
        _buffers(log.kv_buffers),
        {True: "on", False: "off", None: "-"}[log.flash_attn],
        ", ".join(unobservable) or ("none" if result.checks else "everything"),
    )


def _computed_on(result: CellResult, log: LogFacts) -> str:
    devices = "; ".join(f"{name} {text}" for name, text in log.devices.items())
    if devices:
        return devices
    return f"{result.device} ({log.cpu_variant} variant)" if log.cpu_variant else result.device


def _buffers(buffers: object) -> str:
    items = buffers.items() if isinstance(buffers, dict) else ()
    return ", ".join(f"{name} {words.size(number)}" for name, number in items) or "-"
