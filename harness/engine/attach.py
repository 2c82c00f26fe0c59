"""The thread that reads what a container writes. It sleeps in `recv` and ends with the container."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Final, Protocol

from docker import APIClient

from harness.engine.output import STDERR, STDOUT, Captured, Demultiplexer, FramingError, StreamCapture

_log = logging.getLogger(__name__)
_CHUNK_BYTES: Final = 256 * 1024
NAMES: Final = {STDOUT: "stdout", STDERR: "stderr"}


class Connection(Protocol):
    """A byte stream from the engine."""

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""

    def close(self) -> None:
        """Give it back; a `recv` in another thread ends."""


class AttachedSocket:
    """The hijacked connection of an attach request.

    Open it before the container starts: then nothing can have been sent before, and nothing is lost.
    """

    def __init__(self, client: APIClient, container_id: str) -> None:
        holder = client.attach_socket(container_id, params={"stdout": 1, "stderr": 1, "stream": 1})
        self._holder = holder
        # The SDK hands out Python's wrapper; only the socket below can be shut down and freed of its timeout.
        self._socket: socket.socket = getattr(holder, "_sock", holder)
        self._socket.settimeout(None)

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        return self._socket.recv(size)

    def close(self) -> None:
        """Close socket and response; a `recv` in another thread ends."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for part in (getattr(self._holder, "_response", None), self._holder, self._socket):
            if part is not None:
                with suppress(OSError):
                    part.close()


class OutputReader:
    """Reads a connection into two bounded captures.

    Args:
        connection: opened before the container started.
        limit_bytes: what is kept of each stream.
        on_line: called in the reader's thread with `stdout` or `stderr` and the line.
        clock: monotonic, in ns.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        limit_bytes: int,
        on_line: Callable[[str, str], None] | None,
        clock: Callable[[], int],
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._on_line = on_line
        self._lock = Lock()
        self._stopped = False
        self._captures = {
            stream: StreamCapture(limit_bytes=limit_bytes, on_line=self._teller(name) if on_line else None)
            for stream, name in NAMES.items()
        }
        self.ended = Event()
        """Set when no more comes: at the end of the container, or when the connection broke."""
        self.broken = False
        """Whether it ended otherwise than at the end of a frame."""
        self._thread = Thread(target=self._read, name="container-output", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, *, timeout_s: float) -> None:
        """Wait for the end of the stream, at most `timeout_s`; then close the connection. Later bytes are not taken."""
        if self._thread.ident is not None and not self.ended.wait(timeout_s):
            self.broken = True
        with self._lock:
            self._stopped = True
        self._connection.close()
        if self._thread.ident is not None:
            self._thread.join(1.0)

    def recover(self, stream: int, log: Iterable[bytes]) -> None:
        """Add what the engine's log of `stream` has beyond what was read. Only after `stop`."""
        self._captures[stream].recover(log, self._clock())

    def result(self, stream: int) -> Captured:
        """What was kept of `stream`. Only after `stop`."""
        return self._captures[stream].result()

    def _read(self) -> None:
        frames = Demultiplexer()
        try:
            while data := self._connection.recv(_CHUNK_BYTES):
                at_ns = self._clock()
                with self._lock:
                    if self._stopped:
                        break
                    for stream, payload in frames.feed(data):
                        self._captures[stream].feed(payload, at_ns)
            self.broken = not frames.at_boundary
        except (OSError, ValueError, FramingError):
            self.broken = True
        finally:
            self.ended.set()

    def _teller(self, name: str) -> Callable[[str], None]:
        def tell(line: str) -> None:
            if self._on_line is None:
                return
            try:
                self._on_line(name, line)
            except Exception:  # noqa: BLE001 - a mistake in a progress display must not stop the reading, which would stop the container
                _log.warning("on_line failed and is not called again", exc_info=True)
                self._on_line = None

        return tell
