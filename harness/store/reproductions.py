"""Reproductions of a report: `reproductions/<id>.json` in its folder, each one attempt to get its numbers again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.formats.strict_json import JsonError, loads
from harness.store.codec import CodecError, decode, encode
from harness.store.files import write_whole

SCHEMA = "llama-bench-harness/reproduction"
VERSION = 1


class Conclusion(StrEnum):
    """What came of reproducing one cell, or all of them."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedCell:
    """One cell.

    Attributes:
        reasons: why it is not comparable, or has no number; empty else.
        first_ns_per_token, second_ns_per_token: run values of the original and of the reproduction.
        ratio: speed of the reproduction over that of the original; None where there is none.
        low, high: the day-to-day interval that the ratio must lie in: around 1. None where there is none.
    """

    cell: str
    conclusion: Conclusion
    reasons: tuple[str, ...] = ()
    first_ns_per_token: tuple[float, ...] = ()
    second_ns_per_token: tuple[float, ...] = ()
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """One attempt.

    Attributes:
        id: SHA-256 of everything else, as of a record.
        report, matrix_sha256: what was reproduced.
        first_machine, second_machine: the machine of the original, and the one that did it again.
        first_sessions, second_sessions: where the numbers come from.
        folder: name of the folder with the records of the reproduction.
        day_sd: what is taken for the standard deviation from one start to another, as a share.
        remarks: what is not the same and does not forbid the comparison: drivers, kernels, engines.
    """

    id: str = ""
    created_utc: str
    report: str
    matrix_sha256: str
    first_machine: str
    second_machine: str
    first_sessions: tuple[str, ...]
    second_sessions: tuple[str, ...]
    harness_version: str
    harness_source: str | None
    folder: str
    day_sd: float
    conclusion: Conclusion
    cells: tuple[ReproducedCell, ...]
    remarks: tuple[str, ...] = ()

    def count(self, conclusion: Conclusion) -> int:
        """How many cells came out so."""
        return sum(1 for cell in self.cells if cell.conclusion is conclusion)


def _stored(reproduction: Reproduction) -> dict[str, Any]:
    data = {"schema": SCHEMA, "version": VERSION, **encode(replace(reproduction, id=""))}
    del data["id"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return {"id": hashlib.sha256(text.encode()).hexdigest(), **data}


def write_reproduction(folder: Path, reproduction: Reproduction) -> Reproduction:
    """Keep a reproduction in the folder of the report that it is of; it gets its id.

    Raises:
        MachineError: it cannot be written.
    """
    data = _stored(reproduction)
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    stamp = "".join(c for c in reproduction.created_utc[:19] if c.isalnum())
    write_whole(folder / "reproductions" / f"{stamp}Z-{data['id'][:8]}.json", text.encode() + b"\n")
    return replace(reproduction, id=data["id"])


def read_reproduction(path: Path) -> Reproduction:
    """One reproduction.

    Raises:
        InputError: it is none, or was changed.
    """
    try:
        data = loads(path.read_bytes())
        if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
            raise CodecError("this is no reproduction of this program")  # noqa: TRY301 - one way out for all
        if (version := data.pop("version", None)) != VERSION:
            raise CodecError(f"reproduction version {version!r} is not {VERSION}: update the harness")  # noqa: TRY301
        found = decode(Reproduction, data)
        if _stored(found)["id"] != found.id:
            raise CodecError("its content is not what its id says: it was changed")  # noqa: TRY301
    except (JsonError, CodecError) as error:
        raise InputError(
            str(error), where=str(path), remedy="Restore the file from where it was copied from, or remove it."
        ) from error
    return found


def read_reproductions(folder: Path) -> tuple[Reproduction, ...]:
    """All reproductions of a report, oldest first.

    Raises:
        InputError: a file there is no reproduction.
    """
    return tuple(read_reproduction(path) for path in sorted((folder / "reproductions").glob("*.json")))
