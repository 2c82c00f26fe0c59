"""`invoke export`: a report in the formats of others. Needs no engine, no image and no model."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.analysis.results import read_results
from harness.analysis.table import read_rows
from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.publish import find_report
from harness.flows.workspace import Workspace, find_workspace
from harness.report.exports import FORMATS
from harness.report.exports.exported import Exported
from harness.store.files import write_whole


def export(report: str, *, format_: str, out: str, workspace: Workspace | None = None) -> None:
    """Write a report in another format, to a file or to the standard output.

    Raises:
        InputError: there is no such report or format, a binary one is to go to a terminal, the file's folder is not
            there, or the report is simulated and the format cannot say so.
        MachineError: the file cannot be written.
    """
    workspace = workspace or find_workspace()
    chosen = FORMATS.get(format_)
    if chosen is None:
        known = "; ".join(f"{name}: {each.what}" for name, each in FORMATS.items())
        raise InputError(f"there is no format {format_!r}", where="--format", remedy=f"Choose one of {known}.")
    if chosen.binary and not out:
        raise InputError(f"{format_} is no text", where="--out", remedy="Name a file with --out.")
    target = workspace.cwd / out
    if out:
        _check_target(target, out)
    folder = find_report(report, workspace, where=f"--report {report}")
    machines = read_results(folder) if any((folder / "records").glob("*.jsonl")) else ()
    if not chosen.marks_simulated and any(cell.simulated for machine in machines for cell in machine.cells):
        able = ", ".join(name for name, each in FORMATS.items() if each.marks_simulated)
        raise InputError(
            f"the report is simulated, and {format_} cannot say so of its rows",
            where=str(folder),
            remedy=f"Simulated results are not for others; {able} have a column that marks them.",
        )
    data = chosen.write(Exported(rows=read_rows(folder), machines=machines))
    if out:
        write_whole(target, data)
        Display().say(f"written: {target} ({format_})")
    else:
        sys.stdout.write(data.decode())


def _check_target(target: Path, out: str) -> None:
    """Refuse before anything is read: a misspelt folder would else be made, and take the file without a word."""
    if target.is_dir():
        raise InputError("is a folder", where=f"--out {out}", remedy="Name a file in it.")
    if not target.parent.is_dir():
        raise InputError(
            "there is no such folder", where=f"--out {out}", remedy=f"Make {target.parent} first, or look at the name."
        )
