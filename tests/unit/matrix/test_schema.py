import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from harness.artifacts.synthetic_recipe import ALIASES, ARCHITECTURES, QUANTIZATIONS
from harness.matrix.schema import MATRIX_SCHEMA, MODELS_SCHEMA, filled, matrix_schema, models_schema, read_schema
from harness.values.backend import BACKENDS
from harness.values.cell import PARAMETERS
from harness.values.matrix import PRESETS

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_schema_is_current() -> None:
    shipped = MATRIX_SCHEMA.read_text(encoding="utf-8")
    current = json.dumps(filled(read_schema(MATRIX_SCHEMA)), indent=2) + "\n"
    assert shipped == current, "run `python -m harness.matrix.schema`"


@pytest.mark.parametrize("path", [MATRIX_SCHEMA, MODELS_SCHEMA], ids=lambda p: p.name)
def test_schemas_are_valid(path: Path) -> None:
    Draft202012Validator.check_schema(read_schema(path))


def test_names_come_from_the_tables() -> None:
    schema = matrix_schema()
    cell = schema["$defs"]["cell"]["properties"]
    assert cell["backend"]["enum"] == list(BACKENDS)
    assert schema["properties"]["preset"]["enum"] == list(PRESETS)
    assert set(PARAMETERS) < set(cell)


def test_a_parameter_that_left_the_table_leaves_the_schema() -> None:
    stale = read_schema(MATRIX_SCHEMA)
    stale["$defs"]["cell"]["properties"]["old"] = {**stale["$defs"]["cell"]["properties"]["poll"]}
    assert filled(stale) == matrix_schema()


def test_recipes_agree_with_what_can_be_made() -> None:
    recipe = models_schema()["$defs"]["recipe"]["properties"]
    assert set(recipe["architecture"]["enum"]) == set(ARCHITECTURES)
    assert set(recipe["quantization"]["enum"]) == set(QUANTIZATIONS) | set(ALIASES)


def patterns(schema: object) -> list[dict[str, str]]:
    if isinstance(schema, list):
        return [found for item in schema for found in patterns(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if isinstance(schema.get("pattern"), str) else []
    return own + [found for item in schema.values() for found in patterns(item)]


@pytest.mark.parametrize("schema", [matrix_schema(), models_schema()], ids=["matrix", "models"])
def test_every_pattern_is_explained_and_takes_no_trailing_line_end(schema: dict[str, object]) -> None:
    found = patterns(schema)
    assert len(found) >= 7
    for one in found:
        assert one.get("description", "").startswith(("a ", "an ", "the ", "text ")), one
        for text in ("a", "pp512", "8GiB", "a" * 64, "a" * 40, "a/b", "a==1", "/a"):
            assert not re.search(one["pattern"], text + "\n"), one


def test_the_documentation_names_every_parameter_and_backend() -> None:
    text = (ROOT / "docs/matrix.md").read_text(encoding="utf-8")
    for name in (*PARAMETERS, *BACKENDS, *PRESETS, *QUANTIZATIONS, *ARCHITECTURES):
        assert f"`{name}`" in text or name in QUANTIZATIONS, name
    for parameter in PARAMETERS.values():
        assert f"`{parameter.flag}`" in text
        assert f"`{parameter.short}`" in text
    keys = (*matrix_schema()["properties"], *matrix_schema()["$defs"]["cell"]["properties"])
    assert [key for key in keys if f"`{key}`" not in text] == []
