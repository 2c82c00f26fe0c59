"""`invoke report`: the report again from the records. Needs no engine and no image, and models only to publish."""

from __future__ import annotations

import re
from pathlib import Path

from harness.analysis.publishable import objections, undeclared
from harness.analysis.results import read_results
from harness.artifacts.models import prepare_model
from harness.errors import BenchError, CellsFailedError, InputError
from harness.flows.console import Display
from harness.flows.read_matrix import read_matrix
from harness.flows.workspace import Workspace, find_workspace
from harness.formats.schema_errors import close_match
from harness.report.report import write_report
from harness.store.declarations import read_declarations


def rebuild_report(file: str, *, publish: bool) -> None:
    """Write `report.md` of a matrix, or of a folder with records.

    Args:
        file: a matrix file, or a folder that holds `records/`.
        publish: also look whether the folder may be published, and hash this machine's models again in full.

    Raises:
        InputError: there is no such file or folder, or no records, or they are damaged.
        CellsFailedError: it may not be published; the reasons are shown.
    """
    workspace, display = find_workspace(), Display()
    folder = find_report_folder(file, workspace)
    report = write_report(folder, cache=workspace.cache)
    display.say(f"report: {report}")
    if publish:
        machines = read_results(folder)
        problems = [str(found) for found in undeclared(objections(machines), read_declarations(folder))]
        if not any(cell.simulated for machine in machines for cell in machine.cells):
            problems += _paths_told(folder)
            problems += _changed_models(file, folder, workspace, display)
        for problem in problems:
            display.say(f"  {problem}")
        if problems:
            raise CellsFailedError(f"not ready to be published: {len(problems)} objections", where=str(folder))
        display.say("ready to be published: ./bench publish, or ./bench contribute (docs/publishing.md)")


def find_report_folder(file: str, workspace: Workspace) -> Path:
    """The folder that a path, a name in `reports/`, or a matrix file stands for.

    Raises:
        InputError: it is none of these.
    """
    for candidate in (workspace.cwd / file, workspace.reports / file):
        if _holds_results(candidate):
            return candidate
    return workspace.reports / read_matrix(file, workspace).matrix.name


def find_report(text: str, workspace: Workspace, *, where: str) -> Path:
    """Likewise, where a report is asked for: one that is not there is told as that, with those that are.

    Args:
        where: the option or word that named it.

    Raises:
        InputError: it is none of these.
    """
    folders = (workspace.cwd / text, workspace.reports / text)
    files = (workspace.cwd / text, workspace.matrices / text, workspace.matrices / f"{text}.yaml")
    if any(_holds_results(path) for path in folders) or any(path.is_file() for path in files):
        return find_report_folder(text, workspace)
    known = report_names(workspace.reports)
    match = close_match(text, known)
    hint = f". Did you mean {match!r}?" if match else ""
    named = f", or one of {workspace.reports.name}/: {', '.join(known)}" if known else ""
    raise InputError(f"there is no such report{hint}", where=where, remedy=f"Name a folder{named}.")


def report_names(reports: Path) -> list[str]:
    """The folders with results, measured or imported, by name."""
    return sorted(path.name for path in reports.glob("*") if _holds_results(path))


def _holds_results(folder: Path) -> bool:
    return (folder / "records").is_dir() or (folder / "imports").is_dir()


def _paths_told(folder: Path) -> list[str]:
    """The matrix file is copied as it is: a model of the user's is best named relative to it."""
    text = (folder / "matrix.yaml").read_text(encoding="utf-8", errors="replace")
    told = re.findall(r"file:\s*[\"']?((?:/|~/?)[^\s\"',}]+)", text)
    return [f"matrix.yaml names a file by its place on this machine, {path}: write it relative" for path in told]


def _changed_models(file: str, folder: Path, workspace: Workspace, display: Display) -> list[str]:
    """Hash the models of the matrix in full, and hold them against the records."""
    try:
        matrix = read_matrix(str(folder / "matrix.yaml"), workspace).matrix
    except BenchError as error:
        raise InputError(f"the copy of the matrix file cannot be used: {error.what}", where=file) from error
    recorded = {
        model.name: model.sha256
        for machine in read_results(folder)
        for session in machine.sessions
        for model in session.models
    }
    problems = []
    for name, sha256 in recorded.items():
        with display.step(f"hashing {name}") as step:
            try:
                facts = prepare_model(
                    matrix.models[name],
                    cache=workspace.cache,
                    base=matrix.path.parent,
                    say=display.say,
                    progress=step,
                    offline=True,
                    force=True,
                )
            except BenchError as error:
                problems.append(f"model {name} cannot be checked: {error.what}")
                continue
        if facts.sha256 != sha256:
            problems.append(f"model {name} is no longer the file that was measured")
        else:
            display.say(f"model {name}: hashed again in full, unchanged")
    return problems
