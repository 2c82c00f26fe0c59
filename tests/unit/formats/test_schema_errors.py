import pytest

from harness.formats.schema_errors import MAX_PROBLEMS, check, close_match, show
from harness.formats.strict_yaml import load

NAME = {"type": "string", "pattern": "^[a-z]+$", "description": "a name of small letters"}


def told(text: str, schema: dict[str, object]) -> list[str]:
    return [str(problem) for problem in check(load(text, file="x.yaml"), schema)]


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"enum": ["cpu", "cuda"]}, "cudda", "'cudda' is not one of cpu, cuda. Did you mean 'cuda'?"),
        ({"enum": ["cpu", "cuda"]}, "zzz", "'zzz' is not one of cpu, cuda."),
        ({"enum": [0, 1, False, True]}, "2", "2 is not one of 0, 1."),
        ({"enum": [0, 1]}, '"1"', "'1' is not one of 0, 1. Write it without quotes."),
        ({"enum": ["1", "2"]}, "1", "1 is not one of 1, 2. Write it with quotes."),
        ({"const": 3}, "4", "must be 3, not 4"),
        ({"type": "integer"}, "1.5", "must be a whole number, not 1.5"),
        ({"type": "integer"}, '"15"', "must be a whole number, not '15'; write it without quotes"),
        ({"type": "integer"}, "true", "must be a whole number, not true"),
        ({"type": "string"}, "1.10", 'must be text, but 1.10 without quotes is a number: quote it: "1.10"'),
        ({"type": "string"}, "true", 'must be text, but true without quotes is true: quote it: "true"'),
        ({"type": "string"}, "", "must be text, not nothing"),
        ({"type": "string"}, "[a]", "must be text, not a list"),
        ({"type": "object"}, "[]", "must be a mapping of keys to values, not an empty list"),
        ({"type": "array", "items": {"type": "integer"}}, "1", "must be a list of whole numbers, not 1"),
        ({"type": ["string", "integer"]}, "1.5", "must be text or a whole number, not 1.5"),
        (NAME, "A1", "'A1' is not a name of small letters"),
        (NAME, "12", "must be a name of small letters, not 12"),
        ({"pattern": "^x"}, "z", "'z' is not text that fits ^x"),
        ({"minimum": 1}, "0", "0 is too small: at least 1"),
        ({"maximum": 1}, "2", "2 is too large: at most 1"),
        ({"exclusiveMinimum": 0}, "0", "0 is too small: more than 0"),
        ({"exclusiveMaximum": 0}, "0", "0 is too large: less than 0"),
        ({"minItems": 1}, "[]", "must not be empty"),
        ({"minItems": 2}, "[1]", "is too short: 1, at least 2"),
        ({"maxItems": 1}, "[1, 2]", "is too long: 2, at most 1"),
        ({"maxLength": 1}, "ab", "is too long: 2, at most 1"),
        ({"multipleOf": 2}, "3", "3 is not a multiple of 2"),
        ({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}, "x",
         "must be a whole number or a list of these, not 'x'"),
        ({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array"}]}, "0", "0 is too small: at least 1"),
        ({"anyOf": [{"enum": ["a"]}, {"type": "array", "items": {"enum": ["a"]}}]}, "{}",
         "must be one of a or a list of these, not an empty mapping"),
        ({"anyOf": [NAME, {"type": "integer"}]}, "1.5", "must be a name of small letters or a whole number, not 1.5"),
    ],
)  # fmt: skip
def test_messages(schema: dict[str, object], text: str, expected: str) -> None:
    assert told(f"a: {text}\n", {"properties": {"a": schema}}) == [f"x.yaml:1:{3 if not text else 4}: $.a: {expected}"]


def test_items_of_alternatives_have_their_own_place() -> None:
    schema = {"anyOf": [{"enum": ["a", "b"]}, {"type": "array", "items": {"enum": ["abc", "b"]}}]}
    assert told("[b, abd, 1]", schema) == [
        "x.yaml:1:5: $[1]: 'abd' is not one of abc, b. Did you mean 'abc'?",
        "x.yaml:1:10: $[2]: 1 is not one of abc, b.",
    ]


def test_keys() -> None:
    schema = {
        "additionalProperties": False,
        "properties": {"model": {}, "backend": {}},
        "required": ["model", "backend"],
    }
    assert told("{backend: 1, colour: 2}", schema) == [
        "x.yaml:1:1: $: the key 'model' is missing",
        "x.yaml:1:14: $.colour: unknown key 'colour'. Known here: model, backend",
    ]
    assert told("{}", schema) == [
        "x.yaml:1:1: $: the key 'backend' is missing",
        "x.yaml:1:1: $: the key 'model' is missing",
    ]


def test_a_misspelt_key_is_not_told_to_be_missing_too() -> None:
    schema = {"additionalProperties": False, "properties": {"model": {}}, "required": ["model"]}
    assert told("modle: 1", schema) == ["x.yaml:1:1: $.modle: unknown key 'modle'. Did you mean 'model'?"]
    either = {"additionalProperties": False, "properties": {"model": {}}, "oneOf": [{"required": ["model"]}]}
    assert told("modle: 1", either) == ["x.yaml:1:1: $.modle: unknown key 'modle'. Did you mean 'model'?"]


def test_one_key_of_several() -> None:
    schema = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert told("{}", schema) == ["x.yaml:1:1: $: must have exactly one of the keys a, b"]
    assert told("{a: 1, b: 2}", schema) == [
        "x.yaml:1:1: $: must have exactly one of the keys a, b, not a and b together"
    ]
    assert told("{}", {"anyOf": schema["oneOf"]}) == ["x.yaml:1:1: $: must have at least one of the keys a, b"]


def test_keys_that_need_each_other() -> None:
    schema = {"dependentRequired": {"a": ["b", "c"]}}
    assert told("{x: 1, a: 1}", schema) == ["x.yaml:1:8: $.a: 'a' needs 'b' and 'c' beside it"]


def test_names_of_keys() -> None:
    schema = {"properties": {"m": {"propertyNames": NAME}}}
    assert told("m:\n  A b: 1\n", schema) == ["x.yaml:2:3: $.m['A b']: 'A b' is not a name of small letters"]


def test_the_kind_of_a_value_is_told_alone() -> None:
    assert told("a: []", {"properties": {"a": {"type": "string", "enum": ["x"], "minLength": 3}}}) == [
        "x.yaml:1:4: $.a: must be one of x, not an empty list"
    ]


def test_problems_stand_in_the_order_of_the_file_and_are_bounded() -> None:
    schema = {"items": {"type": "integer"}}
    found = told("\n".join(["- x"] * 5000), schema)
    assert len(found) == MAX_PROBLEMS
    assert found[:2] == [
        "x.yaml:1:3: $[0]: must be a whole number, not 'x'",
        "x.yaml:2:3: $[1]: must be a whole number, not 'x'",
    ]


def test_valid_documents_have_no_problems() -> None:
    assert told("a: 1", {"required": ["a"]}) == []


def test_values_are_shown_short() -> None:
    assert show("x" * 1000) == repr("x" * 57 + "...")
    assert show("a\nb") == "'a\\nb'"
    assert show({"a": 1}) == "a mapping"
    assert show(2.5) == "2.5"


def test_close_matches() -> None:
    assert close_match("CUDA", ["cpu", "cuda"]) == "cuda"
    assert close_match("vulcan", ["cpu", "vulkan"]) == "vulkan"
    assert close_match("zzz", ["cpu"]) is None
    assert close_match(5, ["cpu"]) is None
    assert close_match("x" * 1_000_000, ["x" * 1_000_000]) is None, "not compared: it would take minutes"
