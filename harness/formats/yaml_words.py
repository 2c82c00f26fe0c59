"""Plain words for what is wrong in YAML: values that readers understand differently, and syntax errors."""

from __future__ import annotations

import re

import yaml

_SWITCH = re.compile(r"(?:y|n|yes|no|on|off)", re.IGNORECASE)
_ON = frozenset({"y", "yes", "on"})
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|nan)", re.IGNORECASE)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"[-+]?0(?:x[0-9A-Fa-f_]+|o[0-7_]+|b[01_]+)")
_UNDERSCORES = re.compile(r"[-+]?[0-9]+_[0-9_]*(?:\.[0-9_]*)?")

_AMBIGUOUS = (
    (_NOT_FINITE, "is no number to measure with; write a finite one, or quote it if it is text"),
    (_BASE_60, "is a number in base 60 for some readers"),
    (_LEADING_ZERO, "is an octal number for some readers; write it without the leading zero"),
    (_OTHER_BASE, "is a number for some readers; write it in decimal"),
    (_UNDERSCORES, "is a number for some readers; write it without '_'"),
)


def ambiguity(text: str) -> str | None:
    """Why a value without quotes is refused, and what to write; None where all readers agree about it."""
    if _SWITCH.fullmatch(text):
        word = "true" if text.lower() in _ON else "false"
        return f'{text} is a boolean for some readers and text for others: write {word}, or quote it: "{text}"'
    # A hash or a commit of digits only can be long; no pattern below is worth more than a line of it.
    for pattern, why in _AMBIGUOUS:
        if pattern.fullmatch(text):
            shown = text if len(text) <= 48 else f"{text[:45]}..."  # noqa: PLR2004 - a line of a terminal
            if "quote it" in why:
                return f"{shown} {why}"
            return f'{shown} {why}{"," if ";" in why else ":"} {"or " if ";" in why else ""}quote it: "{shown}"'
    return None


_SYNTAX = (
    (
        "mapping values are not allowed",
        "a ':' where none can be: quote text that holds ': ', and check the indentation",
    ),
    ("could not find expected ':'", "a key without ':', or a value that goes on at the wrong indentation"),
    ("expected ',' or ']'", "the list that begins here with '[' lacks a ',' or its ']'"),
    ("expected ',' or '}'", "the mapping that begins here with '{' lacks a ',' or its '}'"),
    ("unexpected end of stream", "the quote that begins here is not closed"),
    ("unexpected document separator", "the quote that begins here is not closed"),
    ("unknown escape character", "an unknown escape after '\\' in double quotes: use single quotes"),
    ("undefined tag handle", "'!' begins a tag, which is not accepted: remove it, or quote the text"),
    ("incompatible YAML document", "a '%YAML' line for another version: remove it"),
    ("expected '-' indicator", "a '-' is missing, or the indentation differs from that of the entries above"),
    ("expected key", "unexpected here: check the indentation, and quotes within quotes"),
    ("expected <block end>", "unexpected here: check the indentation, and quotes within quotes"),
    ("sequence entries are not allowed", "a '-' where no list can begin: put it on a line of its own"),
    ("node content", "a value is missing here"),
)
_BEGUN = ("alias", "anchor")
_OPENED = ("expected ',' or", "unexpected end of stream", "unexpected document separator")


def syntax_message(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Line, column (1-based; 0 where unknown) and plain words for a syntax error of PyYAML or libyaml in `text`."""
    problem = error.problem or ""
    # What is not closed is found at its end, but has to be looked for where it was opened.
    context = error.context or ""
    opened = any(part in problem for part in _OPENED) or any(f"scanning an {what}" in context for what in _BEGUN)
    mark = (opened and error.context_mark) or error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    if "cannot start any token" in problem:
        character = _character(text, line, column)
        return line, column, f"a value cannot begin with {character!r}: quote it"
    if "an alias" in context:
        return line, column, "'*' begins an alias, which is not accepted: quote text that begins with '*'"
    if "an anchor" in context:
        return line, column, "'&' begins an anchor, which is not accepted: quote text that begins with '&'"
    if "a tag" in context:
        return line, column, "'!' begins a tag, which is not accepted: remove it, or quote the text"
    for part, words in _SYNTAX:
        if part in problem:
            return line, column, words
    return line, column, f"not valid YAML: {problem}"


def _character(text: str, line: int, column: int) -> str:
    lines = text.split("\n")
    row = lines[line - 1] if 0 < line <= len(lines) else ""
    return row[column - 1] if 0 < column <= len(row) else "?"
