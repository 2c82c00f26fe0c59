"""What need not be equal for two rates to be ranked, and can explain a difference between them all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analysis.results import CellResult, MachineResults
from harness.values.facts import Device

Row = tuple[MachineResults, CellResult]

_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class _Condition:
    """How it is read off a row, and among which rows it can be told apart: another vendor has another driver anyway."""

    value: Callable[[MachineResults, CellResult], str]
    among: Callable[[CellResult], object]


def _build(_: MachineResults, result: CellResult) -> str:
    image = result.image
    return f"b{image.build_number}" if image is not None and image.build_number is not None else ""


def _image(_: MachineResults, result: CellResult) -> str:
    """What it was made from, or its digest: two builds of one recipe have other content ids and the same programs."""
    image = result.image
    if image is None:
        return ""
    if image.recipe_sha256:
        return f"recipe {image.recipe_sha256[:_DIGITS]}"
    return (image.digest or image.id).removeprefix("sha256:")[:_DIGITS]


def _kernels(_: MachineResults, result: CellResult) -> str:
    return (result.log.cpu_variant or "") if result.log and result.cell.backend == "cpu" else ""


def _driver(machine: MachineResults, result: CellResult) -> str:
    device = _device(machine, result)
    return (device.driver or "") if device else ""


def _power_limit(machine: MachineResults, result: CellResult) -> str:
    device = _device(machine, result)
    return f"{device.power_limit_w:g} W" if device and device.power_limit_w is not None else ""


def _device(machine: MachineResults, result: CellResult) -> Device | None:
    name = result.device.partition(" x ")[2] if result.n_devices > 1 else result.device
    return next((device for device in machine.machine.devices if device.name == name), None)


_CONDITIONS: Final[Mapping[str, _Condition]] = {
    "Build": _Condition(_build, lambda _: None),
    "Image": _Condition(_image, lambda result: result.cell.backend),
    "CPU kernels": _Condition(_kernels, lambda result: result.cell.backend),
    "Driver": _Condition(_driver, lambda result: result.device),
    "Power limit": _Condition(_power_limit, lambda result: result.device),
}


def conditions(machine: MachineResults, result: CellResult) -> dict[str, str]:
    """Each condition of a result by its title; empty texts where it is not known or there is none."""
    return {title: condition.value(machine, result) for title, condition in _CONDITIONS.items()}


def differing(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """The conditions in which rows differ that could be alike, with their values in the order of the rows.

    What is unknown differs from nothing.
    """
    found = {}
    for title, condition in _CONDITIONS.items():
        values: dict[object, dict[str, None]] = {}
        for machine, result in rows:
            if value := condition.value(machine, result):
                values.setdefault(condition.among(result), {})[value] = None
        apart = dict.fromkeys(value for seen in values.values() if len(seen) > 1 for value in seen)
        if apart:
            found[title] = tuple(apart)
    return found
