"""YAML, read strictly: what two readers could understand differently is refused, with place and remedy.

Only PyYAML's events are used (never its constructors), so nothing in a file can make objects, and depth and number of
nodes are bounded while reading. Numbers follow YAML 1.2; dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from harness.errors import InputError, Problem, ProblemsError
from harness.formats.document import Document
from harness.formats.yaml_builder import MAX_DEPTH, MAX_PROBLEMS, Builder, StopReading
from harness.formats.yaml_words import syntax_message

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_PROBLEMS", "Document", "load", "parse", "read_bytes"]

MAX_BYTES = 1024 * 1024

# Tabs, control characters and the line ends of YAML 1.1, by which readers and editors count lines differently.
_FORBIDDEN = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

# libyaml is some fifteen times faster; PyYAML has it in all wheels but not in every build of its own.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_bytes(path: Path, *, shown: str) -> bytes:
    """The bytes of a small text file. Never more than `MAX_BYTES` and one are read.

    Raises:
        InputError: it does not exist, is no file, cannot be read, or is too large.
    """
    try:
        if not path.exists():
            raise InputError("there is no such file", where=shown, remedy="Check the name.")
        if not path.is_file():
            raise InputError("is not a file", where=shown, remedy="Name a YAML file.")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot be read: {reason}", where=shown, remedy="Check the name and its permissions."
        ) from None
    if len(content) > MAX_BYTES:
        raise InputError("is larger than 1 MiB", where=shown, remedy="Split it into several files.")
    return content


def load(text: str | bytes, *, file: str) -> Document:
    """Read one YAML document.

    Raises:
        ProblemsError: anything in it is refused; all that could be found is told.
    """
    document, problems = parse(text, file=file)
    if document is None or problems:
        raise ProblemsError(problems)
    return document


def parse(text: str | bytes, *, file: str) -> tuple[Document | None, list[Problem]]:
    """Read one YAML document as far as it goes, so that a caller can tell mistakes of other kinds as well.

    Returns:
        The document, None where it cannot be read to its end; and what is refused in it, at most `MAX_PROBLEMS`.
    """
    decoded, problems = _decode(text, file)
    if problems:
        return None, problems
    builder = Builder(file)
    try:
        for event in yaml.parse(decoded, Loader=_LOADER):
            builder.take(event)
    except StopReading:
        return None, builder.problems
    except yaml.MarkedYAMLError as error:
        line, column, message = syntax_message(error, decoded)
        # A `*` at the start of a text, or text that runs on, is told already; what follows from it would only confuse.
        if line not in builder.told_lines:
            builder.problems.append(Problem(file=file, line=line, column=column, message=message))
        return None, builder.problems
    except yaml.YAMLError as error:
        first_line = str(error).strip().splitlines()[0]
        return None, [*builder.problems, Problem(file=file, message=f"not valid YAML: {first_line}")]
    document = Document(
        file=file,
        data=builder.root,
        places=builder.places or {(): (1, 1)},
        key_places=builder.key_places,
        sources=builder.sources,
    )
    return document, builder.problems


def _decode(content: str | bytes, file: str) -> tuple[str, list[Problem]]:
    if len(content) > MAX_BYTES:
        return "", [Problem(file=file, message="larger than 1 MiB; split it into several files")]
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8").replace("\r\n", "\n")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        return "", [Problem(file=file, line=line, column=column, message=message)]
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text, list(_forbidden_characters(text, file))


def _forbidden_characters(text: str, file: str) -> Iterator[Problem]:
    told: set[int] = set()
    line, line_start, scanned = 1, 0, 0
    for match in _FORBIDDEN.finditer(text):
        line += text.count("\n", scanned, match.start())
        line_start = max(line_start, text.rfind("\n", scanned, match.start()) + 1)
        scanned = match.start()
        if line in told:
            continue
        told.add(line)
        character = match.group()
        message = "a tab; use spaces" if character == "\t" else f"the character U+{ord(character):04X}; remove it"
        yield Problem(file=file, line=line, column=match.start() - line_start + 1, message=message)
        if len(told) == MAX_PROBLEMS:
            return
