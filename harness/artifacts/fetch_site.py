"""A published site over HTTP: its manifest, then exactly the files that it names, within bounds, each by its hash.

Whoever runs the server is a stranger. Nothing is read beyond what the manifest says, no redirection leaves the server
that was named, and no name of his becomes a path outside of the given folder.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.errors import CellsFailedError, InputError, MachineError
from harness.store.manifest import MANIFEST, MAX_MANIFEST_BYTES, SIGNATURE, Manifest, read_manifest

MAX_SIGNATURE_BYTES = 64 * 1024
TIMEOUT_S = 30.0
"""Of each answer from the server."""
DEADLINE_S = 3600.0
"""Of all of it: a server that sends a byte now and then does not hold us for ever."""
GRACE_S = 1.0
"""For what looks at the deadline itself, and says which file it was."""
_CHUNK = 256 * 1024


def is_address(text: str) -> bool:
    """Whether a text names something on a server rather than a folder."""
    return "://" in text


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSite:
    """A site that was fetched whole. `remarks`: what the reader should know of the way that it came."""

    manifest: Manifest
    remarks: tuple[str, ...]


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Follows redirections within the server that was named only."""

    def redirect_request(  # noqa: PLR0917 - the signature is that of the standard library
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        same = (old.scheme, old.netloc) == (new.scheme, new.netloc)
        if not same and (old.scheme, new.scheme, old.hostname) != ("http", "https", new.hostname):
            raise urllib.error.URLError(f"it sends us on to another server, {new.scheme}://{new.netloc[:100]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_site(
    address: str,
    target: Path,
    *,
    progress: Callable[[str, float, float], None] = lambda _text, _done, _total: None,
    deadline_s: float = DEADLINE_S,
) -> FetchedSite:
    """Fetch a site into an empty folder.

    Args:
        address: of the site or its index, `https://` or `http://`.
        progress: called with the file that is being fetched, and how many bytes of how many are there.

    Raises:
        InputError: it is no such address, or what is there is no site of ours, or it is larger than is read.
        CellsFailedError: the server sends something else than its manifest says.
        MachineError: the server does not answer, or the disk has too little space.
    """
    base = _base(address)
    ends = time.monotonic() + deadline_s
    return _by(ends, base, lambda: _fetch_all(base, target, progress, ends))


def _by(ends: float, base: str, work: Callable[[], FetchedSite]) -> FetchedSite:
    """The result of `work`, or an error when its time is over: also where it waits within the standard library.

    That reads a line of a header to its end, however slowly it comes, and looks at no deadline meanwhile.
    """
    done: list[FetchedSite] = []
    failed: list[BaseException] = []

    def working() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            failed.append(error)

    # Of the program's end nobody waits for it.
    thread = threading.Thread(target=working, name="fetch-site", daemon=True)
    thread.start()
    thread.join(max(0.0, ends - time.monotonic()) + GRACE_S)
    if failed:
        # Not kept here: an error that this frame holds would hold its connections until garbage is collected.
        raise failed.pop()
    if not done:
        raise _failed(base, "takes too long")
    return done[0]


def _fetch_all(base: str, target: Path, progress: Callable[[str, float, float], None], ends: float) -> FetchedSite:
    opener = urllib.request.build_opener(_SameServer())
    data = _small(opener, base, MANIFEST, MAX_MANIFEST_BYTES, ends)
    if data is None:
        raise InputError(
            f"there is no {MANIFEST}",
            where=base,
            remedy="Only a site that `./bench publish` wrote can be verified at its address. Name the address of its "
            "index, or fetch the report's folder yourself and name that.",
        )
    manifest = read_manifest(data, where=base + MANIFEST)
    if shutil.disk_usage(target).free < 2 * manifest.total_bytes:
        raise MachineError("the disk has too little space", where=str(target), remedy="Free some, or set TMPDIR.")
    (target / MANIFEST).write_bytes(data)
    signature = _small(opener, base, SIGNATURE, MAX_SIGNATURE_BYTES, ends)
    if signature is not None:
        (target / SIGNATURE).write_bytes(signature)
    done = 0
    for file in manifest.files:
        progress(file.path, float(done), float(manifest.total_bytes))
        path = target / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(opener, base + urllib.parse.quote(file.path), path, size=file.bytes, sha256=file.sha256, ends=ends)
        done += file.bytes
    return FetchedSite(manifest=manifest, remarks=_remarks(base))


def _base(address: str) -> str:
    """The address of the site's folder, with a slash at its end."""
    try:
        parts = urllib.parse.urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(str(error), where=address[:200], remedy="Write it as https://HOST/PATH/.") from error
    if parts.scheme not in {"http", "https"} or not host or not address.isprintable() or " " in address:
        raise InputError("is no address of a site", where=address[:200], remedy="Write it as https://HOST/PATH/.")
    if parts.username is not None or parts.password is not None:
        raise InputError("holds a name or a password", where=f"{parts.scheme}://{host}", remedy="Leave it out.")
    path = parts.path.removesuffix("index.html").removesuffix(MANIFEST)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path.rstrip("/") + "/", "", ""))


def _remarks(base: str) -> tuple[str, ...]:
    parts = urllib.parse.urlsplit(base)
    if parts.scheme == "https" or _is_loopback(parts.hostname or ""):
        return ()
    return ("it came without encryption: anybody on the way could have changed it. Only a signature says who wrote it",)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _open(opener: urllib.request.OpenerDirector, address: str) -> Any:
    headers = {"Accept-Encoding": "identity", "User-Agent": "llama-bench-harness"}
    return opener.open(urllib.request.Request(address, headers=headers), timeout=TIMEOUT_S)  # noqa: S310 - http(s) only


def _failed(address: str, what: str) -> MachineError:
    return MachineError(what, where=address, remedy="Look at the address and at the network, and try again.")


def _small(opener: urllib.request.OpenerDirector, base: str, name: str, most: int, ends: float) -> bytes | None:
    """A small file as a whole; None where the server has none."""
    try:
        with _open(opener, base + name) as answer:
            data = bytearray()
            while chunk := answer.read1(min(_CHUNK, most + 1 - len(data))):
                data += chunk
                if len(data) > most or time.monotonic() > ends:
                    raise _failed(base + name, f"is larger than {most} bytes" if len(data) > most else "takes too long")
            return bytes(data)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in {403, 404, 410}:
            return None
        raise _failed(base + name, f"the server answers {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _failed(base + name, _words(error)) from error


def _fetch(
    opener: urllib.request.OpenerDirector, address: str, path: Path, *, size: int, sha256: str, ends: float
) -> None:
    digest, count = hashlib.sha256(), 0
    try:
        with _open(opener, address) as answer, path.open("xb") as file:
            # One byte more than promised is enough to know. `read1` gives what is there: `read` would wait for a whole
            # chunk, however slowly it comes, and the deadline would never be looked at.
            while chunk := answer.read1(min(_CHUNK, size + 1 - count)):
                count += len(chunk)
                if count > size:
                    break
                if time.monotonic() > ends:
                    raise _failed(address, "takes too long")
                digest.update(chunk)
                file.write(chunk)
    except urllib.error.HTTPError as error:
        error.close()
        raise _failed(address, f"the server answers {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _failed(address, _words(error)) from error
    if count != size or digest.hexdigest() != sha256:
        what = (
            f"has {'more than ' if count > size else ''}{min(count, size)} bytes"
            if count != size
            else "has another hash"
        )
        raise CellsFailedError(
            f"{what}; the manifest says {size} bytes with SHA-256 {sha256}",
            where=address,
            remedy="Where the site was published this minute, try again; else tell whoever published it.",
        )


def _words(error: Exception) -> str:
    """What went wrong, without the class names of a library."""
    reason = getattr(error, "reason", None)
    text = str(reason if reason is not None else error) or type(error).__name__
    return f"cannot be had: {text[:200]}"
