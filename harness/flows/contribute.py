"""`invoke contribute`: a machine's results into a clone of a repository of results, as a commit on a new branch.

Nothing is pushed and nothing is asked of a server: what is left to do is printed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CellsFailedError, InputError, MachineError
from harness.flows.console import Display
from harness.flows.publish_site import accepted, publication_redaction, published_copy
from harness.flows.verify import findings_of
from harness.flows.workspace import Workspace, find_workspace, shown_path
from harness.report.report import write_report
from harness.store.declarations import DECLARED, read_declarations, render_declarations
from harness.store.manifest import is_safe_name
from harness.store.merge import Merged, merge_parts
from harness.store.sources import find_parts
from harness.values.declaration import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributeRequest:
    """What to contribute.

    Attributes:
        report: a folder, or a name under `reports/`. to: a clone of the repository, with a folder `reports/`.
        branch: name of the new branch; made of the report and the newest start where it is empty.
        declare, strike: as of `PublishRequest`.
    """

    report: str
    to: str
    branch: str = ""
    declare: tuple[str, ...] = ()
    strike: tuple[str, ...] = ()


def contribute(request: ContributeRequest, workspace: Workspace | None = None) -> str:
    """Commit the results to a new branch of the clone and return its name.

    Raises:
        InputError: there is no such report or clone, no clone is named, it holds uncommitted changes, or the records
            contradict those that are there.
        CellsFailedError: the results may not be published. The clone is then as it was.
        MachineError: git refuses; what it says is shown.
    """
    workspace, display = workspace or find_workspace(), Display()
    if not request.to.strip():
        raise InputError(
            "needs --to, your clone of the repository of results",
            where="contribute",
            remedy=f"Say `./bench contribute {request.report} --to ../results`.",
        )
    folder = _report(request.report, workspace)
    clone = _clone(workspace.cwd / Path(request.to).expanduser())
    name = folder.name
    redaction = publication_redaction(request.strike, {name: folder})
    declared = accepted({name: folder}, request.declare, display)[name]
    if Kind.SIMULATED in declared:
        raise CellsFailedError("simulated results are no contribution", where=str(folder))
    target = clone / "reports" / name
    with tempfile.TemporaryDirectory(prefix="llama-bench-contribute-") as place:
        copy, merged_folder, unpacked = (Path(place) / part / name for part in ("copy", "merged", "unpacked"))
        unpacked.mkdir(parents=True)
        struck = published_copy(name, folder, copy, redaction, workspace)
        merged = _merge(copy, target, merged_folder, unpacked)
        _write_rest(merged_folder, target, declared, workspace)
        branch = request.branch or _branch_name(name, copy)
        _commit(clone, branch, merged_folder, target, message=f"Results of {', '.join(_machines(copy))}: {name}")
    display.say(f"committed to branch {branch} of {clone}, in reports/{name}:")
    display.say(f"  {merged.records} records of {merged.machines} machines are there now")
    if struck:
        display.say(f"  something was struck out of {struck} entries; your own records stay as they are")
    display.say("What is left to do:")
    display.say(f"  look at it:         git -C {clone} show --stat {branch}")
    display.say(f"  push it:            git -C {clone} push -u origin {branch}")
    display.say("  open a pull request from that branch, in the repository's own way (docs/publishing.md)")
    return branch


def _report(text: str, workspace: Workspace) -> Path:
    for candidate in (workspace.cwd / text, workspace.reports / text):
        if any(candidate.glob("records/*.jsonl")):
            folder = candidate.resolve()
            if folder.name == "simulated" or not is_safe_name(folder.name):
                raise InputError("cannot be contributed under its name", where=str(folder), remedy="Rename the folder.")
            return folder
        if any(candidate.glob("imports/*.jsonl")):
            raise InputError(
                "holds imported results only, and what is contributed is what a machine measured",
                where=text,
                remedy="They go along with measured ones, once they are in one folder: "
                f"`./bench merge reports/demo {shown_path(candidate, workspace)} --out NAME`, and contribute NAME.",
            )
    raise InputError("holds no records", where=text, remedy="Name a folder such as reports/demo.")


def _clone(path: Path) -> Path:
    """A clean clone of a repository of results."""
    if not (path / ".git").exists():
        raise InputError(
            "is no clone of a repository", where=str(path), remedy="Clone it with git and name its folder."
        )
    if not (path / "reports").is_dir():
        raise InputError(
            "has no folder reports/",
            where=str(path),
            remedy="Name a clone of a repository of results; for a new one, `mkdir reports` in it.",
        )
    changed = _git(path, "status", "--porcelain", "--untracked-files=normal")
    if changed:
        raise InputError(
            f"holds changes that are in no commit: {changed.splitlines()[0].strip()}",
            where=str(path),
            remedy="Commit them or take them away first.",
        )
    return path.resolve()


def _merge(copy: Path, target: Path, merged: Path, unpacked: Path) -> Merged:
    """What is there already, and ours; the clone is not touched."""
    parts = list(find_parts(copy, unpacked))
    if (target / "records").is_dir() or (target / "imports").is_dir():
        parts += find_parts(target, unpacked)
    return merge_parts(parts, merged)


def _write_rest(merged: Path, target: Path, declared: dict[Kind, str], workspace: Workspace) -> None:
    """Declarations, of theirs and ours, and the report; then all of it is checked."""
    every = (read_declarations(target) if target.is_dir() else {}) | declared
    if every:
        (merged / DECLARED).write_bytes(render_declarations(every))
    write_report(merged)
    _, findings = findings_of(merged, workspace)
    if findings:
        shown = "\n  ".join(str(finding) for finding in findings[:10])
        raise CellsFailedError(
            f"with what is there already, {len(findings)} things are not as they were measured:\n  {shown}",
            where=str(target),
            remedy="Look with `./bench verify` at both. Nothing was changed.",
        )


def _machines(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "records").glob("*.jsonl"))


def _branch_name(name: str, copy: Path) -> str:
    newest = max(path.stem for path in (copy / "sessions").glob("*.json"))
    return re.sub(r"[^A-Za-z0-9._/-]", "-", f"results/{name}/{newest}")


def _commit(clone: Path, branch: str, merged: Path, target: Path, *, message: str) -> None:
    """A new branch with one commit; where git refuses, the clone is put back."""
    before = _git(clone, "rev-parse", "--abbrev-ref", "HEAD")
    before = before if before != "HEAD" else _git(clone, "rev-parse", "HEAD")
    _git(clone, "switch", "--quiet", "--create", branch)
    place = target.relative_to(clone).as_posix()
    try:
        shutil.copytree(merged, target, dirs_exist_ok=True)
        for stray in {p.name for p in (target / "charts").glob("*.svg")} - {
            p.name for p in merged.glob("charts/*.svg")
        }:
            (target / "charts" / stray).unlink()
        (target / ".lock").unlink(missing_ok=True)
        _git(clone, "add", "--all", "--", place)
        if not _git(clone, "status", "--porcelain", "--", place):
            raise InputError(  # noqa: TRY301 - one way back for all
                "all of it is there already", where=str(target), remedy="There is nothing to contribute."
            )
        _git(clone, "commit", "--quiet", "--message", message, "--", place)
    except (InputError, MachineError, OSError) as error:
        _git(clone, "reset", "--quiet", "--", place)
        subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "--", place], capture_output=True, check=False)
        _git(clone, "clean", "--quiet", "--force", "-d", "--", place)
        _git(clone, "switch", "--quiet", before)
        _git(clone, "branch", "--quiet", "--delete", "--force", branch)
        if isinstance(error, OSError):
            raise MachineError(f"cannot be written: {error.strerror or error}", where=str(target)) from error
        raise


def _git(clone: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(clone), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
    except FileNotFoundError:
        raise MachineError("is not there", where="git", remedy="Install git.") from None
    except subprocess.TimeoutExpired:
        raise MachineError("does not answer", where=f"git {arguments[0]}", remedy="Try it yourself.") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise MachineError(
            f"refuses: {' '.join(said[:3]) or f'it ended with {done.returncode}'}",
            where=f"git {arguments[0]}",
            remedy=f"Try it yourself in {clone}; the records are untouched.",
        )
    return done.stdout.strip()
