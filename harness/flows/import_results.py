"""`invoke import`: results of other programs into a report's folder, marked as unverified. Needs no engine."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.merge import out_folder
from harness.flows.workspace import Workspace, find_workspace
from harness.formats.foreign import MAX_BYTES, read
from harness.report.report import write_report
from harness.store.imports import ImportedRow, redacted, write_imports
from harness.store.redaction import Redaction

MAX_SOURCE = 500
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What to import.

    Attributes:
        file: a file, or `-` for the standard input. out: the folder that takes the rows: a path, or a name in reports/.
        source: where it is from, such as a link; the file's name where that is empty.
        device: what it was measured on, where the text does not say.
    """

    file: str
    out: str
    source: str = ""
    device: str = ""


def import_results(request: ImportRequest, workspace: Workspace | None = None) -> int:
    """Import a text; how many rows it has.

    Raises:
        InputError: there is no such file, or no result in it; the reasons are told.
        MachineError: the folder cannot be written.
    """
    workspace, display = workspace or find_workspace(), Display()
    data, name = _bytes(request.file, workspace)
    found = read(data.decode("utf-8", errors="replace"))
    for refused in found.refused[:_SHOWN]:
        display.say(f"  refused: {refused}")
    if len(found.refused) > _SHOWN:
        display.say(f"  ... and {len(found.refused) - _SHOWN} more")
    if not found.rows:
        raise InputError(
            f"refused: {found.refused[0]}" if found.refused else "refused: no result of a program known here is in it",
            where=name,
            remedy="Give the output of llama-bench, llama-batched-bench, ramalama bench or llama-benchy, or a "
            "scoreboard's table.",
        )
    text_sha256 = hashlib.sha256(data).hexdigest()
    source = " ".join((request.source or name).split())[:MAX_SOURCE]
    target = out_folder(request.out, workspace)
    redaction = Redaction.of(os.environ).for_publication()
    rows = [
        redacted(
            ImportedRow(source=source, text_sha256=text_sha256, device="" if row.device else request.device, row=row),
            redaction,
        )
        for row in found.rows
    ]
    write_imports(target, rows)
    display.say(f"imported: {len(rows)} rows of {source} into {target}; they are shown, and never ranked")
    display.say(f"report: {write_report(target)}")
    return len(rows)


def _bytes(file: str, workspace: Workspace) -> tuple[bytes, str]:
    if file == "-":
        data, name = sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"
    else:
        path = workspace.cwd / file
        try:
            with path.open("rb") as stream:
                data, name = stream.read(MAX_BYTES + 1), Path(file).name
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=file, remedy="Look at the name.") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"is longer than {MAX_BYTES} bytes", where=file, remedy="Give the part with the results.")
    return data, name
