"""Columns beyond those that a table for others always has: what its rows differ in, as llama-bench shows it.

A parameter has one where a row has another value than the default. What is no parameter, and what follows from the
machine, has one where rows would look alike without it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.analysis.comparability import beside
from harness.analysis.results import CellResult
from harness.formats.foreign import tables
from harness.values.cell import PARAMETERS

BESIDE_PARAMETERS = ("device", "image", "beside", "label")
"""What tells rows apart and is no parameter."""

_OF_THE_MACHINE = ("n_gpu_layers", "n_threads")
"""A CPU offloads nothing, and has as many threads as it has cores."""

_NAMES = {**{name: column for column, name in tables.PARAMETERS.items()}, "device": "dev"}
"""Of llama-bench's tables, where they are not the names of the fields."""


def column_name(field: str) -> str:
    """The head of its column."""
    return _NAMES.get(field, field)


def told(result: CellResult, field: str) -> str:
    """What a row has in the column of a field; empty where llama.cpp was left its default."""
    cell = result.cell
    match field:
        case "device":
            return result.device
        case "image":
            return cell.image
        case "beside":
            return beside(cell)
        case "label":
            return cell.label
        case _:
            return str(cell.params.get(field, ""))


def further_columns(rows: Sequence[tuple[CellResult, tuple[str, ...]]], *, without: Collection[str]) -> tuple[str, ...]:
    """The fields that have a column of their own.

    Args:
        rows: each result with what its row says without them.
        without: parameters that are among that.
    """
    asked = [name for name in PARAMETERS if name not in without and name not in _OF_THE_MACHINE]
    chosen = [name for name in asked if any(_is_set(result, name) for result, _ in rows)]
    for name in (*(name for name in _OF_THE_MACHINE if name not in without), *BESIDE_PARAMETERS):
        alike: dict[tuple[str, ...], set[str]] = {}
        for result, said in rows:
            alike.setdefault((*said, *(told(result, field) for field in chosen)), set()).add(told(result, name))
        if any(len(values) > 1 for values in alike.values()):
            chosen.append(name)
    return tuple(chosen)


def _is_set(result: CellResult, name: str) -> bool:
    default = PARAMETERS[name].default
    return result.cell.params.get(name, default) != default
