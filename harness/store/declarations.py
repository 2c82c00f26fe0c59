"""Declarations: `declared.yaml` in a report's folder, a reason by each kind of objection; or the same by a flag."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.errors import InputError, Problem, ProblemsError
from harness.formats import strict_yaml
from harness.values.declaration import Kind

DECLARED = "declared.yaml"
MAX_REASON = 300
_KINDS = ", ".join(kind.value for kind in Kind)


def read_declarations(folder: Path) -> dict[Kind, str]:
    """What the folder's file declares; nothing where there is none.

    Raises:
        InputError: it cannot be read, or declares what is not known, or gives no reason.
    """
    path = folder / DECLARED
    if not path.exists():
        return {}
    document = strict_yaml.load(strict_yaml.read_bytes(path, shown=str(path)), file=str(path))
    if not isinstance(document.data, dict):
        raise ProblemsError(
            [Problem(file=str(path), message=f"holds no lines such as `no-control: reason` ({_KINDS})")]
        )
    found, problems = {}, []
    for name, reason in document.data.items():
        if name not in set(Kind):
            problems.append(document.problem((name,), f"{name!r} is not one of {_KINDS}", at_key=True))
        elif not _reason(reason):
            problems.append(document.problem((name,), f"needs a reason in 1 to {MAX_REASON} characters"))
        else:
            found[Kind(name)] = str(reason)
    if problems:
        raise ProblemsError(problems)
    return found


def parse_declarations(texts: Iterable[str], names: Iterable[str]) -> dict[str, dict[Kind, str]]:
    """Those of flags such as `demo:no-control=measured in an hour's loan`, by the name of the report.

    Args:
        names: of the reports that are published.

    Raises:
        InputError: one is not of this form, or of another report.
    """
    known = tuple(names)
    found: dict[str, dict[Kind, str]] = {}
    for text in texts:
        what, separator, reason = text.partition("=")
        name, _, kind = what.rpartition(":")
        if not separator or kind not in set(Kind) or not _reason(reason):
            raise InputError(
                f"{text!r} is no declaration",
                where="--declare",
                remedy=f"Write REPORT:KIND=REASON, where KIND is one of {_KINDS}.",
            )
        if name not in known:
            raise InputError(
                f"there is no report {name!r} among those that are published",
                where="--declare",
                remedy=f"They are: {', '.join(known)}.",
            )
        found.setdefault(name, {})[Kind(kind)] = reason.strip()
    return found


def render_declarations(declared: Mapping[Kind, str]) -> bytes:
    """The file: every text quoted, in the order of the kinds."""
    lines = [f"{kind}: {json.dumps(declared[kind], ensure_ascii=False)}" for kind in Kind if kind in declared]
    return "\n".join(
        ["# Shown beside the results wherever they are published. See docs/publishing.md.", *lines, ""]
    ).encode()


def _reason(reason: object) -> bool:
    return isinstance(reason, str) and 0 < len(reason.strip()) <= MAX_REASON and reason.isprintable()
