"""A text, read line by line for results in any form; what was said between them is remembered for those that follow."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.formats.foreign import objects, tables
from harness.formats.foreign.fields import FieldError, text_of
from harness.formats.strict_json import JsonError, loads
from harness.values.foreign import Foreign, ForeignRow

MAX_BYTES = 64 * 1024**2
MAX_ROWS = 100_000
MAX_REFUSED = 50
MAX_ATTEMPTS = 50
"""JSON over several lines is looked for so often: each look may read the rest of the text."""

_BUILD = re.compile(r"build: ([0-9A-Za-z]{1,64}|unknown) \((\d{1,9})\)(?! with )")
"""As llama-bench prints it under its table. The other programs print `build: NUMBER (COMMIT) with COMPILER ...`."""
_DEVICE = re.compile(r"\s*Device \d+: ([^,]{1,200}),")
_VULKAN = re.compile(r"ggml_vulkan: \d+ = ([^|]{1,200}?)(?: \([^()|]*\))* \|")
_CARD = re.compile(r"\|\s+\d+\s{2}([A-Za-z][^|]{0,100}?)\s{1,40}(?:On|Off)\s{1,40}\|")
_CHIP = re.compile(r"ggml_metal_\w+: (?:GPU name:|found device:|picking default device:)\s+(\S[^,]*)")
_BATCHED = re.compile(r"main: n_kv_max = .*")
_PAIR = re.compile(r"(\w+) = (-?\w+)")
_MODEL = re.compile(r"Model: \S*/([^/\s]+)/?\s*")
_INSERT = re.compile(r"INSERT INTO \w+ \(([^)]{1,4000})\) VALUES \((.*)\);\s*", re.IGNORECASE)
_FAILED = re.compile(
    r"(?:\w+: )?error: .*|.*\bfailed to (?:load|create|decode)\b.*|.*ErrorOutOf\w{1,20}Memory.*|.* error$"
)
_CSV_HEADS = (("build_commit", "avg_ts"), ("device", "tg128"), ("build_commit", "test_time"))
_NEW_RUN = re.compile(r".*(?:llama-bench |found \d+ \w+ devices?|Found \d+ \w+ devices?).*")


@dataclass(slots=True)
class _Scan:
    lines: list[str]
    at: int = 0
    rows: list[ForeignRow] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    table: tuple[str, list[str]] | None = None
    waiting: int = 0
    """Rows from here on are still without a build."""
    failure: str = ""
    attempts: int = 0
    cut: bool = False
    """A list has more results than are taken."""

    def refuse(self, line: int, reason: str) -> None:
        if len(self.refused) < MAX_REFUSED:
            self.refused.append(f"line {line}: {reason}")


def read(text: str) -> Foreign:
    """Every result in a text. Never raises for what the text says.

    Args:
        text: at most `MAX_BYTES` long; the caller looks to it.
    """
    scan = _Scan(lines=text.replace("\r\n", "\n").split("\n"))
    while scan.at < len(scan.lines) and len(scan.rows) < MAX_ROWS:
        _step(scan)
    more = scan.cut or any(line.strip() for line in scan.lines[scan.at :])
    if len(scan.rows) >= MAX_ROWS and more:
        scan.refused.insert(0, f"line {scan.at + 1}: {MAX_ROWS} results were read, and no more are taken from one text")
    if scan.failure and not scan.rows:
        scan.refused.insert(0, f"the program failed and printed no result: {scan.failure}")
    return Foreign(rows=tuple(scan.rows), refused=tuple(scan.refused))


def _step(scan: _Scan) -> None:
    line = scan.lines[scan.at]
    stripped = line.strip()
    if stripped == "[" or stripped.startswith(("{", "[{", "[ {")):
        _json(scan)
    elif stripped.upper().startswith("INSERT INTO"):
        _sql(scan, stripped)
    elif any(all(name in stripped.split(",")[:1] + stripped.split(",") for name in head) for head in _CSV_HEADS):
        _csv(scan, stripped)
    elif stripped.startswith("|") and not tables.is_rule(stripped):
        _table_line(scan, stripped)
    else:
        _prose(scan, line)
        scan.at += 1


def _prose(scan: _Scan, line: str) -> None:
    """Remember what is said about the results that follow, and give those before it their build."""
    if match := _BUILD.search(line):
        _built(scan, commit=match[1], number=int(match[2]))
    elif match := _DEVICE.match(line) or _VULKAN.match(line) or _CHIP.match(line):
        known = scan.about.get("device", "")
        scan.about["device"] = f"{known}, {text_of(match[1])}" if known else text_of(match[1])
    elif _NEW_RUN.match(line):
        # Another start, perhaps on another device.
        scan.about.pop("device", None)
    elif _BATCHED.match(line):
        scan.about |= {k: text_of(v) for k, v in _PAIR.findall(line) if k in objects.PARAMETERS}
    elif match := _MODEL.fullmatch(line):
        scan.about["model"] = text_of(match[1])
    elif line.startswith("#"):
        scan.table = None
        scan.about = {k: v for k, v in scan.about.items() if k == "device"}
    if not line.strip():
        scan.table = None
    elif not scan.failure and _FAILED.fullmatch(line):
        scan.failure = text_of(line)[:200]


def _built(scan: _Scan, *, commit: str, number: int) -> None:
    """Give the rows of the table above their build."""
    for index in range(scan.waiting, len(scan.rows)):
        # A scoreboard has a column for it, and llama-batched-bench prints it elsewhere.
        if scan.rows[index].program == "llama-bench":
            scan.rows[index] = replace(scan.rows[index], build_commit=commit, build_number=number)
    scan.waiting = len(scan.rows)


def _take(scan: _Scan, line: int, value: Mapping[str, Any], form: str) -> bool:
    """Take the results of an object; whether it is one of a program that is known."""
    try:
        scan.rows += objects.rows_of(value, form=form, line=line)
        scan.waiting = len(scan.rows)
    except FieldError as error:
        scan.refuse(line, str(error))
    except LookupError:
        return False
    return True


def _json(scan: _Scan) -> None:
    """A line that is an object, or an object or list that begins here and ends some lines below."""
    line = scan.lines[scan.at].strip()
    first = scan.at + 1
    value = _parsed(line)
    if isinstance(value, dict):
        if not _take(scan, first, value, "json"):
            scan.refuse(first, "an object that is no result of a program known here")
        scan.at += 1
        return
    if scan.attempts >= MAX_ATTEMPTS:
        scan.at += 1
        return
    scan.attempts += 1
    text = "\n".join(scan.lines[scan.at :])
    end = _json_values(scan, text, first)
    scan.at += max(1, text.count("\n", 0, end))


def _parsed(text: str) -> Any:
    try:
        return loads(text)
    except JsonError:
        return None


_SPACE = re.compile(r"[\s,]*")


def _json_values(scan: _Scan, text: str, first: int) -> int:
    """The objects of a list one by one, so that those before the program failed are not lost; where they end."""
    decoder, line, counted = json.JSONDecoder(), first, 0
    listed = text.lstrip().startswith("[")
    at = text.index("[") + 1 if listed else 0
    found = False
    while len(scan.rows) < MAX_ROWS:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches nothing too
        line, counted = line + text.count("\n", counted, at), at
        if listed and text.startswith("]", at):
            return at + 1
        if not text.startswith("{", at):
            break
        try:
            _, end = decoder.raw_decode(text, at)
            value = loads(text[at:end])
        except (json.JSONDecodeError, JsonError, RecursionError) as error:
            scan.refuse(line, f"JSON that cannot be read: {str(error)[:100]}")
            return at + 1
        if isinstance(value, dict) and not _take(scan, line, value, "json"):
            scan.refuse(line, "an object that is no result of a program known here")
        found, at = True, end
        if not listed:
            return at
    scan.cut = len(scan.rows) >= MAX_ROWS
    if listed and not scan.cut:
        what = "the list is not closed: the program failed after these" if found else "a list without a result"
        scan.refuse(first, what)
    return at


def _sql(scan: _Scan, line: str) -> None:
    match = _INSERT.fullmatch(line)
    if match is None:
        scan.refuse(scan.at + 1, "an INSERT that is not llama-bench's")
    else:
        names = [name.strip() for name in match[1].split(",")]
        # llama-bench quotes every value and escapes nothing.
        values = re.split(r"',\s*'", match[2].strip().removeprefix("'").removesuffix("'"))
        if len(names) != len(values):
            scan.refuse(scan.at + 1, f"{len(values)} values for {len(names)} columns")
        elif not _take(scan, scan.at + 1, dict(zip(names, values, strict=True)), "sql"):
            scan.refuse(scan.at + 1, "an INSERT of something else than results")
    scan.at += 1


def _csv(scan: _Scan, head: str) -> None:
    try:
        names = next(csv.reader([head]))
    except csv.Error as error:
        scan.refuse(scan.at + 1, f"no head of CSV: {error}")
        scan.at += 1
        return
    scan.at += 1
    while scan.at < len(scan.lines) and len(scan.rows) < MAX_ROWS:
        line = scan.lines[scan.at].strip()
        if not line or line.startswith("```"):
            return
        try:
            values = next(csv.reader([line], strict=True))
        except csv.Error as error:
            scan.refuse(scan.at + 1, f"no line of CSV: {error}")
            values = []
        if values and len(values) != len(names):
            scan.refuse(scan.at + 1, f"{len(values)} values, and the head names {len(names)} columns")
        elif values and not _take(scan, scan.at + 1, dict(zip(names, values, strict=True)), "csv"):
            scan.refuse(scan.at + 1, "a line without a test and a rate")
        scan.at += 1


def _table_line(scan: _Scan, line: str) -> None:
    number = scan.at + 1
    below = scan.lines[scan.at + 1] if scan.at + 1 < len(scan.lines) else ""
    if tables.is_rule(below):
        columns = tables.cells(line)
        kind = tables.kind_of(columns)
        scan.table = (kind, columns) if kind else None
        # What stands below this table is not the build of the one before it.
        scan.waiting = len(scan.rows)
        if kind and not _has_row(scan, scan.at + 2):
            scan.refuse(number, f"a table of {kind} without rows")
        scan.at += 2
        return
    if scan.table is not None:
        try:
            scan.rows += tables.rows_of(*scan.table, tables.cells(line), scan.about, number)
        except FieldError as error:
            scan.refuse(number, str(error))
    elif match := _CARD.match(line):
        scan.about["device"] = text_of(match[1])
    scan.at += 1


def _has_row(scan: _Scan, start: int) -> bool:
    """Whether a table's row comes before the text goes on to something else."""
    for line in scan.lines[start : start + 200]:
        if line.strip().startswith("|"):
            return True
        if not line.strip() or line.startswith("#"):
            return False
    return False
