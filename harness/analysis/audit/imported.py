"""Imported rows: each as it was written when it was imported, in the file that is named after its text and source."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.audit.findings import Finding
from harness.errors import InputError
from harness.store.imports import import_path, read_import


def audit_imports(folder: Path) -> tuple[int, list[Finding]]:
    """How many rows a folder holds, and what is wrong with its files of them."""
    rows, findings = 0, []
    for path in sorted((folder / "imports").glob("*.jsonl")):
        where = f"{path.parent.name}/{path.name}"
        try:
            own = read_import(path, shown=where)
        except (InputError, OSError) as error:
            findings.append(Finding(where=where, what=error.what if isinstance(error, InputError) else str(error)))
            continue
        rows += len(own)
        if any(import_path(folder, row.text_sha256, row.source) != path for row in own):
            findings.append(Finding(where=where, what="holds rows of another text or source than its name says"))
    return rows, findings
