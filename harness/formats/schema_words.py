"""Plain words for the keywords of JSON Schema, and "did you mean"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.formats.schema_findings import Finding

_SHOWN = 60
_COMPARED = 100
_DIGITS = re.compile(r"(?<![.0-9])([1-9])[0-9]+")
_KINDS = {
    "object": "a mapping of keys to values",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_PLURALS = _KINDS | {"object": "mappings", "array": "lists", "integer": "whole numbers", "number": "numbers"}


def show(value: object) -> str:
    """A value as it is named in a message: one line, at most some sixty characters."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str) and len(value) > _SHOWN:
        return repr(f"{value[: _SHOWN - 3]}...")
    return repr(value)


def items(values: Iterable[object]) -> str:
    """Names or choices in a row: text without quotes, as it is written in YAML."""
    return ", ".join(value if isinstance(value, str) else show(value) for value in values)


def kind(value: object) -> str:
    """What a value without quotes is, in words."""
    return "a number" if isinstance(value, (int, float)) and not isinstance(value, bool) else show(value)


def close_match(value: object, options: Iterable[object]) -> str | None:
    """The option that was probably meant; None where none is close."""
    names = {option.lower(): option for option in options if isinstance(option, str)}
    if not isinstance(value, str) or len(value) > _COMPARED:
        return None
    found = difflib.get_close_matches(value.lower(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def suggestion(value: object, options: Iterable[object]) -> str:
    """`Did you mean 'vulkan'?` with a space before it; empty where nothing is close."""
    match = close_match(value, options)
    return f" Did you mean '{match}'?" if match else ""


def wanted(schema: Mapping[str, Any]) -> str:
    """What a schema wants, in words: its own description for text and lists, else its choices or kinds."""
    if "enum" in schema:
        return f"one of {items(schema['enum'])}"
    types = schema.get("type", ())
    names = [types] if isinstance(types, str) else list(types)
    if "description" in schema and names in (["string"], ["array"]):
        return str(schema["description"])
    if names == ["array"]:
        inner = schema.get("items", {}).get("type")
        return f"a list of {_PLURALS[inner]}" if isinstance(inner, str) else "a list"
    return " or ".join(_KINDS[name] for name in names) or "something else"


def message(found: Finding) -> str:
    """What is wrong with one value, for the keywords that need no look at the document around it."""
    words = _WORDS.get(found.keyword)
    return words(found) if words else found.message[:200]


def _not_one_of(found: Finding) -> str:
    value = found.instance
    # Where true and false are only another spelling of 1 and 0, they need not be offered.
    options = [option for option in found.limit if not isinstance(option, bool)] or found.limit
    text = f"{show(value)} is not one of {items(options)}."
    if hint := suggestion(value, options):
        return text + hint
    same = next((option for option in options if str(option) == str(value)), None)
    if same is None:
        return text
    return f"{text} Write it {'with' if isinstance(same, str) else 'without'} quotes."


def _pattern(found: Finding) -> str:
    described = found.schema.get("description", f"text that fits {found.limit}")
    # Where the pattern counts digits, and one digit in place of many would do, the number is the mistake.
    shorter = _DIGITS.sub(r"\1", found.instance)
    if "[0-9]{" in found.limit and shorter != found.instance and re.search(found.limit, shorter):
        return f"{show(found.instance)} is too large for {described}"
    return f"{show(found.instance)} is not {described}"


def _too_few(found: Finding) -> str:
    if not found.instance:
        return "must not be empty"
    return f"is too short: {len(found.instance)}, at least {found.limit}"


def _too_many(found: Finding) -> str:
    return f"is too long: {len(found.instance)}, at most {found.limit}"


_WORDS: dict[str, Callable[[Finding], str]] = {
    "enum": _not_one_of,
    "const": lambda f: f"must be {show(f.limit)}, not {show(f.instance)}",
    "pattern": _pattern,
    "type": lambda f: f"must be {wanted(f.schema)}, not {show(f.instance)}",
    "minimum": lambda f: f"{show(f.instance)} is too small: at least {f.limit}",
    "maximum": lambda f: f"{show(f.instance)} is too large: at most {f.limit}",
    "exclusiveMinimum": lambda f: f"{show(f.instance)} is too small: more than {f.limit}",
    "exclusiveMaximum": lambda f: f"{show(f.instance)} is too large: less than {f.limit}",
    "minItems": _too_few,
    "minLength": _too_few,
    "minProperties": _too_few,
    "maxItems": _too_many,
    "maxLength": _too_many,
    "maxProperties": _too_many,
}
