"""Check JSON values against the schemas that are shipped beside the code that owns them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_MOST_COMPLAINTS = 5


@cache
def load_schema(path: Path) -> Mapping[str, Any]:
    """A schema file, checked itself against the 2020-12 meta-schema.

    Raises:
        jsonschema.SchemaError: the shipped file is no schema, which is a bug of ours.
    """
    schema: dict[str, Any] = json.loads(path.read_bytes())
    Draft202012Validator.check_schema(schema)
    return schema


@cache
def _validator(path: Path) -> Draft202012Validator:
    return Draft202012Validator(load_schema(path))


def complaints(value: Any, schema: Path) -> tuple[str, ...]:
    """What a value has against its schema, at most five, each as `$.path: what`; empty where it satisfies it."""
    found = sorted(_validator(schema).iter_errors(value), key=lambda error: error.json_path)
    return tuple(f"{error.json_path}: {error.message[:200]}" for error in found[:_MOST_COMPLAINTS])
