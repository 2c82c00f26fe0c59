"""Finding the container engine that is there already: what the user named first, then the usual sockets.

What the user named (`DOCKER_HOST`, a Docker context) is taken or it is an error: another engine than the one that was
asked for is never used in silence. Among the usual sockets, the first one that answers is taken. Only the standard
library is used, so that looking for an engine costs milliseconds.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import EngineError

OWN_SOCKET = Path("/run/llama-bench-harness/docker.sock")
"""Of the engine that the harness itself started."""
ANSWER_S = 10.0
"""A busy machine, or a socket that starts its engine only when somebody connects, takes seconds to answer."""

Probe = Callable[[str, float], None]
"""Asks the engine at a host for a sign of life within some seconds; raises OSError when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An engine that can be used.

    Attributes:
        host: as in `DOCKER_HOST`: `unix:///path`, `tcp://host:port` or `ssh://user@host`.
        source: where it was found, for people: `DOCKER_HOST`, `Docker's socket`.
    """

    host: str
    source: str

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, and so sees the files that are mounted and the devices to be measured."""
        return self.host.startswith("unix://") or _is_loopback(urlsplit(self.host).hostname)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A place where an engine could have been, and why none was taken from there.

    Attributes:
        forbidden: an engine's socket is there, but this user may not open it.
    """

    source: str
    host: str
    reason: str
    forbidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The engine that was found, if any, and every place that was looked at before it, in order."""

    endpoint: Endpoint | None
    rejected: tuple[Rejected, ...] = ()


def find_engine(
    env: Mapping[str, str],
    *,
    usual: Sequence[Endpoint] | None = None,
    probe: Probe | None = None,
    timeout_s: float = ANSWER_S,
) -> Endpoint | None:
    """The engine to use, or None where there is none.

    Args:
        env: the environment: `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`, `HOME`, `XDG_RUNTIME_DIR`, TLS settings.
        usual: places to look at where the user named none; by default `usual_places(env)`.
        probe: how an engine is asked; by default `ping`.
        timeout_s: how long each may take to answer.

    Raises:
        EngineError: the engine that the user named does not answer or is unsafe to use, or the only ones there are
            may not be opened by this user.
    """
    found = discover(env, usual=usual, probe=probe, timeout_s=timeout_s)
    forbidden = [place for place in found.rejected if place.forbidden]
    if found.endpoint is None and forbidden:
        raise _no_permission(forbidden[0].host)
    return found.endpoint


def discover(
    env: Mapping[str, str],
    *,
    usual: Sequence[Endpoint] | None = None,
    probe: Probe | None = None,
    timeout_s: float = ANSWER_S,
) -> Discovery:
    """Like `find_engine`, but tells of every place that was looked at, and raises for what the user named only."""
    probe = probe or ping
    rejected: list[Rejected] = []
    named = _named_by_environment(env, rejected)
    if named is not None:
        _require_named(named, env, probe, timeout_s)
        return Discovery(endpoint=named, rejected=tuple(rejected))
    for place in usual_places(env) if usual is None else usual:
        why = _why_not(place, probe, timeout_s)
        if why is None:
            return Discovery(endpoint=place, rejected=tuple(rejected))
        rejected.append(why)
    return Discovery(endpoint=None, rejected=tuple(rejected))


def usual_places(env: Mapping[str, str], *, own_socket: Path = OWN_SOCKET) -> tuple[Endpoint, ...]:
    """Where engines listen unless told otherwise, in the order in which they are tried."""
    runtime = Path(env.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    sockets = (
        ("the engine that this harness started", own_socket),
        ("Docker's socket", Path("/var/run/docker.sock")),
        ("rootless Docker's socket", runtime / "docker.sock"),
        ("Docker Desktop's socket", _home(env) / ".docker/run/docker.sock"),
        ("Podman's socket", Path("/run/podman/podman.sock")),
        ("rootless Podman's socket", runtime / "podman/podman.sock"),
    )
    return tuple(Endpoint(host=f"unix://{path}", source=source) for source, path in sockets)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ping(host: str, timeout_s: float) -> None:
    """Ask the engine behind `unix://` or plain `tcp://` for a sign of life.

    Raises:
        OSError: nobody is there, nobody may ask, or what answers is no engine.
    """
    parts = urlsplit(host)
    connection = (
        _UnixConnection(host.removeprefix("unix://"), timeout_s)
        if parts.scheme == "unix"
        else http.client.HTTPConnection(parts.hostname or "", parts.port or 2375, timeout=timeout_s)
    )
    try:
        connection.request("GET", "/_ping")
        answer = connection.getresponse()
        body = answer.read(100)
    except http.client.HTTPException as error:
        raise OSError(f"what answers there does not speak HTTP: {error!r}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK or not answer.getheader("Api-Version"):
        text = body.decode("utf-8", "replace").strip()
        raise OSError(f"what answers there is no container engine: {answer.status} {answer.reason} {text}")


def _home(env: Mapping[str, str]) -> Path:
    return Path(env["HOME"]) if env.get("HOME") else Path.home()


# --- what the user named -------------------------------------------------------------------------------------------


def _named_by_environment(env: Mapping[str, str], rejected: list[Rejected]) -> Endpoint | None:
    host = env.get("DOCKER_HOST", "")
    if host:
        return Endpoint(host=host, source="DOCKER_HOST")
    rejected.append(Rejected(source="DOCKER_HOST", host="", reason="not set"))
    folder = Path(env["DOCKER_CONFIG"]) if env.get("DOCKER_CONFIG") else _home(env) / ".docker"
    name, source = env.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not name:
        name, source = _current_context(folder / "config.json", rejected), "the current Docker context"
    if name in ("", "default"):
        rejected.append(Rejected(source="Docker context", host="", reason="none is chosen"))
        return None
    return Endpoint(host=_context_host(folder, name, source), source=f"{source} {name!r}")


def _current_context(config: Path, rejected: list[Rejected]) -> str:
    """The context that `docker context use` chose. An unreadable file chooses none, as for Docker's own client."""
    try:
        content = json.loads(config.read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        rejected.append(Rejected(source=str(config), host="", reason=f"cannot be read: {error}"))
        return ""
    name = content.get("currentContext", "") if isinstance(content, dict) else ""
    return name if isinstance(name, str) else ""


def _context_host(folder: Path, name: str, source: str) -> str:
    meta = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    try:
        host = json.loads(meta.read_bytes())["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise EngineError(
            f"there is no such Docker context, or it cannot be read: {meta}",
            where=f"{source} {name!r}",
            remedy=_OTHER_CONTEXT,
        ) from error
    return str(host)


_OTHER_CONTEXT = (
    "see `docker context ls`; choose another with `docker context use NAME`, DOCKER_CONTEXT=default or DOCKER_HOST"
)


def _require_named(named: Endpoint, env: Mapping[str, str], probe: Probe, timeout_s: float) -> None:
    """Raise unless the engine that the user named can be used."""
    where = f"{named.source} ({named.host})"
    scheme = _scheme(named.host)
    if scheme not in ("unix", "tcp", "ssh"):
        raise EngineError(
            "this is no address of a container engine",
            where=where,
            remedy="use unix:///path/to/socket, tcp://host:port or ssh://user@host",
        )
    tls = bool(env.get("DOCKER_TLS_VERIFY"))
    if scheme == "tcp" and not named.local and not tls:
        raise EngineError(
            "an engine on another machine is not used without TLS: whoever reads or answers on that line "
            "is root on both machines",
            where=where,
            remedy="set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or use ssh://user@host",
        )
    if scheme == "ssh" or (tls and scheme == "tcp"):
        return  # the Docker SDK knows how to speak with these, and tells when they do not answer
    why = _why_not(named, probe, timeout_s)
    if why is None:
        return
    if why.forbidden:
        raise _no_permission(named.host)
    other = "correct or unset DOCKER_HOST" if named.source == "DOCKER_HOST" else _OTHER_CONTEXT
    raise EngineError(f"the engine does not answer: {why.reason}", where=where, remedy=f"start it, or {other}")


# --- why an engine is not taken ------------------------------------------------------------------------------------


def _why_not(place: Endpoint, probe: Probe, timeout_s: float) -> Rejected | None:
    """None where an engine answers."""
    forbidden = False
    try:
        probe(place.host, timeout_s)
    except FileNotFoundError:
        reason = "no such socket"
    except PermissionError:
        # A closed folder hides whether there is a socket in it: that alone is no engine that could be opened.
        forbidden = _exists(place.host)
        reason = "no permission to open the socket" if forbidden else "no permission to look into its folder"
    except ConnectionRefusedError:
        reason = "the socket is there, but no engine listens (it was stopped, or it crashed)"
    except TimeoutError:
        reason = f"no answer within {timeout_s:.0f} s"
    except OSError as error:
        reason = str(error)
    else:
        return None
    return Rejected(source=place.source, host=place.host, reason=reason, forbidden=forbidden)


def _exists(host: str) -> bool:
    try:
        return host.startswith("unix://") and Path(host.removeprefix("unix://")).exists()
    except OSError:
        return False


def _no_permission(host: str) -> EngineError:
    return EngineError(
        "an engine's socket is there, but this user may not open it",
        where=host,
        remedy="let an administrator run `usermod -aG docker USER`, then log in again (members of that group are root "
        "on this machine); or run ./bench as root; or use a rootless engine: "
        "`systemctl --user enable --now podman.socket`",
    )


def _scheme(host: str) -> str:
    """`unix`, `tcp`, `ssh` or something else; empty where the address cannot be read."""
    try:
        parts = urlsplit(host)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return ""
    return parts.scheme


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
