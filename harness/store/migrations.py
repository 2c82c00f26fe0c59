"""The history of the record's format. Older records are migrated on reading; newer ones are refused by name.

1   the first: one line a run, `Record` by its annotations, under `schema` and `version`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCHEMA = "llama-bench-harness/record"
VERSION = 1

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By the version that is migrated from, to the next one."""


class VersionError(ValueError):
    """A record that this program cannot read; the message says why and what to do."""


def migrate(
    data: Any,
    *,
    version: int = VERSION,
    migrations: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Bring the JSON of a record of any age to the current version.

    Raises:
        VersionError: it is no record, or a newer one, or one that has no way here.
    """
    migrations = MIGRATIONS if migrations is None else migrations
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise VersionError(f"this is no record (`schema` is not {SCHEMA!r})")
    found = data.get("version")
    if not isinstance(found, int) or isinstance(found, bool):
        raise VersionError(f"`version` is {found!r}, not a number")
    if found > version:
        raise VersionError(
            f"record version {found} is newer than this program's {version}: update the harness to read it"
        )
    while found < version:
        if found not in migrations:
            raise VersionError(f"record version {found} can no longer be read")
        data = {**migrations[found](data), "version": found + 1}
        found += 1
    return dict(data)
