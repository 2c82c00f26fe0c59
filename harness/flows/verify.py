"""`invoke verify`: is a report's folder what was measured? Needs no engine, no model and no network."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict
from pathlib import Path

from harness.analysis.audit import Audit, Finding, audit
from harness.analysis.reproduction import judge, overall
from harness.errors import BenchError, CellsFailedError, InputError
from harness.flows.console import Display
from harness.flows.publish import find_report_folder
from harness.flows.read_matrix import read_matrix
from harness.flows.workspace import Workspace, find_workspace
from harness.report.page.build import PAGE, comparable
from harness.report.report import REPORT, render_report, stray_charts
from harness.store.reproductions import Conclusion, read_reproduction
from harness.store.sessions import Session, read_sessions

MAX_LINES = 10
"""Differing lines of the report that are shown."""


def verify(folder: str, *, as_json: bool = False, workspace: Workspace | None = None) -> None:
    """Check a report's folder against itself and print what is wrong, each with its place.

    Raises:
        InputError: there is no such folder, or neither records nor imported rows in it.
        CellsFailedError: something is not as it was measured.
    """
    workspace, display = workspace or find_workspace(), Display()
    path = _named(folder, workspace)
    if not (path / "records").is_dir() and not any(path.glob("imports/*.jsonl")):
        raise InputError("holds no records", where=str(path), remedy="Name a folder such as reports/demo.")
    looked_at, findings = findings_of(path, workspace)
    if as_json:
        found = {**asdict(looked_at), "findings": [asdict(finding) for finding in findings], "ok": not findings}
        display.say(json.dumps(found, indent=1))
    else:
        for finding in findings:
            display.say(f"  {finding}")
    if findings:
        raise CellsFailedError(
            f"{len(findings)} things are not as they were measured",
            where=str(path),
            remedy="Get the folder again from where it came from. Where only report.md differs, write it again with "
            "`invoke report`.",
        )
    if as_json:
        return
    if not looked_at.records:
        display.say(
            f"verified: {looked_at.imported} imported rows are as they were imported, and every line of report.md "
            "follows from them; nothing here was measured by this program, so nothing else can be verified"
        )
    else:
        display.say(
            f"verified: {looked_at.records} records of {looked_at.sessions} sessions with {looked_at.samples} samples; "
            "hashes, journal and matrix file agree, and every line of report.md follows from the records"
        )


def _named(text: str, workspace: Workspace) -> Path:
    """The folder that a text names: a path, a name under `reports/`, or a matrix file's.

    Raises:
        InputError: there is none.
    """
    for candidate in (workspace.cwd / text, workspace.reports / text):
        if candidate.is_dir():
            return candidate
    file = Path(text)
    if any(
        (place / name).is_file() for place in (workspace.cwd, workspace.matrices) for name in (file, f"{file}.yaml")
    ):
        return find_report_folder(text, workspace)
    raise InputError(
        "there is no such folder, neither here nor in reports/",
        where=text or "verify",
        remedy="Name a report's folder such as reports/demo, a site's folder, or the https:// address of a site.",
    )


def findings_of(folder: Path, workspace: Workspace) -> tuple[Audit, tuple[Finding, ...]]:
    """What was looked at in a folder, and everything that is wrong with it."""
    simulated = folder.name == "simulated"
    looked_at = audit(folder, simulated=simulated)
    findings = list(looked_at.findings)
    findings += _written_again(folder, simulated=simulated)
    findings += _promised_models(folder, workspace)
    findings += _reproductions(folder)
    return looked_at, tuple(findings)


def _written_again(folder: Path, *, simulated: bool) -> list[Finding]:
    """Report and charts, written again from the samples and compared."""
    try:
        files = render_report(folder, simulated=simulated, name=_written_as(folder))
    except InputError as error:
        return [Finding(where="report.md", what=f"cannot be computed again: {error.what}")]
    findings = _report_lines(folder, files[REPORT].split("\n"))
    findings += [_unlike(folder, path, text) for path, text in files.items() if path != REPORT]
    findings += [
        Finding(where=f"charts/{path.name}", what="the report shows no such chart")
        for path in stray_charts(folder, files)
    ]
    return [finding for finding in findings if finding.what]


def _written_as(folder: Path) -> str:
    """The name that the folder had when its report was written: a copy may have another one.

    Only its own, that of a matrix measured in it, or that of a reproduction of one is taken for such a name.
    """
    try:
        text = (folder / REPORT).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return folder.name
    matrices = "|".join(re.escape(session.matrix) for session in read_sessions(folder).values())
    said = re.search(
        rf"^\./bench reproduce reports/((?:{matrices})(?:\.reproduction-[0-9]+)?)(?= |$)", text, re.MULTILINE
    )
    return said[1] if said else folder.name


def _unlike(folder: Path, path: str, wanted: str) -> Finding:
    """That a file differs from what the records give; without words where it does not."""
    try:
        found = (folder / path).read_bytes()
    except OSError as error:
        return Finding(where=path, what=f"cannot be read: {error.strerror or error}")
    if path == PAGE:
        return Finding(where=path, what="" if _same_page(found, wanted) else "is not the page that the records give")
    return Finding(where=path, what="" if found == wanted.encode() else "is not the picture that the records give")


def _same_page(found: bytes, wanted: str) -> bool:
    """Whether two pages are the same but for how their data is packed."""
    try:
        return comparable(found.decode()) == comparable(wanted)
    except ValueError:
        return False


def _report_lines(folder: Path, wanted: list[str]) -> list[Finding]:
    """Every line of the report."""
    try:
        found = (folder / "report.md").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        return [Finding(where="report.md", what=f"cannot be read: {error.strerror or error}")]
    differing = [
        Finding(where=f"report.md, line {number}", what=_difference(a, b))
        for number, (a, b) in enumerate(itertools.zip_longest(found, wanted), start=1)
        if a != b
    ]
    if len(differing) > MAX_LINES:
        rest = Finding(where="report.md", what=f"{len(differing) - MAX_LINES} further lines differ")
        return [*differing[:MAX_LINES], rest]
    return differing


def _difference(found: str | None, wanted: str | None) -> str:
    if found is None:
        return f"is missing: {_shown(wanted or '')}"
    if wanted is None:
        return f"does not follow from the records: {_shown(found)}"
    if len(found.split("|")) == len(wanted.split("|")):
        pairs = zip(found.split("|"), wanted.split("|"), strict=True)
        cells = [(a.strip(), b.strip()) for a, b in pairs if a.strip() != b.strip()]
        if cells:
            return "; ".join(f"says {_shown(a)}, and the records say {_shown(b)}" for a, b in cells)
    return f"says {_shown(found)}, and the records say {_shown(wanted)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "...")  # noqa: PLR2004 - one line of a terminal


def _promised_models(folder: Path, workspace: Workspace) -> list[Finding]:
    """Models whose hash is promised by the matrix file or the registry, and recorded as another."""
    try:
        sessions = read_sessions(folder)
        matrix = read_matrix(str(folder / "matrix.yaml"), workspace).matrix
    except BenchError:
        # Told by the audit, or an old file that this version no longer reads.
        return []
    findings = []
    for session in sessions.values():
        for model in session.models:
            source = matrix.models.get(model.name)
            if source is not None and source.sha256 and source.sha256 != model.sha256 and _same(session, matrix.sha256):
                what = f"model {model.name} has SHA-256 {model.sha256}, and {source.sha256} is promised"
                findings.append(Finding(where=f"sessions/{session.machine.machine}-{session.id}.json", what=what))
    return findings


def _reproductions(folder: Path) -> list[Finding]:
    """Each conclusion, drawn again from the run values that the reproduction holds."""
    findings = []
    for path in sorted((folder / "reproductions").glob("*.json")):
        where = f"reproductions/{path.name}"
        try:
            found = read_reproduction(path)
        except InputError as error:
            findings.append(Finding(where=where, what=error.what))
            continue
        comparable = sum(1 for cell in found.cells if cell.conclusion is not Conclusion.NOT_COMPARABLE)
        for cell in found.cells:
            if not cell.second_ns_per_token:
                continue
            values = (cell.first_ns_per_token, cell.second_ns_per_token)
            if judge(cell.cell, *values, cells=comparable, day_sd=found.day_sd).conclusion is not cell.conclusion:
                what = f"{cell.cell} is said to be {cell.conclusion}, which its values do not say"
                findings.append(Finding(where=where, what=what))
        if overall(found.cells) is not found.conclusion:
            findings.append(Finding(where=where, what=f"it says {found.conclusion}, and its cells do not"))
    return findings


def _same(session: Session, matrix_sha256: str) -> bool:
    return session.matrix_sha256 == matrix_sha256
