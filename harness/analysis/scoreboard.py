"""llama.cpp's public scoreboards: Llama 2 7B Q4_0, pp512 and tg128, as people measured and posted them.

Nobody proved these numbers: they serve to predict, and are never ranked with records.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.analysis.hardware import DataSheet, data_sheets
from harness.errors import InputError

SCOREBOARD = Path(__file__).with_name("scoreboard.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One line of a scoreboard.

    Attributes:
        device: as it was posted. sheet: the device it is; None where no data sheet here is of it.
        backend: name in `BACKENDS`, or of a backend that is not ours.
        pp512, tg128: tokens/s; None where they were not posted.
        bandwidth_gb_s: of this variant. compute_share: active part of the chip that the data sheet describes, 0 to 1.
        certain: whether it was read in a public table rather than recalled.
    """

    device: str
    sheet: DataSheet | None
    backend: str
    flash_attn: bool
    pp512: float | None
    tg128: float | None
    bandwidth_gb_s: float | None
    compute_share: float
    build: str
    certain: bool
    source: str


@cache
def scoreboard(path: Path = SCOREBOARD) -> tuple[Score, ...]:
    """Every line, in the order of the file.

    Raises:
        InputError: a line names a data sheet that does not exist, or a figure is no number.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return tuple(_score(row, line, data_sheets()) for line, row in enumerate(rows, start=2))


def _score(row: Mapping[str, str], line: int, sheets: Mapping[str, DataSheet]) -> Score:
    try:
        sheet = sheets[row["sheet"]] if row["sheet"] else None
        bandwidth = _number(row["bandwidth_gb_s"]) or (sheet.bandwidth_gb_s if sheet else None)
        return Score(
            device=row["device"],
            sheet=sheet,
            backend=row["backend"],
            flash_attn=row["flash_attn"] == "1",
            pp512=_number(row["pp512"]),
            tg128=_number(row["tg128"]),
            bandwidth_gb_s=bandwidth,
            compute_share=_number(row["compute_share"]) or 1.0,
            build=row["build"],
            certain=row["certain"] == "true",
            source=row["source"],
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"line {line}: {error}", where=SCOREBOARD.name, remedy="Correct the line.") from error


def _number(text: str) -> float | None:
    return float(text) if text else None
