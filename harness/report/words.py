"""How sizes, parameters and hashes are written in reports."""

from __future__ import annotations

from harness.analysis.comparability import beside
from harness.stats.digits import significant
from harness.values.backend import BACKENDS
from harness.values.cell import PARAMETERS, Cell

_STEP = 1024.0
_SHORT_HASH = 12


def size(number: int | None) -> str:
    """Bytes: `241.4 MiB`, `3.56 GiB`; `unknown` where they are."""
    if number is None:
        return "unknown"
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _STEP:
            return f"{value:.4g} {unit}"
        value /= _STEP
    return f"{value:.4g} TiB"


def count(number: int | None) -> str:
    """Parameters: `268.1 M`, `6.74 B`; `unknown` where they are."""
    if number is None:
        return "unknown"
    for limit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= limit:
            return f"{number / limit:.4g} {letter}"
    return str(number)


def short(digest: str) -> str:
    """The first twelve digits of a hash; the whole stands in the provenance."""
    return digest.removeprefix("sha256:")[:_SHORT_HASH]


def percent(share: float | None) -> str:
    """`1.2 %`; a dash where there is none."""
    return "-" if share is None else f"{significant(100 * share, 2)} %"


def backend(cell: Cell) -> str:
    """The backend's title, with the image's name where it is not the backend's own, and the label."""
    title = BACKENDS[cell.backend].title
    title += f" ({cell.image})" if cell.image != cell.backend else ""
    return title + (f" #{cell.label}" if cell.label else "")


def parameters(cell: Cell) -> str:
    """The parameters that are not the harness's defaults, and the models beside it: `fa 1, t 2, beside qwen3-8b`."""
    shown = []
    for name, value in cell.params.items():
        parameter = PARAMETERS[name]
        if value != parameter.default_on(cell.backend):
            shown.append(f"{parameter.short} {value}")
    shown += [f"beside {beside(cell)}"] if cell.beside else []
    return ", ".join(shown)
