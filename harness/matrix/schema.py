"""The JSON Schemas of matrix files and of the registry.

What follows from the tables of backends, presets and parameters is put in when a schema is loaded. The shipped
`matrix.schema.json`, which editors can use, holds the same; after a change of a table it is written again by

    python -m harness.matrix.schema
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from harness.values.backend import BACKENDS
from harness.values.cell import PARAMETERS, Parameter
from harness.values.matrix import PRESETS
from harness.values.measurement import MEASUREMENTS

MATRIX_SCHEMA = Path(__file__).with_name("matrix.schema.json")
MODELS_SCHEMA = Path(__file__).with_name("models.schema.json")

_GENERATED = "generated from the table of parameters"
_MAX_INT = 2**31 - 1
_SHARED = ("name", "sha256", "relative_path", "model", "recipe")

# A comma within a text would be read by llama-bench as the beginning of another value.
_TEXT_VALUE = {
    "description": "text without commas (for several values, write a list)",
    "type": "string",
    "maxLength": 300,
    "pattern": "^[^,\\s](?:[^,\\n]*[^,\\s])?$(?!\\n)",
}


def read_schema(path: Path) -> dict[str, Any]:
    """A schema file as it lies there."""
    return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))


@cache
def models_schema() -> dict[str, Any]:
    """The schema of `matrices/models.yaml`."""
    return read_schema(MODELS_SCHEMA)


@cache
def matrix_schema() -> dict[str, Any]:
    """The schema of matrix files, with what follows from the tables."""
    return filled(read_schema(MATRIX_SCHEMA))


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy of the matrix schema with backends, presets, parameters and the definition of models put in."""
    result: dict[str, Any] = json.loads(json.dumps(schema))
    result["properties"]["preset"]["enum"] = list(PRESETS)
    result["$defs"] |= {name: models_schema()["$defs"][name] for name in _SHARED}
    cell = result["$defs"]["cell"]["properties"]
    cell["backend"]["enum"] = list(BACKENDS)
    cell["measure"]["enum"] = list(MEASUREMENTS)
    written = {key: value for key, value in cell.items() if value.get("$comment") != _GENERATED}
    result["$defs"]["cell"]["properties"] = written | {p.name: _parameter(p) for p in PARAMETERS.values()}
    return result


def _parameter(parameter: Parameter) -> dict[str, Any]:
    one = _one_value(parameter)
    default = "the number of physical cores" if parameter.name == "n_threads" else parameter.default
    return {
        "$comment": _GENERATED,
        "title": f"{parameter.flag}; default: {'left out' if default is None else default}",
        "anyOf": [one, {"type": "array", "minItems": 1, "items": one}],
    }


def _one_value(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind == "bool":
        return {"enum": [0, 1, False, True]}
    if parameter.kind == "fa":
        return {"enum": [*parameter.choices, False, True]}
    if parameter.choices:
        return {"type": "string", "enum": list(parameter.choices)}
    if parameter.kind == "int":
        return {"type": "integer", "minimum": parameter.minimum or 0, "maximum": _MAX_INT}
    return _TEXT_VALUE


if __name__ == "__main__":
    MATRIX_SCHEMA.write_text(json.dumps(filled(read_schema(MATRIX_SCHEMA)), indent=2) + "\n", encoding="utf-8")
