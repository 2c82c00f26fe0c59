"""What a JSON Schema says about a document: all mistakes at once, each at its place and in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

from jsonschema import Draft202012Validator

from harness.errors import Problem
from harness.formats.document import Document, KeyPath
from harness.formats.schema_findings import Finding, finding
from harness.formats.schema_words import close_match, items, kind, message, show, suggestion, wanted

MAX_PROBLEMS = 100
_QUOTED = 40

__all__ = ["MAX_PROBLEMS", "check", "close_match", "items", "show", "suggestion"]


def check(
    document: Document, schema: Mapping[str, Any], *, also_called: Mapping[str, str] = MappingProxyType({})
) -> list[Problem]:
    """Check a document against a schema of JSON Schema 2020-12.

    Patterns are explained by the `description` that stands beside them ("'x y' is not <description>"), so a
    schema with a `pattern` needs one. Alternatives should differ in the kind of value, or only in `required`.

    Args:
        also_called: keys by other names that they are known by; these are suggested, not taken.

    Returns:
        The problems in the order of their places, at most `MAX_PROBLEMS`; empty where the document is valid.
    """
    errors = Draft202012Validator(schema).iter_errors(document.data)
    found = _without_doubles([finding(error) for error in islice(errors, 10 * MAX_PROBLEMS)])
    teller = _Teller(document=document, meant=_meant_keys(found), also_called=also_called)
    problems = {problem for one in found for problem in teller.tell(one)}
    return sorted(problems, key=lambda p: (p.line, p.column, p.path, p.message))[:MAX_PROBLEMS]


def _without_doubles(findings: Sequence[Finding]) -> list[Finding]:
    """Where a value is of the wrong kind, nothing else has to be said about it."""
    wrong_kind = {found.path for found in findings if found.keyword == "type"}
    return [found for found in findings if found.keyword == "type" or found.path not in wrong_kind]


def _meant_keys(findings: Iterable[Finding]) -> dict[KeyPath, set[str]]:
    """For each mapping the known keys that its unknown ones probably mean: these are then not told to be missing."""
    meant: dict[KeyPath, set[str]] = {}
    for found in findings:
        if found.keyword == "additionalProperties":
            keys = {close_match(key, found.properties) for key in found.unknown_keys}
            meant.setdefault(found.path, set()).update(key for key in keys if key)
        for path, inner in _meant_keys(found.context).items():
            meant.setdefault(path, set()).update(inner)
    return meant


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller:
    """Turns findings into problems with places."""

    document: Document
    meant: Mapping[KeyPath, set[str]]
    also_called: Mapping[str, str]

    def tell(self, found: Finding) -> Iterator[Problem]:
        if found.is_name:
            path = (*found.path, str(found.instance))
            yield self.document.problem(path, message(found), at_key=True)
            return
        special = _SPECIAL.get(found.keyword)
        if special:
            yield from special(self, found)
        else:
            yield self.document.problem(found.path, message(found))

    def unknown_keys(self, found: Finding) -> Iterator[Problem]:
        for key in found.unknown_keys:
            known = self.also_called.get(key, key)
            hint = suggestion(known, found.properties) or f" Known here: {items(found.properties)}"
            yield self.document.problem((*found.path, key), f"unknown key {show(key)}.{hint}", at_key=True)

    def required(self, found: Finding) -> Iterator[Problem]:
        # The validator tells each missing key of a mapping by itself, without its name: the doubles fall away above.
        for key in found.limit:
            if self._missing(key, found):
                yield self.document.problem(found.path, f"the key '{key}' is missing")

    def dependent(self, found: Finding) -> Iterator[Problem]:
        for key, others in found.limit.items():
            missing = [other for other in others if key in found.instance and self._missing(other, found)]
            if missing:
                text = f"'{key}' needs {' and '.join(repr(other) for other in missing)} beside it"
                yield self.document.problem((*found.path, key), text, at_key=True)

    def wrong_type(self, found: Finding) -> Iterator[Problem]:
        text = message(found)
        if source := self._quotable(found, [found.schema]):
            text = f'must be text, but {source} without quotes is {kind(found.instance)}: quote it: "{source}"'
        elif found.limit in ("integer", "number") and isinstance(found.instance, str):
            text += "; write it without quotes" if found.instance.isdecimal() else ""
        yield self.document.problem(found.path, text)

    def alternatives(self, found: Finding) -> Iterator[Problem]:
        if all(set(branch) == {"required"} for branch in found.limit):
            yield from self._one_key_of(found)
            return
        branches: dict[int, list[Finding]] = {}
        for child in found.context:
            branches.setdefault(child.branch, []).append(child)
        # Only alternatives for this kind of value can tell more than that it is of the wrong kind.
        fitting = [inner for inner in branches.values() if not any(_of_another_kind(child) for child in inner)]
        if fitting:
            for child in min(fitting, key=len):
                yield from self.tell(child)
            return
        schemas = [next(child.schema for child in inner if _of_another_kind(child)) for inner in branches.values()]
        yield self.document.problem(found.path, self._none_of(found, schemas))

    def _none_of(self, found: Finding, schemas: Sequence[Mapping[str, Any]]) -> str:
        choices = ["a list of these" if schema.get("type") == "array" else wanted(schema) for schema in schemas]
        text = f"must be {' or '.join(dict.fromkeys(choices))}, not {show(found.instance)}"
        source = self._quotable(found, schemas)
        return f'{text}; quote it: "{source}"' if source else text

    def _quotable(self, found: Finding, schemas: Sequence[Mapping[str, Any]]) -> str:
        """What stands in the file without quotes, if one of the schemas would take it as text; else nothing."""
        source = self.document.sources.get(found.path, "")
        texts = [schema for schema in schemas if schema.get("type") == "string"]
        fits = any(re.search(schema.get("pattern", ""), source) for schema in texts)
        return source if source and len(source) <= _QUOTED and found.instance is not None and fits else ""

    def _one_key_of(self, found: Finding) -> Iterator[Problem]:
        names = list(dict.fromkeys(name for branch in found.limit for name in branch["required"]))
        present = [name for name in names if name in found.instance]
        if not self.meant.get(found.path, set()) & set(names):
            number = "exactly" if found.keyword == "oneOf" else "at least"
            text = f"must have {number} one of the keys {items(names)}"
            text += f", not {' and '.join(present)} together" if present else ""
            yield self.document.problem(found.path, text)

    def _missing(self, key: str, found: Finding) -> bool:
        return key not in found.instance and key not in self.meant.get(found.path, ())


def _of_another_kind(found: Finding) -> bool:
    if not found.at_root:
        return False
    return found.keyword == "type" or (found.keyword == "enum" and isinstance(found.instance, (list, dict)))


_SPECIAL: dict[str, Callable[[_Teller, Finding], Iterator[Problem]]] = {
    "additionalProperties": _Teller.unknown_keys,
    "required": _Teller.required,
    "dependentRequired": _Teller.dependent,
    "type": _Teller.wrong_type,
    "oneOf": _Teller.alternatives,
    "anyOf": _Teller.alternatives,
}
