"""What data sheets say of devices: the figures of `hardware.yaml`, with their source and how sure they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.errors import Problem, ProblemsError
from harness.formats.document import Document
from harness.formats.schema_errors import check
from harness.formats.strict_yaml import load, read_bytes

HARDWARE = Path(__file__).with_name("hardware.yaml")
SCHEMA = Path(__file__).with_name("hardware.schema.json")

_DRIVER = re.compile(r" \((?:RADV|BMG|DG2|LNL|ACM|NVK)[^()]*\)$")
"""What Mesa writes behind a device's name."""
_LAPTOP = re.compile(r"Laptop|Mobile|Max-Q Design")
"""Laptop parts share the names of cards and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSheet:
    """One device.

    Attributes:
        id: its key in the file.
        vendor: as in `Device.vendor`, or `apple`.
        match: searched in a reported name; None where no name tells this device.
        names: names that are known to be reported for it.
        memory_gib: as marketed. Like all figures None where it is not known.
        bandwidth_gb_s: theoretical peak, 1e9 bytes a second.
        other_bandwidths_gb_s: of variants under the same name.
        fp16_tflops, fp16_fp32acc_tflops, fp32_tflops: dense peaks.
        power_w: rated.
        pcie: generation and lanes of the card itself.
        shared_memory: it has no memory of its own.
        source: where the figures are from, in words.
        agreed: figures that a second public source confirmed. doubtful: figures that nobody is sure of.
    """

    id: str
    vendor: str
    architecture: str
    match: re.Pattern[str] | None
    names: tuple[str, ...]
    memory_gib: float | None
    bandwidth_gb_s: float
    other_bandwidths_gb_s: tuple[float, ...]
    fp16_tflops: float | None
    fp16_fp32acc_tflops: float | None
    fp32_tflops: float | None
    power_w: float | None
    pcie: tuple[int, int] | None
    shared_memory: bool
    source: str
    agreed: frozenset[str]
    doubtful: frozenset[str]

    @property
    def bandwidths_bytes_per_s(self) -> tuple[float, float]:
        """The smallest and the largest bandwidth that a device of this name may have."""
        every = (self.bandwidth_gb_s, *self.other_bandwidths_gb_s)
        return 1e9 * min(every), 1e9 * max(every)


@cache
def data_sheets(path: Path = HARDWARE) -> Mapping[str, DataSheet]:
    """Every device of the file by its key.

    Raises:
        InputError: the file cannot be read, or with all mistakes in it at once.
    """
    shown = path.name
    document = load(read_bytes(path, shown=shown), file=shown)
    problems = check(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    problems = problems or _own_checks(document)
    if problems:
        raise ProblemsError(problems, remedy="Correct the file; the comment at its head says what its keys mean.")
    data = document.data
    return MappingProxyType({key: _data_sheet(key, row, data["sources"]) for key, row in data["devices"].items()})


def data_sheet_of(name: str, sheets: Mapping[str, DataSheet] | None = None) -> DataSheet | None:
    """The device that a driver's name means; None where none, or more than one, fits.

    Args:
        name: as NVML, sysfs, /proc/cpuinfo or llama.cpp report it.
        sheets: those to look in; the shipped ones where left out.
    """
    return _shipped(name) if sheets is None else _fitting(name, sheets)


@lru_cache(maxsize=1024)
def _shipped(name: str) -> DataSheet | None:
    return _fitting(name, data_sheets())


def _fitting(name: str, sheets: Mapping[str, DataSheet]) -> DataSheet | None:
    bare = _DRIVER.sub("", name.strip())
    if _LAPTOP.search(bare):
        return None
    found = [sheet for sheet in sheets.values() if sheet.match is not None and sheet.match.search(bare)]
    return found[0] if len(found) == 1 else None


def _own_checks(document: Document) -> list[Problem]:
    problems = []
    for key, row in document.data["devices"].items():
        place = ("devices", key)
        if row["source"] not in document.data["sources"]:
            problems.append(document.problem((*place, "source"), f"{row['source']!r} is not a key of `sources`"))
        named = [*row.get("agreed", ()), *row.get("doubtful", ())]
        problems += [
            document.problem(place, f"{figure} is called agreed or doubtful, and is not given")
            for figure in named
            if figure not in row and figure != "pcie"
        ]
        try:
            re.compile(row["match"] or "")
        except re.error as error:
            problems.append(document.problem((*place, "match"), f"is no regular expression: {error}"))
    return problems


def _data_sheet(key: str, row: Mapping[str, Any], sources: Mapping[str, str]) -> DataSheet:
    pcie = row.get("pcie")
    return DataSheet(
        id=key,
        vendor=row["vendor"],
        architecture=row["architecture"],
        match=re.compile(row["match"]) if row["match"] else None,
        names=tuple(row.get("names", ())),
        memory_gib=row.get("memory_gib"),
        bandwidth_gb_s=row["bandwidth_gb_s"],
        other_bandwidths_gb_s=tuple(row.get("other_bandwidths_gb_s", ())),
        fp16_tflops=row.get("fp16_tflops"),
        fp16_fp32acc_tflops=row.get("fp16_fp32acc_tflops"),
        fp32_tflops=row.get("fp32_tflops"),
        power_w=row.get("power_w"),
        pcie=(pcie["generation"], pcie["lanes"]) if pcie else None,
        shared_memory=row.get("shared_memory", False),
        source=sources[row["source"]],
        agreed=frozenset(row.get("agreed", ())),
        doubtful=frozenset(row.get("doubtful", ())),
    )
