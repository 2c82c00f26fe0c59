"""How a result is called beside others: as short as still tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.analysis.comparability import comparability_key
from harness.analysis.results import CellResult, MachineResults
from harness.report import words
from harness.values.backend import VENDOR_TITLES
from harness.values.cell import PARAMETERS

Row = tuple[MachineResults, CellResult]


def vendor(machine: MachineResults, result: CellResult) -> str:
    """The title of who made what it was computed on: `Processors` for any CPU, `Software`, `Unknown`."""
    if result.software:
        return "Software"
    if result.cell.backend == "cpu":
        return VENDOR_TITLES["cpu"]
    name = result.device.partition(" x ")[2] if result.n_devices > 1 else result.device
    found = {device.vendor for device in machine.machine.devices if device.name == name and device.kind != "cpu"}
    return VENDOR_TITLES.get(found.pop(), "Unknown") if len(found) == 1 else "Unknown"


def contender(machine: MachineResults, result: CellResult) -> str:
    """Device and backend: `Radeon RX 7900 XTX, Vulkan`; a device in software is called that."""
    device = result.device
    if not result.argv and not result.runs:
        # Nothing of it ran: what the matrix calls the device is one that others of its machine name.
        asked = (result.cell.backend, result.cell.device)
        likes = (c.device for c in machine.cells if (c.argv or c.runs) and (c.cell.backend, c.cell.device) == asked)
        device = next(likes, device)
    return f"{device}{' (software)' if result.software else ''}, {words.backend(result.cell)}"


def names(rows: Sequence[Row]) -> tuple[str, ...]:
    """A name for each row: device and backend; parameters, then the machine, where others are called the same."""
    parts = [[contender(machine, result)] for machine, result in rows]
    for extra in (lambda row: words.parameters(row[1].cell), lambda row: row[0].machine.machine):
        shown, more = [", ".join(part) for part in parts], [extra(row) for row in rows]
        apart: dict[str, set[str]] = {}
        for name, what in zip(shown, more, strict=True):
            apart.setdefault(name, set()).add(what)
        for part, name, what in zip(parts, shown, more, strict=True):
            if what and len(apart[name]) > 1:
                part.append(what)
    return tuple(", ".join(part) for part in parts)


def groups(firsts: Sequence[CellResult]) -> tuple[str, ...]:
    """A name for each group of results that may be ranked, by one of each: model and test, and in what groups differ.

    `Qwen3 8B Q4_K_M, tg128, fa 1` stands beside the same with `fa 0`: their results may not be put in one order.
    """
    called = [f"{model(result)}, {result.cell.test.name}" for result in firsts]
    return told_apart(called, [dict(comparability_key(result)) for result in firsts])


def told_apart(called: Sequence[str], keys: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """The names, each with the fields of its comparability key in which it differs from others of the same name."""
    found = []
    for name, key in zip(called, keys, strict=True):
        alike = [other for theirs, other in zip(called, keys, strict=True) if theirs == name]
        fields = dict.fromkeys(field for other in alike for field in other)
        apart = [field for field in fields if len({str(other.get(field)) for other in alike}) > 1]
        found.append(", ".join([name, *(text for field in apart if (text := _said(field, key.get(field))))]))
    return tuple(found)


def _said(field: str, value: object) -> str:
    """A field of a comparability key as settings are written; empty where it does not apply."""
    if value in {None, ""}:
        return ""
    if field == "model weights":
        return f"weights {words.short(str(value))}"
    return f"{PARAMETERS[field].short if field in PARAMETERS else field} {value}"


def model(result: CellResult) -> str:
    """The model's title, or its key in the matrix where its facts are missing."""
    return result.model.title if result.model else result.cell.model


def vendor_colour(title: str) -> int:
    """The number of a vendor's colour in every chart."""
    known = [*VENDOR_TITLES.values(), "Software", "Unknown"]
    return known.index(title)
