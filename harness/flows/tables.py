"""Lists on the console: text in columns, sizes and states in few characters."""

from __future__ import annotations

from collections.abc import Sequence

_STEP = 1024.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(number: int | None) -> str:
    """Bytes for people: `253 MiB`, `3.8 GiB`; a dash where unknown."""
    if number is None:
        return "-"
    value = float(number)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:.1f} {unit}" if value < 10 and unit != "B" else f"{value:.0f} {unit}"  # noqa: PLR2004 - two digits


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of text under their heads, left-aligned, two spaces apart."""
    table = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(head))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in table
    )
