"""The pinned llama.cpp source: fetched with pip, verified, and packed into the context of an image build.

The source comes inside a Python source distribution, since Python's package index can be reached from more machines
than a source forge, and pip already has the user's proxy, mirror and certificate settings.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.errors import ArtifactError, InputError
from harness.formats.strict_yaml import load
from harness.values.failure import Reason

KEPT = (
    "CMakeLists.txt",
    "LICENSE",
    "app",
    "cmake",
    "common",
    "ggml",
    "include",
    "licenses",
    "scripts",
    "src",
    "tools",
    "vendor",
)
"""Top-level entries of llama.cpp that a build needs; others would only make the builder's cache miss more often."""

COMMIT_DIGITS = 9
"""As many as llama.cpp's own builds print."""

_FIELDS: dict[str, str] = {
    "package": r"[A-Za-z0-9][A-Za-z0-9._-]*",
    "version": r"[0-9][0-9A-Za-z.+!-]*",
    "sha256": r"[0-9a-f]{64}",
    "commit": r"[0-9a-f]{40}",
    "build_number": r"[1-9][0-9]*",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaPin:
    """The one source that images are built from.

    Attributes:
        package, version: of the Python source distribution.
        sha256: of the distribution's file.
        commit: of the llama.cpp in it, 40 hex digits.
        build_number: of that commit.
    """

    package: str
    version: str
    sha256: str
    commit: str
    build_number: int

    @property
    def short_commit(self) -> str:
        """The commit as llama-bench prints it."""
        return self.commit[:COMMIT_DIGITS]


def read_pin(path: Path) -> LlamaPin:
    """Read `images/llama.cpp.yaml`.

    Raises:
        InputError: it is missing, or a field is missing, unknown or malformed.
    """
    try:
        data = load(path.read_bytes(), file=str(path)).data
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if not isinstance(data, dict) or set(data) != set(_FIELDS):
        raise InputError(f"has to hold exactly the fields {', '.join(_FIELDS)}", where=str(path))
    fields = {name: str(value) for name, value in data.items()}
    for name, pattern in _FIELDS.items():
        if not re.fullmatch(pattern, fields[name]):
            raise InputError(f"{name}: {fields[name]!r} does not look like one", where=str(path))
    return LlamaPin(
        package=fields["package"],
        version=fields["version"],
        sha256=fields["sha256"],
        commit=fields["commit"],
        build_number=int(fields["build_number"]),
    )


def fetch_source(
    pin: LlamaPin,
    *,
    cache: Path,
    say: Callable[[str], None],
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
) -> Path:
    """The verified source distribution, from the cache or by `pip download`.

    Args:
        pin: what to fetch.
        cache: the harness's cache folder; the file is kept in `sources/` there.
        say: told what is done, a line each.
        run: starts pip.

    Returns:
        Path of the `.tar.gz`.

    Raises:
        InputError: what came is not the file that is pinned.
        ArtifactError: it cannot be fetched.
    """
    folder = cache / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{re.sub(r'[-_.]+', '_', pin.package).lower()}-{pin.version}.tar.gz"
    if kept.is_file():
        if _sha256(kept) == pin.sha256:
            return kept
        say(f"{kept.name} in the cache is not the pinned file: fetching it again")
    say(f"fetching the llama.cpp source (b{pin.build_number}, in {pin.package} {pin.version}) with pip")
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as scratch:
        fetched = _download(pin, Path(scratch), kept=kept, run=run)
        actual = _sha256(fetched)
        if actual != pin.sha256:
            raise InputError(
                f"its SHA-256 is {actual}, but {pin.sha256} is pinned",
                where=f"{pin.package} {pin.version}",
                remedy="do not use it; ask the package index why its file changed",
            )
        fetched.replace(kept)
    return kept


def _download(
    pin: LlamaPin, scratch: Path, *, kept: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> Path:
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{pin.package}=={pin.version} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
    options = ["--no-deps", "--no-binary", pin.package, "--require-hashes", "--no-input", "--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirement), "-d", str(scratch)]
    where = f"{pin.package} {pin.version}"
    on_another = f"`pip download {' '.join(options[:3])} {pin.package}=={pin.version}`"
    by_hand = f"put {kept.name} into {kept.parent}, fetched on another machine with {on_another}"
    try:
        done = run(command, capture_output=True, text=True, check=False, timeout=1800)
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(
            "pip did not finish within 30 minutes", reason=Reason.IMAGE, where=where, remedy=by_hand
        ) from error
    files = sorted(scratch.glob("*.tar.gz"))
    if done.returncode == 0 and files:
        return files[0]
    words = _last_error(done.stderr)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise InputError(
            f"the package index gave another file than the pinned one: {words}",
            where=where,
            remedy="do not use it; ask the package index why its file changed",
        )
    raise ArtifactError(
        f"the llama.cpp source cannot be fetched: {words}",
        reason=Reason.IMAGE,
        where=where,
        remedy=f"see that pip works here, or {by_hand}",
    )


def _last_error(stderr: str) -> str:
    """The last line in which pip names an error, without credentials that stand in addresses."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines or ["pip gave no reason"]
    return re.sub(r"://[^/@\s]+@", "://***@", errors[-1])[:400]


def write_context(out: BinaryIO, *, dockerfile: bytes, source: Path | None) -> None:
    """Write the tar stream of a build context: `Dockerfile`, and llama.cpp under `llama.cpp/` where a source is given.

    Names, modes, owners and order follow from the content alone, so that the builder's cache knows it again.

    Args:
        out: where the tar is written; its position is at the end afterwards.
        dockerfile: content of the Dockerfile.
        source: the source distribution.
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as context:
        _add(context, "Dockerfile", 0o644, len(dockerfile), io.BytesIO(dockerfile))
        if source is None:
            return
        with tarfile.open(source) as sdist:
            for name, member in sorted(_kept_members(sdist), key=lambda pair: pair[0]):
                content = sdist.extractfile(member)
                if content is not None:
                    _add(context, name, 0o755 if member.mode & 0o100 else 0o644, member.size, content)


def _kept_members(sdist: tarfile.TarFile) -> list[tuple[str, tarfile.TarInfo]]:
    kept = []
    for member in sdist.getmembers():
        parts = member.name.split("/")
        if parts[1:3] == ["vendor", "llama.cpp"] and len(parts) > 3 and parts[3] in KEPT and member.isfile():  # noqa: PLR2004 - folder, vendor, llama.cpp, entry
            kept.append(("/".join(["llama.cpp", *parts[3:]]), member))
    return kept


def _add(context: tarfile.TarFile, name: str, mode: int, size: int, content: object) -> None:
    info = tarfile.TarInfo(name)
    info.mode = mode
    info.size = size
    context.addfile(info, content)  # type: ignore[arg-type]  # any object with read()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
