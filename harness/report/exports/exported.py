"""What an export is made of, and how texts of strangers are made harmless in it."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from harness.analysis.results import MachineResults
from harness.values.result_row import ResultRow

COLUMNS = tuple(field.name for field in fields(ResultRow))
"""The columns of the results table, in order."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FURTHER_CELL = re.compile(r';(?=[\s"]*[=+\-@])')
"""Where a comma is in numbers, spreadsheets take semicolons between cells: what follows one may be a formula too."""
_LARGEST = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A report: its rows, and the results with the records that they were computed from."""

    rows: tuple[ResultRow, ...]
    machines: tuple[MachineResults, ...]


def one_line(text: str) -> str:
    """Text without control characters and without those that change the direction of writing."""
    return "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text if unicodedata.category(c) != "Cf"
    )


def no_formula(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    flat = _FURTHER_CELL.sub(";'", one_line(text))
    return f"'{flat}" if flat.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else flat


def plain(value: object) -> Any:
    """A value of a row as JSON has it: mappings, lists, text, finite numbers, null."""
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def flat(value: object) -> str | int | float | None:
    """A value of a row for formats that have text and numbers only: lists and mappings as JSON."""
    value = plain(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return str(value)
    return value if isinstance(value, str | int | float) else None
