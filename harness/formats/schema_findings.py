"""What a validator found wrong with one value, without the validator's own types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from jsonschema.exceptions import ValidationError

from harness.formats.document import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One violated keyword of a schema.

    Attributes:
        keyword: of the schema, such as `enum`. limit: its value there.
        schema: the (sub)schema in which it stands.
        instance: the value that violates it. path: where that is in the document.
        at_root: within an alternative: whether it is about the alternative as a whole.
        is_name: whether the value is a key of the mapping at `path`.
        branch: within an alternative: which one.
        context: of `oneOf` and `anyOf`: what each alternative found.
    """

    keyword: str
    limit: Any
    schema: Mapping[str, Any]
    instance: Any
    path: KeyPath
    at_root: bool
    is_name: bool
    branch: int
    message: str
    context: tuple[Finding, ...]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The known keys, of a schema for mappings."""
        return cast("Mapping[str, Any]", self.schema.get("properties", {}))

    @property
    def unknown_keys(self) -> list[str]:
        """The keys of the mapping that the schema does not know."""
        return [str(key) for key in self.instance if key not in self.properties]


def finding(error: ValidationError) -> Finding:
    """The finding in an error of jsonschema."""
    steps = list(error.schema_path)
    return Finding(
        keyword=str(error.validator),
        limit=error.validator_value,
        schema=error.schema if isinstance(error.schema, Mapping) else {},
        instance=error.instance,
        path=tuple(error.absolute_path),
        at_root=not error.relative_path,
        is_name="propertyNames" in error.absolute_schema_path,
        branch=steps[0] if steps and isinstance(steps[0], int) else 0,
        message=error.message,
        context=tuple(finding(child) for child in error.context or ()),
    )
