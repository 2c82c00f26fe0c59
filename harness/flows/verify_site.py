"""`invoke verify` of a site: every file by its hash, every report by its records, every page written again.

Of a site at an address too: it is fetched into a folder of its own, within bounds, and removed afterwards.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import __version__
from harness.analysis.audit import Finding
from harness.artifacts.fetch_site import fetch_site, is_address
from harness.errors import BenchError, CellsFailedError, InputError
from harness.flows.console import Display
from harness.flows.verify import findings_of, verify
from harness.flows.workspace import Workspace, find_workspace
from harness.report.site.build import site_pages
from harness.store.manifest import MANIFEST, MAX_MANIFEST_BYTES, SIGNATURE, Manifest, list_files, read_manifest
from harness.store.signature import check_signature

MOST_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at in a site. `signed_by`: empty where nobody was asked for."""

    files: int
    reports: int
    records: int
    samples: int
    signed: bool
    signed_by: str
    findings: tuple[Finding, ...]


def verify_any(what: str, *, as_json: bool = False, signers: str = "", workspace: Workspace | None = None) -> None:
    """Check a report's folder, a site's folder, or a site at an address, and print what is wrong with it.

    Args:
        signers: file of allowed signers; the site has to be signed by one of them.

    Raises:
        InputError: there is nothing of this name. CellsFailedError: something is not as it was measured.
        MachineError: the site cannot be fetched.
    """
    workspace, display = workspace or find_workspace(), Display()
    list_ = workspace.cwd / Path(signers).expanduser() if signers else None
    if is_address(what):
        with tempfile.TemporaryDirectory(prefix="llama-bench-verify-") as folder:
            if as_json:
                fetched = fetch_site(what, Path(folder))
            else:
                with display.step(f"fetching {what}") as step:
                    fetched = fetch_site(what, Path(folder), progress=step)
            _tell(verify_site(Path(folder), workspace, signers=list_), display, where=what, as_json=as_json)
            for remark in fetched.remarks if not as_json else ():
                display.say(f"  {remark}")
        return
    site = next((p for p in (workspace.cwd / what, workspace.reports / what) if (p / MANIFEST).is_file()), None)
    if site is not None:
        _tell(verify_site(site, workspace, signers=list_), display, where=str(site), as_json=as_json)
        return
    if signers:
        raise InputError("only a site is signed", where=what, remedy="Leave --signers out, or name the site.")
    verify(what, as_json=as_json, workspace=workspace)


def verify_site(folder: Path, workspace: Workspace, *, signers: Path | None = None) -> Verified:
    """Everything that is wrong with a site in a folder.

    Raises:
        InputError: it has no manifest that can be read. CellsFailedError: it is not signed by an allowed signer.
    """
    path = folder / MANIFEST
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise InputError(f"is larger than {MAX_MANIFEST_BYTES} bytes", where=str(path))
    manifest = read_manifest(path.read_bytes(), where=str(path))
    signed, signer = (folder / SIGNATURE).is_file(), ""
    if signers is not None:
        if not signed:
            raise CellsFailedError(
                "is not signed", where=str(path), remedy="Ask whoever published it, or leave --signers out."
            )
        signer = check_signature(path, folder / SIGNATURE, signers)
    findings = _files(folder, manifest)
    records = samples = 0
    if not findings:
        for report in manifest.reports:
            looked_at, found = findings_of(folder / "reports" / report.name, workspace)
            records, samples = records + looked_at.records, samples + looked_at.samples
            prefix = f"reports/{report.name}"
            findings += [Finding(where=f"{prefix}/{finding.where}", what=finding.what) for finding in found]
    # Pages are written again only from records that can be believed.
    if not findings:
        findings += _pages(folder, manifest)
    return Verified(
        files=len(manifest.files),
        reports=len(manifest.reports),
        records=records,
        samples=samples,
        signed=signed,
        signed_by=signer,
        findings=tuple(findings),
    )


def _files(folder: Path, manifest: Manifest) -> list[Finding]:
    """Files that are missing, changed, or not in the manifest."""
    try:
        present = {file.path: file for file in list_files(folder)}
    except InputError as error:
        return [Finding(where=error.where, what=error.what)]
    findings = []
    for file in manifest.files:
        found = present.pop(file.path, None)
        if found is None:
            findings.append(Finding(where=file.path, what="is missing"))
        elif found != file:
            what = f"was changed: it has SHA-256 {found.sha256}, and the manifest says {file.sha256}"
            findings.append(Finding(where=file.path, what=what))
    return findings + [Finding(where=path, what="is not in the manifest") for path in present]


def _pages(folder: Path, manifest: Manifest) -> list[Finding]:
    """Pages that are not what the records give, and files that belong to no report and are no page."""
    try:
        pages = site_pages(folder, manifest.reports, title=manifest.title)
    except BenchError as error:
        return [Finding(where=error.where or "index.html", what=f"cannot be computed again: {error.what}")]
    other = f" by version {__version__}; {manifest.harness} wrote it" if manifest.harness != __version__ else ""
    findings = []
    for path, text in pages.items():
        try:
            same = (folder / path).read_bytes() == text.encode()
        except OSError:
            same = False
        if not same:
            findings.append(Finding(where=path, what=f"is not the page that the records give{other}"))
    known = tuple(f"reports/{report.name}/" for report in manifest.reports)
    strange = [f.path for f in manifest.files if f.path not in pages and not f.path.startswith(known)]
    return findings + [Finding(where=path, what="belongs to no report, and is no page") for path in strange]


def _tell(found: Verified, display: Display, *, where: str, as_json: bool) -> None:
    if as_json:
        data = {**asdict(found), "findings": [asdict(finding) for finding in found.findings], "ok": not found.findings}
        display.say(json.dumps(data, indent=1))
    for finding in found.findings[:MOST_SHOWN] if not as_json else ():
        display.say(f"  {finding}")
    if found.findings:
        raise CellsFailedError(
            f"{len(found.findings)} things are not as they were published",
            where=where,
            remedy="Trust none of it before you know why. Ask whoever published it.",
        )
    if as_json:
        return
    display.say(
        f"verified: {found.files} files have the hashes of the manifest; {found.records} records with {found.samples} "
        f"samples in {found.reports} report{'s' * (found.reports != 1)} are as they were measured, and every page "
        "follows from them"
    )
    if found.signed_by:
        display.say(f"signed by {found.signed_by}")
    elif found.signed:
        display.say("signed, and not checked by whom: name those whom you trust with --signers (docs/publishing.md)")
    else:
        display.say("not signed: who wrote all of it anew, hashes too, is not found out")
