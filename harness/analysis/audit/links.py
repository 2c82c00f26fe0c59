"""Records and the sessions that they refer to: the same machine, image, model, cells, and the same hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.analysis.audit.findings import Finding
from harness.analysis.audit.lines import Line
from harness.errors import InputError
from harness.formats.strict_json import JsonError, loads
from harness.store.sessions import Session, content_sha256, read_session
from harness.values.cell import Cell
from harness.values.measurement import CONTEXT
from harness.values.record import PROTOCOL, Record


def audit_session(path: Path) -> tuple[Session | None, str, list[Finding]]:
    """A session where the file is one, the hash of its content, and what is wrong with it."""
    where = f"{path.parent.name}/{path.name}"
    try:
        data = path.read_bytes()
        session = read_session(path)
        value = loads(data)
    except (InputError, JsonError, OSError) as error:
        return None, "", [Finding(where=where, what=error.what if isinstance(error, InputError) else str(error))]
    findings = []
    if json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n" != data:
        findings.append(Finding(where=where, what="it is not written as sessions are: its bytes were changed"))
    if path.stem != f"{session.machine.machine}-{session.id}":
        findings.append(Finding(where=where, what=f"it is of {session.machine.machine}, session {session.id}"))
    if any(device.uuid for device in session.machine.devices):
        findings.append(Finding(where=where, what="it holds the UUID of a card, which names its owner"))
    return session, content_sha256(value), findings


def audit_links(line: Line, sessions: Mapping[str, tuple[Session, str]], *, simulated: bool) -> list[Finding]:
    """Whether what a record says of its origin is what its session says."""
    record = line.record
    assert record is not None  # noqa: S101 - the caller asks for whole lines only
    found = []
    if record.machine != line.machine:
        found.append(f"it is of machine {record.machine}")
    if record.simulated != simulated:
        found.append("simulated and real results are in one folder" if record.simulated else "it is not simulated")
    if record.protocol != PROTOCOL:
        found.append(f"protocol {record.protocol!r} is not {PROTOCOL!r}")
    session = sessions.get(record.session)
    if session is None:
        found.append(f"there is no session {record.session}")
    else:
        found += _against(record, *session)
    return [Finding(where=line.where, what=what) for what in found]


def _against(record: Record, session: Session, session_sha256: str) -> list[str]:
    found = []
    if record.session_sha256 and record.session_sha256 != session_sha256:
        found.append(f"session {session.id} was changed since: its hash is not the one of the record")
    for name, of_record, of_session in (
        ("machine", record.machine, session.machine.machine),
        ("matrix", record.matrix, session.matrix),
        ("matrix_sha256", record.matrix_sha256, session.matrix_sha256),
    ):
        if of_record != of_session:
            found.append(f"{name} is {of_record!r}, and {of_session!r} in its session")
    return found + _cells(record, session) + _artifacts(record, session)


def _cells(record: Record, session: Session) -> list[str]:
    found = []
    planned = {cell.id: cell for cell in session.cells}
    for cell in record.run.cells:
        plan = planned.get(cell.planned_id)
        if plan is None or cell != _as_tried(plan, cell):
            found.append(f"cell {cell.id} is not as its session planned it")
        elif session.keys.get(cell.planned_id) != record.run.key:
            found.append(f"run.key is not the one that its session gives to {cell.id}")
    return found


def _as_tried(plan: Cell, cell: Cell) -> Cell:
    """The cell of the plan, or what a search for the largest context made of it: another context."""
    if plan.test.measurement != CONTEXT:
        return plan
    return replace(plan, id=cell.id, test=replace(plan.test, n_prompt=cell.test.n_prompt))


def _artifacts(record: Record, session: Session) -> list[str]:
    found = []
    first = record.run.cells[0]
    image = next((image for image in session.images if image.name == first.image), None)
    if record.image and (image is None or image.id != record.image):
        found.append(f"image {record.image} is not the one of its session")
    model = next((model for model in session.models if model.name == first.model), None)
    if record.model_sha256 and (model is None or model.sha256 != record.model_sha256):
        found.append(f"model_sha256 {record.model_sha256} is not the one of its session")
    if record.backend != first.backend:
        found.append(f"backend is {record.backend!r}, and {first.backend!r} in its cells")
    return found
