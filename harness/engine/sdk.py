"""The Docker SDK's client, which here leaves no socket open where nobody listens."""

from __future__ import annotations

import socket
from typing import Final

from docker import APIClient
from docker.tls import TLSConfig
from docker.transport.unixconn import UnixHTTPConnection

AUTO: Final = "auto"
"""In place of an API version: the newest that the engine serves."""


def api_client(host: str, *, timeout_s: int, version: str = AUTO, tls: TLSConfig | bool = False) -> APIClient:
    """A client for the engine at `host`, such as `unix:///var/run/docker.sock`.

    Raises:
        DockerException: `version` is `auto`, and nothing answers.
    """
    return APIClient(base_url=host, version=version, timeout=timeout_s, tls=tls)


def _connect(connection: UnixHTTPConnection) -> None:
    """What `UnixHTTPConnection.connect` does, without its leak: it keeps the socket only once it is connected.

    A socket that nobody listens to, or that this user may not open, would else stay open until the garbage is
    collected: one for each look at an engine that has gone.
    """
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(connection.timeout)
        opened.connect(connection.unix_socket)
    except BaseException:
        opened.close()
        raise
    connection.sock = opened


UnixHTTPConnection.connect = _connect  # type: ignore[method-assign, assignment]  # mended in place: the SDK makes it itself
