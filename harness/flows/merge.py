"""`invoke merge`: records of any machines into one folder, and its report. Needs no engine, no image and no model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.workspace import Workspace, find_workspace
from harness.report.report import write_report
from harness.store.merge import Merged, merge_parts
from harness.store.merge_machine import machine_of
from harness.store.records import RecordStore
from harness.store.sources import Kind, Part, find_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRequest:
    """What to merge.

    Attributes:
        sources: folders, files of records and archives, or names under `reports/`.
        out: the folder that they are merged into: a path, or a name under `reports/`. What it holds stays in it.
        report: whether its report is written too.
    """

    sources: tuple[str, ...]
    out: str
    report: bool = True


def merge(request: MergeRequest, workspace: Workspace | None = None) -> Merged:
    """Merge, and write the report.

    Raises:
        InputError: a source is empty, damaged, of a newer version, or contradicts another, or the folder is a file;
            nothing was written.
        MachineError: the folder cannot be written.
    """
    workspace, display = workspace or find_workspace(), Display()
    if not request.sources or not request.out:
        raise InputError(
            "names no source" if not request.sources else "names no folder to merge into",
            where="merge",
            remedy="Say `invoke merge reports/a reports/b --out merged`.",
        )
    target = out_folder(request.out, workspace)
    with tempfile.TemporaryDirectory(prefix="llama-bench-merge-") as workdir:
        # Before the lock, which makes the folder: what is refused leaves none behind.
        parts = _parts(request.sources, target, workspace, Path(workdir))
        with RecordStore(target).locked():
            merged = merge_parts([*parts, *_present(target, Path(workdir))], target)
    for remark in merged.remarks:
        display.say(f"  {remark}")
    display.say(
        f"merged: {merged.records} records of {merged.machines} machines in {merged.sessions} starts into {target}"
        + (f", {merged.imported} imported rows" if merged.imported else "")
        + (f"; {merged.repeated} were there already" if merged.repeated else "")
    )
    if request.report:
        display.say(f"report: {write_report(target, cache=workspace.cache)}")
    return merged


def out_folder(out: str, workspace: Workspace) -> Path:
    """A path where it looks like one, else a folder in `reports/`.

    Raises:
        InputError: it is a file, or in one.
    """
    folder = workspace.cwd / out if "/" in out or (workspace.cwd / out).is_dir() else workspace.reports / out
    file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
    if file is not None:
        raise InputError(f"{file} is a file", where=f"--out {out}", remedy="Name a folder.")
    return folder


def _parts(sources: Sequence[str], target: Path, workspace: Workspace, workdir: Path) -> list[Part]:
    """What is named to be merged; what the folder holds already is read under its lock."""
    paths = [found if (found := workspace.cwd / name).exists() else workspace.reports / name for name in sources]
    missing = [name for name, path in zip(sources, paths, strict=True) if not path.exists()]
    if missing:
        raise InputError("there is no such file or folder", where=missing[0], remedy="Look at the name.")
    named = {path.resolve(): name for name, path in zip(sources, paths, strict=True)}
    parts: list[Part] = []
    for number, (path, name) in enumerate(named.items()):
        unpacked = workdir / str(number)
        unpacked.mkdir()
        own = list(find_parts(path, unpacked))
        if not any(_holds_something(part) for part in own):
            raise InputError(
                "holds no whole record", where=name, remedy="Leave it out, or get it again from where it came from."
            )
        parts += own if path != target.resolve() else []
    if any(shutil.disk_usage(workdir).free < 2 * part.path.stat().st_size for part in parts):
        raise InputError("the disk has too little space", where=str(workdir), remedy="Free some space, or set TMPDIR.")
    return parts


def _holds_something(part: Part) -> bool:
    """Whether a file has a result of anybody; a line without its end is none."""
    if part.kind is Kind.RECORDS:
        return machine_of(part) is not None
    return part.kind is Kind.IMPORTED and part.path.stat().st_size > 0


def _present(target: Path, workdir: Path) -> list[Part]:
    """What the folder holds already: a source like the others."""
    if any(target.glob("records/*.jsonl")) or any(target.glob("imports/*.jsonl")):
        return list(find_parts(target, workdir))
    return []
