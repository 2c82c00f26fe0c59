"""Cells for each device in turn: what `device: each` becomes on a machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.matrix.cell_ids import device_mark
from harness.values.cell import Cell


def on_device(cell: Cell, name: str) -> Cell:
    """The same cell with another name for its device, in its id too: `vulkan@each/...` becomes `vulkan@01:00.0/...`."""
    head, slash, rest = cell.id.partition("/")
    where = head.removesuffix(f"@{device_mark(cell.device)}")
    return replace(cell, id=f"{where}@{device_mark(name)}{slash}{rest}", device=name)


def in_turn(cell: Cell, names: Sequence[str]) -> tuple[Cell, ...]:
    """A cell for each device; the cell as it is where there is none, so that its failure says so."""
    return tuple(on_device(cell, name) for name in names) or (cell,)
