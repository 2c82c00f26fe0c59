"""`invoke publish`: a static site over the reports of a repository. Needs no engine, no image, no model, no network."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import __version__
from harness.analysis.publishable import Objection, objections, undeclared
from harness.analysis.results import read_results
from harness.errors import CellsFailedError, InputError, MachineError
from harness.flows.console import Display
from harness.flows.verify import findings_of
from harness.flows.workspace import Workspace, find_workspace
from harness.report.report import write_report
from harness.report.site.build import site_pages
from harness.store.declarations import parse_declarations, read_declarations
from harness.store.files import write_whole
from harness.store.manifest import (
    MANIFEST,
    MAX_TITLE,
    Manifest,
    PublishedReport,
    is_safe_name,
    list_files,
    render_manifest,
)
from harness.store.publication import copy_for_publication
from harness.store.redaction import Redaction
from harness.store.sessions import read_sessions
from harness.store.signature import sign
from harness.values.declaration import Kind

MOST_SHOWN = 40
"""Objections that are shown."""
_SHORTEST_WORD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """What to publish.

    Attributes:
        reports: names under `reports/`; all of them where none is named.
        out: folder of the site; what a former start wrote there is replaced.
        title: of the site.
        declare: such as `demo:no-control=REASON`. strike: further words to strike out.
        key: SSH key to sign with; empty for no signature.
    """

    reports: tuple[str, ...] = ()
    out: str = "site"
    title: str = "llama.cpp benchmarks"
    declare: tuple[str, ...] = ()
    strike: tuple[str, ...] = ()
    key: str = ""


def publish(request: PublishRequest, workspace: Workspace | None = None) -> Path:
    """Write the site and return its folder.

    Raises:
        InputError: there is no such report, a declaration is none, or the folder holds something else than a site.
        CellsFailedError: something may not be published; nothing was written.
        MachineError: the folder cannot be written.
    """
    workspace, display = workspace or find_workspace(), Display()
    if not request.title.isprintable() or not 0 < len(request.title) <= MAX_TITLE:
        raise InputError(f"is no text of 1 to {MAX_TITLE} characters", where="--title", remedy="Write a shorter one.")
    out = workspace.cwd / request.out
    _check_out(out)
    folders = find_reports(request.reports, workspace.reports, display)
    redaction = publication_redaction(request.strike, folders)
    declared = accepted(folders, request.declare, display)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        reports = [
            _take(name, folder, partial, declared[name], redaction, workspace, display)
            for name, folder in folders.items()
        ]
        for path, text in site_pages(partial, reports, title=request.title).items():
            write_whole(partial / path, text.encode())
        files = list_files(partial)
        manifest = Manifest(title=request.title, harness=__version__, reports=tuple(reports), files=files)
        write_whole(partial / MANIFEST, render_manifest(manifest))
        if request.key:
            sign(partial / MANIFEST, workspace.cwd / Path(request.key).expanduser())
        _put_in_place(partial, out)
    except OSError as error:
        raise MachineError(f"cannot be written: {error.strerror or error}", where=str(out)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    size = manifest.total_bytes / 1e6
    display.say(f"site: {out / 'index.html'}")
    display.say(
        f"{len(reports)} report{'s' * (len(reports) != 1)} in {len(files)} files, {size:.1f} MB; "
        + ("signed" if request.key else "not signed (--key)")
        + f". Check it as a reader does: ./bench verify {request.out}"
    )
    return out


def publication_redaction(words: Iterable[str], folders: Mapping[str, Path]) -> Redaction:
    """What is struck out of everything that leaves this machine.

    Args:
        folders: of the reports, by name.

    Raises:
        InputError: a word is so short that it would be struck out everywhere, or stands in a name that holds the files
            together.
    """
    every = tuple(words)
    short = next((word for word in every if len(word.strip()) < _SHORTEST_WORD), None)
    if short is not None:
        raise InputError(f"{short!r} is too short", where="--strike", remedy="Name whole words of 3 letters or more.")
    for word in every:
        alone = Redaction(words=(word,))
        place = next((place for name, place in _names(folders) if alone.text(name) != name), None)
        if place is not None:
            raise InputError(
                f"stands in {place}, and cannot be struck out: the files of a report fit together by it",
                where=f"--strike {word}",
                remedy="Measure under another name (`matrix --machine`, or that of the model), or leave the word out.",
            )
    return Redaction.of(os.environ).for_publication(every)


def _names(folders: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """The names that hold a report's files together, each with what it is, in words."""
    for report, folder in folders.items():
        sessions = read_sessions(folder).values()
        for machine in dict.fromkeys(session.machine.machine for session in sessions):
            yield machine, f"the name of machine {machine} of {report}"
        for cell in dict.fromkeys(cell.id for session in sessions for cell in session.cells):
            yield cell, f"the id of cell {cell} of {report}"


def find_reports(names: Sequence[str], reports: Path, display: Display) -> dict[str, Path]:
    """The folders with records, by the names that they are published under.

    Simulated results are published only where they are named: `rtx4090/simulated`.

    Raises:
        InputError: there is none, or one has a name that no address can hold.
    """
    wanted = [name.strip().strip("/").removeprefix("reports/") for name in names if name.strip()]
    if not wanted:
        wanted = sorted(path.name for path in reports.glob("*") if _measured(path))
        imported = [p.name for p in reports.glob("*") if (p / "imports").is_dir() and p.name not in wanted]
        if imported:
            display.say(f"  left out, since they hold imported results only: {', '.join(sorted(imported))}")
    if not wanted:
        raise InputError("there are no records", where=str(reports), remedy="Run `./bench matrix --file ...` first.")
    found = {}
    for name in dict.fromkeys(wanted):
        if not is_safe_name(name):
            raise InputError(
                "is no name that can stand in an address",
                where=f"reports/{name}",
                remedy="Call the folder by letters, digits, dots, hyphens and underscores.",
            )
        if not _measured(reports / name):
            if (reports / name / "imports").is_dir():
                raise InputError(
                    "holds imported results only, and no site is made of them alone",
                    where=str(reports / name),
                    remedy="Leave it out, or merge it with measured ones: "
                    f"`./bench merge reports/demo reports/{name} --out NAME`.",
                )
            raise InputError("there is no such report", where=str(reports / name), remedy="Look at the name.")
        found[name] = reports / name
    if len({name.replace("/", ".").casefold() for name in found}) < len(found):
        raise InputError("two reports would have the same page", where=str(reports), remedy="Rename one of them.")
    return found


def _measured(folder: Path) -> bool:
    """Merging leaves a folder of records without any where all that was merged is imported."""
    return any(folder.glob("records/*.jsonl"))


def accepted(folders: Mapping[str, Path], flags: Sequence[str], display: Display) -> dict[str, dict[Kind, str]]:
    """The declarations that are needed, by report.

    Raises:
        CellsFailedError: something may not be published and nobody declared it; everything of it is shown.
    """
    by_flag = parse_declarations(flags, folders)
    left: list[tuple[str, Objection]] = []
    needed = {}
    for name, folder in folders.items():
        declared = read_declarations(folder) | by_flag.get(name, {})
        found = objections(read_results(folder, simulated=name.endswith("/simulated")))
        kinds = {objection.kind for objection in found}
        left += [(name, objection) for objection in undeclared(found, declared)]
        needed[name] = {kind: reason for kind, reason in declared.items() if kind in kinds}
        for kind in declared.keys() - kinds:
            display.say(f"  {name}: declares {kind}, and nothing needs it: left out")
    for name, objection in left[:MOST_SHOWN]:
        display.say(f"  {name}: {objection} [{objection.kind}]")
    if len(left) > MOST_SHOWN:
        display.say(f"  ... and {len(left) - MOST_SHOWN} more")
    if left:
        first = left[0]
        raise CellsFailedError(
            f"{len(left)} things speak against publishing",
            remedy=f"Measure what is missing, leave the report out (--reports), or say openly why it is so: --declare "
            f'"{first[0]}:{first[1].kind}=REASON", or a line `{first[1].kind}: REASON` in '
            f"reports/{first[0]}/declared.yaml. It is shown on the page.",
        )
    return needed


def published_copy(name: str, folder: Path, target: Path, redaction: Redaction, workspace: Workspace) -> int:
    """Copy a report redacted, write its report and page again, and check all of it.

    Returns:
        In how many records, sessions and lines of journals something was struck out.

    Raises:
        CellsFailedError: it is not what was measured. InputError: it holds what must not be published.
    """
    struck = copy_for_publication(folder, target, redaction)
    write_report(target, simulated=name.endswith("/simulated"))
    _, findings = findings_of(target, workspace)
    if findings:
        shown = "\n  ".join(str(finding) for finding in findings[:10])
        raise CellsFailedError(
            f"{len(findings)} things are not as they were measured:\n  {shown}",
            where=str(folder),
            remedy=f"Look with `./bench verify reports/{name}`."
            + (" A word of --strike may stand in the name of a machine or a cell." if redaction.words else ""),
        )
    return struck


def _take(  # noqa: PLR0917 - one report with all that is needed for it
    name: str,
    folder: Path,
    partial: Path,
    declared: Mapping[Kind, str],
    redaction: Redaction,
    workspace: Workspace,
    display: Display,
) -> PublishedReport:
    with display.step(f"checking {name}"):
        struck = published_copy(name, folder, partial / "reports" / name, redaction, workspace)
    display.say(f"  {name}: checked" + (f"; something was struck out of {struck} entries" if struck else ""))
    return PublishedReport(name=name, declared=declared, struck=struck)


def _check_out(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputError("is no folder", where=str(out), remedy="Name another with --out.")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise InputError(
            "holds something else than a site, which would be replaced", where=str(out), remedy="Name another folder."
        )


def _put_in_place(partial: Path, out: Path) -> None:
    """The old site goes when the new one is whole."""
    old = out.with_name(f".{out.name}.{secrets.token_hex(4)}.old")
    if out.exists():
        out.rename(old)
    partial.rename(out)
    shutil.rmtree(old, ignore_errors=True)
