"""Memory of each cell: measured by phase, and as `invoke fit` predicts it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.memory import CellMemory, cell_memory
from harness.analysis.results import MachineResults
from harness.report import words
from harness.report.data import ReportData
from harness.report.holes import not_recorded
from harness.values.block import Block, Heading, Paragraph, Table

NONE = "-"
FAR_OFF = 0.05
"""Predicted over measured, less one: above the worst that cells alone in their run were off by."""
COLUMNS = (
    "Cell",
    "Device, loaded",
    "Device, test",
    "Device, predicted",
    "Host, loaded",
    "Host, peak",
    "Host, predicted",
    "Off",
)
TEXT = (
    "Bytes as the median over rounds. Device: of its own memory by the container's processes where drivers tell, else "
    "what it grew by. Host: resident of the container's processes, mapped weights included: by the kernel's own peak "
    "where the cell was alone in its run, else the most of ten looks a second. Predicted: by invoke fit, from the "
    "model's header."
)


def render(data: ReportData) -> tuple[Block, ...]:
    """A row for each cell; empty where no run was watched."""
    found = [(machine, memory) for machine in data.machines if (memory := _of(machine))]
    rows = [
        (machine.machine.machine, *_row(each)) if data.several else _row(each)
        for machine, memories in found
        for each in memories
    ]
    if not any(set(row[1:]) - {NONE} for row in rows):
        return ()
    columns = ("Machine", *COLUMNS) if data.several else COLUMNS
    kept = [index for index in range(len(columns)) if any(row[index] != NONE for row in rows)]
    blocks: list[Block] = [
        Heading(level=2, text="Memory"),
        Paragraph(text=TEXT),
        Table(
            columns=tuple(columns[index] for index in kept),
            rows=tuple(tuple(row[index] for index in kept) for row in rows),
            align=tuple("left" if columns[index] in {"Machine", "Cell"} else "right" for index in kept),
        ),
    ]
    blocks += [Paragraph(text=text) for text in notes([each for _, memories in found for each in memories])]
    refused = {each.refused: each.result.cell.id for _, memories in found for each in memories if each.refused}
    blocks += [Paragraph(text=f"Not predicted: {cell} and the like: {why}.") for why, cell in refused.items()]
    blocks += not_recorded(data, {machine.machine.machine for machine, _ in found})
    return tuple(blocks)


def notes(memories: Sequence[CellMemory]) -> list[str]:
    """Sentences under the table on rows whose figures seem to contradict each other, as they do in shared runs."""
    shared = [each for each in memories if each.peak is None]
    found = []
    if any(each.load.host and each.test.host and each.load.host > each.test.host for each in shared):
        found.append(
            "Host, loaded can be above Host, peak where cells shared a run: it is what the run held before its first "
            "test, with the context and the warm-up of the cell that came first, while the peak is of looks during "
            "the cell's own test."
        )
    deep = [each for each in shared if each.result.cell.test.n_depth]
    if any(each.host_error is not None and each.host_error > FAR_OFF for each in deep):
        found.append(
            "Predicted is with a depth that the cell fills itself. Where another cell of its run has filled the same "
            "depth, llama-bench restores it from a copy: the buffers for whole batches are not touched then, so "
            "that less is held than predicted."
        )
    return found


def _of(machine: MachineResults) -> list[CellMemory]:
    return [memory for cell in machine.cells if (memory := cell_memory(cell, machine.machine)) is not None]


def _row(each: CellMemory) -> tuple[str, ...]:
    predicted = each.predicted
    on_device = predicted.device if predicted and each.test.device is not None else None
    error = each.device_error if each.test.device is not None else each.host_error
    return (
        each.result.cell.id,
        _size(each.load.device),
        _size(each.test.device),
        _size(on_device),
        _size(each.load.host),
        _size(each.measured_host),
        _size(predicted.resident if predicted and each.host_error is not None else None),
        NONE if error is None else f"{100 * error:+.1f} %",
    )


def _size(number: int | None) -> str:
    return NONE if number is None else words.size(number)
