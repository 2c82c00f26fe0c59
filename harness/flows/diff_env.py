"""`invoke diff-env A B`: field by field, the weightiest first, why two machines or two days may differ."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from harness.analysis.environment import environment_differences
from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.tables import columns
from harness.flows.workspace import Workspace, find_workspace
from harness.store.sessions import Session, read_session, read_sessions

_WIDEST = 60


def show_differences(first: str, second: str, *, as_json: bool = False, workspace: Workspace | None = None) -> None:
    """Print in what the environments of two sessions differ.

    Args:
        first, second: a report's folder (its newest session), `FOLDER#MACHINE` or `FOLDER#SESSION`, the file of a
            session, or the name of a machine or session in any folder of `reports/`.

    Raises:
        InputError: one of them names no session, or several machines.
    """
    workspace, display = workspace or find_workspace(), Display()
    a, b = find_session(first, workspace), find_session(second, workspace)
    differences = environment_differences(a, b)
    if as_json:
        sides = [{"machine": s.machine.machine, "session": s.id, "started_utc": s.started_utc} for s in (a, b)]
        found = {"first": sides[0], "second": sides[1], "differences": [asdict(d) for d in differences]}
        display.say(json.dumps(found, indent=1))
        return
    for mark, session in (("A", a), ("B", b)):
        display.say(f"{mark}: {session.machine.machine}, session {session.id}, report {session.matrix}")
    known = [d for d in differences if d.known]
    if known:
        rows = [(d.weight, d.field, _cut(d.first), _cut(d.second), d.why) for d in known]
        display.say("\n" + columns(("Weight", "Field", "A", "B", "What it can do"), rows))
    else:
        display.say("\nnothing that is known on both sides differs")
    unknown = [d for d in differences if not d.known]
    if unknown:
        display.say("\nNot known on one side, so it may differ:")
        display.say(columns(("Field", "A", "B"), [(d.field, _cut(d.first), _cut(d.second)) for d in unknown]))


def find_session(text: str, workspace: Workspace) -> Session:
    """The session that a word of the command line means; see `show_differences`.

    Raises:
        InputError: it means none, or several machines.
    """
    name, _, part = text.partition("#")
    for candidate in (workspace.cwd / name, workspace.reports / name):
        if candidate.is_file():
            return read_session(candidate)
        if (candidate / "sessions").is_dir():
            return _of_folder(candidate, part, text)
    found = [
        session
        for folder in sorted(workspace.reports.glob("*/sessions"))
        for session in read_sessions(folder.parent).values()
        if name in {session.id, session.machine.machine}
    ]
    if not found:
        raise InputError(
            "is no report's folder, no session and no machine in reports/",
            where=text,
            remedy="Name a folder such as reports/demo, a file in its sessions/, or a machine.",
        )
    return max(found, key=lambda session: session.started_utc)


def _of_folder(folder: Path, part: str, text: str) -> Session:
    sessions = [s for s in read_sessions(folder).values() if not part or part in {s.id, s.machine.machine}]
    machines = sorted({session.machine.machine for session in sessions})
    if not sessions:
        raise InputError("has no such session", where=text, remedy=f"See {folder.name}/sessions/.")
    if len(machines) > 1:
        raise InputError(
            f"holds several machines: {', '.join(machines)}",
            where=text,
            remedy=f"Say which one, as in {text}#{machines[0]}.",
        )
    return sessions[-1]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
