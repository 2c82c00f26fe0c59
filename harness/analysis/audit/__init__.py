"""Is a report's folder what it was when it was measured? Everything that can be checked from its files alone.

What is found is told with its place. A folder without findings was not changed by accident, nor by somebody who
changed a part of it. Who rewrites all of it, hashes and journal too, is not found out: nothing is signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.audit.findings import Finding
from harness.analysis.audit.imported import audit_imports
from harness.analysis.audit.journal import audit_journal
from harness.analysis.audit.lines import Line, audit_line, read_lines
from harness.analysis.audit.links import audit_links, audit_session
from harness.analysis.audit.outcomes import audit_outcomes
from harness.store.sessions import Session

__all__ = ["Audit", "Finding", "audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was looked at, and what was found.

    Attributes:
        imported: rows of other programs.
    """

    records: int
    sessions: int
    samples: int
    imported: int
    findings: tuple[Finding, ...]


def audit(folder: Path, *, simulated: bool = False) -> Audit:
    """Check records, sessions, journals and the matrix file of a folder against each other, and imported rows.

    Args:
        simulated: the folder is one of simulated results, which may hold nothing else; a real one holds none.
    """
    findings: list[Finding] = []
    sessions: dict[str, tuple[Session, str]] = {}
    for path in sorted((folder / "sessions").glob("*.json")):
        session, hash_, found = audit_session(path)
        findings += found
        if session is not None:
            sessions[session.id] = (session, hash_)
    lines: list[Line] = []
    for path in sorted((folder / "records").glob("*.jsonl")):
        own, found = read_lines(path)
        findings += found
        seen: dict[tuple[str, str, int, int], int] = {}
        whole = []
        for line in own:
            findings += audit_line(line, seen)
            if line.record is None:
                continue
            whole.append(line)
            findings += audit_links(line, sessions, simulated=simulated)
            findings += audit_outcomes(line)
        lines += own
        findings += audit_journal(folder / "journal" / path.name, whole)
    imported, found = audit_imports(folder)
    findings += found
    # A folder may hold imported rows alone, and then no start of ours either.
    if not lines and (sessions or not imported):
        findings.append(Finding(where="records", what="there are none"))
    findings += _matrix(folder, {session.id: session for session, _ in sessions.values()})
    return Audit(
        records=len(lines),
        sessions=len(sessions),
        samples=sum(len(o.samples_ns) for line in lines if line.record for o in line.record.outcomes),
        imported=imported,
        findings=tuple(findings),
    )


def _matrix(folder: Path, sessions: Mapping[str, Session]) -> list[Finding]:
    if not sessions:
        return []
    latest = max(sessions.values(), key=lambda session: session.started_utc)
    try:
        actual = hashlib.sha256((folder / "matrix.yaml").read_bytes()).hexdigest()
    except OSError as error:
        return [Finding(where="matrix.yaml", what=f"cannot be read: {error.strerror or error}")]
    if actual != latest.matrix_sha256:
        what = f"has SHA-256 {actual}, and the newest session ({latest.id}) measured {latest.matrix_sha256}"
        return [Finding(where="matrix.yaml", what=what)]
    return []
