"""The performance guide as data: its levels, and what it promises of cards. `guide.yaml` has the figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.analysis.hardware import DataSheet, data_sheets
from harness.errors import ProblemsError
from harness.formats.schema_errors import check
from harness.formats.strict_yaml import load, read_bytes
from harness.stats.digits import significant

GUIDE = Path(__file__).with_name("guide.yaml")
SCHEMA = Path(__file__).with_name("guide.schema.json")

_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One row of the guide's tables.

    Attributes:
        sheet: the data sheet of the card.
        tokens_per_s: smallest and largest rate of generation.
        first_token_ms: time to the first token that it stays below; None where the guide says nothing.
        weights_gb, file_gb: what a token reads, and the file, in the usual shape of that size.
        params: smallest and largest number of parameters that the size means.
    """

    sheet: DataSheet
    size: str
    quantization: str
    tokens_per_s: tuple[float, float]
    first_token_ms: float | None
    weights_gb: float
    file_gb: float
    params: tuple[float, float]

    @property
    def title(self) -> str:
        """Such as `7B Q8_0`."""
        return f"{self.size} {self.quantization}"

    @property
    def cap(self) -> float:
        """Tokens a second if the data sheet's bandwidth were all reached, and nothing but weights were read."""
        return self.sheet.bandwidth_gb_s / self.weights_gb

    @property
    def fits(self) -> bool:
        """Whether the file alone fits the card's memory."""
        return self.sheet.memory_gib is None or 1e9 * self.file_gb <= self.sheet.memory_gib * _GIB

    @property
    def against_physics(self) -> str:
        """Why it cannot be kept, with the numbers; empty where nothing speaks against it."""
        low, high = self.tokens_per_s
        if not self.fits:
            return (
                f"the file has {self.file_gb:.1f} GB and the card {self.sheet.memory_gib:g} GiB: it does not fit, and "
                "what lies in the host's memory is read at the host's speed"
            )
        cap = significant(self.cap, 3)
        where = f"{self.weights_gb:.1f} GB a token at {self.sheet.bandwidth_gb_s:g} GB/s cap it at {cap} tokens/s"
        if self.cap < low:
            return f"{where}, below all of what is promised"
        return f"{where}, at the upper end of what is promised" if self.cap < 1.05 * high else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """All of the file. `levels` holds for each figure where it is good, and where it is a warning."""

    source: str
    levels: Mapping[str, tuple[float, float]]
    promises: tuple[Promise, ...]


@cache
def guide(path: Path = GUIDE) -> Guide:
    """The guide.

    Raises:
        InputError: the file cannot be read. ProblemsError: with all mistakes in it.
    """
    document = load(read_bytes(path, shown=path.name), file=path.name)
    problems = check(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    if not problems:
        for index, row in enumerate(document.data["promises"]):
            for key, known in (("device", data_sheets()), ("size", document.data["sizes"])):
                if row[key] not in known:
                    problems.append(document.problem(("promises", index, key), f"{row[key]!r} is not known"))
    if problems:
        raise ProblemsError(problems, remedy="Correct the file; the comment at its head says what its keys mean.")
    data = document.data
    return Guide(
        source=data["source"],
        levels={name: _level(level) for name, level in data["levels"].items()},
        promises=tuple(
            Promise(
                sheet=data_sheets()[row["device"]],
                size=row["size"],
                quantization=row["quantization"],
                tokens_per_s=tuple(row["tokens_per_s"]),
                first_token_ms=row["first_token_ms"],
                weights_gb=row["weights_gb"],
                file_gb=row["file_gb"],
                params=tuple(data["sizes"][row["size"]]),
            )
            for row in data["promises"]
        ),
    )


def _level(level: Mapping[str, float]) -> tuple[float, float]:
    good = "good_from" if "good_from" in level else "good_below"
    warning = "warning_below" if "warning_below" in level else "warning_above"
    return level[good], level[warning]
