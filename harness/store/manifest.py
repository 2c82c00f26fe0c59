"""The manifest of a site: every file with its size and SHA-256, and what was declared. It is what gets signed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import InputError
from harness.formats.strict_json import JsonError, loads
from harness.values.declaration import Kind

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
SCHEMA = "llama-bench-harness/site"
VERSION = 1
MAX_MANIFEST_BYTES = 16 * 1024**2
MAX_FILES = 20_000
MAX_SITE_BYTES = 2 * 1024**3
MAX_TITLE = 200
_NAME = r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,149}"
_PATH = re.compile(rf"{_NAME}(?:/{_NAME}){{0,7}}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file of the site: its path with `/`, its size in bytes, its SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedReport:
    """A report of the site.

    Attributes:
        name: its path below `reports/`.
        declared: reasons by kind. struck: records, sessions and lines of journals in which something was struck out.
    """

    name: str
    declared: Mapping[Kind, str] = field(default_factory=dict)
    struck: int = 0

    @property
    def simulated(self) -> bool:
        """Whether it is a folder of simulated results, which is always called so."""
        return self.name.rpartition("/")[2] == "simulated"

    @property
    def page(self) -> str:
        """The path of its page in the site."""
        return f"matrices/{self.name.replace('/', '.')}.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a site holds. `harness`: the version of the program that wrote it."""

    title: str
    harness: str
    reports: tuple[PublishedReport, ...]
    files: tuple[SiteFile, ...]

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)


def is_safe_path(path: str) -> bool:
    """Whether a path can be a file of a site: relative, plain characters, no name that begins with a dot."""
    return _PATH.fullmatch(path) is not None


def is_safe_name(name: str) -> bool:
    """Whether a report can be published under this name: `demo`, or `demo/simulated`."""
    first, _, rest = name.partition("/")
    return re.fullmatch(_NAME, first) is not None and rest in {"", "simulated"}


def list_files(folder: Path) -> tuple[SiteFile, ...]:
    """Every file of a folder but the manifest and its signature, by path.

    Raises:
        InputError: there is a link or something else than a file, or a name that no site has.
    """
    found = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if name in {MANIFEST, SIGNATURE} or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file() or not is_safe_path(name):
            raise InputError("is no file of a site", where=str(path), remedy="Take it away.")
        found.append(SiteFile(path=name, bytes=path.stat().st_size, sha256=sha256_of(path)))
    return tuple(found)


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def render_manifest(manifest: Manifest) -> bytes:
    """The file: the same content gives the same bytes."""
    data = {
        "schema": SCHEMA,
        "version": VERSION,
        "title": manifest.title,
        "harness": manifest.harness,
        "reports": [
            {"name": r.name, "declared": {k.value: r.declared[k] for k in Kind if k in r.declared}, "struck": r.struck}
            for r in manifest.reports
        ],
        "files": [{"path": f.path, "bytes": f.bytes, "sha256": f.sha256} for f in manifest.files],
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_manifest(data: bytes, *, where: str) -> Manifest:
    """The manifest of these bytes. They may be anybody's: everything in them is checked.

    Raises:
        InputError: it is none, of a newer version, or names files that no site may hold.
    """
    try:
        value = loads(data, max_bytes=MAX_MANIFEST_BYTES)
        manifest = _manifest(value)
    except (JsonError, KeyError, TypeError, ValueError) as error:
        what = str(error) if isinstance(error, JsonError | ValueError) else "it is no manifest of a site"
        raise InputError(what, where=where, remedy="Ask whoever published the site.") from error
    if manifest.total_bytes > MAX_SITE_BYTES or len(manifest.files) > MAX_FILES:
        raise InputError(
            f"names {len(manifest.files)} files with {manifest.total_bytes} bytes, more than is read",
            where=where,
            remedy=f"At most {MAX_FILES} files and {MAX_SITE_BYTES} bytes are. Get the records of one report instead.",
        )
    return manifest


def _manifest(value: Any) -> Manifest:
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ValueError("it is no manifest of a site")
    if value.get("version") != VERSION:
        raise ValueError(f"version {value.get('version')!r} of the manifest is not {VERSION}: update the harness")
    if set(value) != {"schema", "version", "title", "harness", "reports", "files"}:
        raise ValueError("it has other fields than a manifest")
    files = tuple(_file(item) for item in value["files"])
    _once(file.path.casefold() for file in files)
    folders = {str(folder) for file in files for folder in PurePosixPath(file.path.casefold()).parents}
    names = (MANIFEST, SIGNATURE, *(file.path for file in files))
    if both := next((name for name in names if name.casefold() in folders), None):
        raise ValueError(f"{both!r} is a file in it, and a folder")
    reports = tuple(_report(item) for item in value["reports"])
    _once(report.name.casefold() for report in reports)
    return Manifest(
        title=_text(value["title"], MAX_TITLE), harness=_text(value["harness"], 50), reports=reports, files=files
    )


def _file(item: Any) -> SiteFile:
    path, size, sha256 = item["path"], item["bytes"], item["sha256"]
    if not isinstance(path, str) or not is_safe_path(path) or path in {MANIFEST, SIGNATURE}:
        raise ValueError(f"{str(path)[:80]!r} is no path of a file in a site")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not _SHA256.fullmatch(sha256):
        raise ValueError(f"{path}: size and SHA-256 are not given as they have to be")
    return SiteFile(path=path, bytes=size, sha256=sha256)


def _report(item: Any) -> PublishedReport:
    name, declared, struck = item["name"], item["declared"], item["struck"]
    if not isinstance(name, str) or not is_safe_name(name):
        raise ValueError(f"{str(name)[:80]!r} is no name of a report")
    if not isinstance(struck, int) or isinstance(struck, bool) or struck < 0:
        raise ValueError(f"{name}: struck is no number")
    reasons = {Kind(kind): _text(reason, 300) for kind, reason in declared.items()}
    return PublishedReport(name=name, declared=reasons, struck=struck)


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise ValueError(f"{str(value)[:80]!r} is no text of 1 to {most} characters")
    return value


def _once(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name!r} stands in it twice")
        seen.add(name)
