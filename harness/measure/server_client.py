"""The client of a llama-server in a container: it speaks HTTP through a Unix socket in a folder that both share.

The container has no network, so nobody else can ask it, and nothing of the network's stack is in the times. Requests
are written whole, answers are read line by line, and the clock is read as soon as a line is there.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any, Final

from harness.formats import llama_server
from harness.measure.telemetry import AT_NS
from harness.values.cell import Cell, Test
from harness.values.container import BindMount
from harness.values.measured import Answer, Heard
from harness.values.measurement import TEXT

SHARED_FOLDER: Final = "/shared"
SOCKET_NAME: Final = "llama.sock"

_LOOK_S: Final = 0.01
_ANSWER_S: Final = 600.0
_FIRST_TOKEN: Final = 1000
"""Below it vocabularies have control tokens and single bytes; above it every model of today has ordinary ones."""
_LAST_TOKEN: Final = 30_000
_SMALLEST_VOCABULARY: Final = 2 * _FIRST_TOKEN


class SocketConnection(HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket.

        Raises:
            OSError: nobody listens there.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ServerClient:
    """Asks one llama-server for the answers of a run's cells. Implements `harness.values.protocols.Client`.

    Args:
        cells: of the run; all latency cells with the same number of requests at once, or a load cell.
        repetitions: how often each cell is asked.
        text: of which prompts are made in cells that ask for that.
        seed: of the random prompts. The same test gets the same prompts in every run.
        clock: monotonic, in ns.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        *,
        repetitions: int,
        text: Path | None = None,
        seed: int = 1,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._cells = tuple(cells)
        self._repetitions = repetitions
        self._text = text
        self._seed = seed
        self._words: tuple[int, ...] = ()
        self._clock = clock
        # Short, since the path of a socket has at most 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="lbh-"))
        self._shared = self._folder / "s"
        self._shared.mkdir()
        # The server's user is nobody's: it can write here, and others cannot come this far.
        self._shared.chmod(0o777)
        self._answers: dict[str, list[tuple[Answer, ...]]] = {}
        self._counters: list[dict[str, float]] = []

    @property
    def socket(self) -> Path:
        """Where the server will listen."""
        return self._shared / SOCKET_NAME

    def mounts(self) -> tuple[BindMount, ...]:
        """The folder with the socket."""
        return (BindMount(source=self._shared, target=SHARED_FOLDER, read_only=False),)

    def user(self) -> str:
        """This user, unless it is root: only the owner of a socket, and root, may open it."""
        return "" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def talk(self, stop: Event) -> Heard:
        """Wait until the server is ready, and ask for everything. Never raises."""
        ready_ns, about, problem = None, {}, ""
        try:
            ready_ns = self.wait_until_ready(stop)
            if ready_ns is not None:
                about = self._about()
                if any(cell.test.prompts == TEXT for cell in self._cells):
                    self._words = self._tokenized()
                self._count()
                for cell in self._cells:
                    self._ask_all(cell, about, stop)
        except (OSError, HTTPException, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"[:300]
        answers = {name: tuple(found) for name, found in self._answers.items()}
        return Heard(ready_ns=ready_ns, about=about, answers=answers, counters=tuple(self._counters), problem=problem)

    def wait_until_ready(self, stop: Event, *others: Event) -> int | None:
        """When the server first said that it is ready, on the monotonic clock; None where an event came before."""
        while not (stop.wait(_LOOK_S) or any(other.is_set() for other in others)):
            try:
                status, _ = self._get("/health", timeout_s=5.0)
            except (OSError, HTTPException):
                continue
            if status == 200:  # noqa: PLR2004 - OK
                return self._clock()
        return None

    def _about(self) -> dict[str, object]:
        found = []
        for path in ("/props", "/v1/models"):
            _, body = self._get(path, timeout_s=30.0)
            found.append(llama_server.read_object(body))
        return llama_server.about(*found)

    def _tokenized(self) -> tuple[int, ...]:
        """The text as this model's tokens.

        Raises:
            ValueError: there is no text, or the server makes no tokens of it.
        """
        content = self._text.read_text(encoding="utf-8") if self._text else ""
        status, body = self._get("/tokenize", timeout_s=30.0, body=json.dumps({"content": content}).encode())
        tokens = llama_server.read_tokens(body)
        if status != 200 or not tokens:  # noqa: PLR2004 - OK
            raise ValueError(f"the server made no tokens of the text: HTTP {status}")
        return tokens

    def _get(self, path: str, *, timeout_s: float, body: bytes | None = None) -> tuple[int, bytes]:
        connection = SocketConnection(self.socket, timeout_s=timeout_s)
        try:
            connection.request("GET" if body is None else "POST", path, body=body)
            response = connection.getresponse()
            return response.status, response.read(llama_server.MOST_BYTES)
        finally:
            connection.close()

    def _ask_all(self, cell: Cell, about: dict[str, object], stop: Event) -> None:
        test = cell.test
        if not test.n_prompt:
            return
        made = self._answers.setdefault(cell.id, [])
        for repetition in range(self._repetitions):
            if stop.is_set():
                return
            requests = []
            for slot in range(test.n_parallel):
                chance = f"{self._seed}/{test.n_depth}/{test.n_prompt}/{test.n_gen}/{repetition}/{slot}"
                tokens = self._tokens(test, about, random.Random(chance))  # noqa: S311 - prompts, no secret
                prefix, prompt = tokens[: test.n_depth], tokens[test.n_depth :]
                if prefix:
                    self.ask(request_body(prefix, slot=slot, n_predict=0, cached=True))
                requests.append(request_body([*prefix, *prompt], slot=slot, n_predict=test.n_gen, cached=bool(prefix)))
            made.append(self._at_once(requests))
            self._count()

    def _tokens(self, test: Test, about: dict[str, object], chance: random.Random) -> list[int]:
        """Prefix and prompt. Random tokens: no two begin alike, so nothing is found in a cache by chance."""
        count = test.n_depth + test.n_prompt
        if test.prompts == TEXT:
            begin = chance.randrange(len(self._words))
            return [self._words[(begin + at) % len(self._words)] for at in range(count)]
        size = about.get("n_vocab")
        last = min(size, _LAST_TOKEN) if isinstance(size, int) and size >= _SMALLEST_VOCABULARY else _LAST_TOKEN
        return [chance.randrange(_FIRST_TOKEN, last) for _ in range(count)]

    def _at_once(self, requests: Sequence[dict[str, Any]]) -> tuple[Answer, ...]:
        """The answers to requests that are sent together."""
        if len(requests) == 1:
            return (self.ask(requests[0]),)
        answers: list[Answer | None] = [None] * len(requests)
        together = Barrier(len(requests))

        def ask(index: int) -> None:
            together.wait()
            answers[index] = self.ask(requests[index])

        threads = [Thread(target=ask, args=(index,), daemon=True) for index in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tuple(answer for answer in answers if answer is not None)

    def ask(self, body: dict[str, Any]) -> Answer:
        """One request, streamed. Never raises: what goes wrong is its `problem`."""
        content = json.dumps(body).encode()
        connection = SocketConnection(self.socket, timeout_s=_ANSWER_S)
        sent_ns = self._clock()
        try:
            connection.connect()
            sent_ns = self._clock()
            connection.request("POST", "/completion", body=content, headers={"Content-Type": "application/json"})
            return self._streamed(connection.getresponse(), sent_ns)
        except (OSError, HTTPException, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"[:300]
            return Answer(sent_ns=sent_ns, ended_ns=self._clock(), problem=problem)
        finally:
            connection.close()

    def _streamed(self, response: HTTPResponse, sent_ns: int) -> Answer:
        if response.status != 200:  # noqa: PLR2004 - OK
            words = response.read(1000).decode(errors="replace")
            problem = f"HTTP {response.status}: {words}"[:300]
            return Answer(sent_ns=sent_ns, ended_ns=self._clock(), problem=problem)
        tokens: list[tuple[int, int]] = []
        while line := response.readline(llama_server.MOST_BYTES):
            at_ns = self._clock()
            event = llama_server.read_event(line)
            if event is None:
                continue
            if count := llama_server.token_count(event):
                tokens.append((at_ns, count))
            if event.get("stop"):
                return Answer(sent_ns=sent_ns, tokens=tuple(tokens), ended_ns=at_ns, final=event)
            if "error" in event:
                problem = f"the server says: {json.dumps(event['error'])}"[:300]
                return Answer(sent_ns=sent_ns, tokens=tuple(tokens), ended_ns=at_ns, problem=problem)
        return Answer(
            sent_ns=sent_ns, tokens=tuple(tokens), ended_ns=self._clock(), problem="the stream ended before its end"
        )

    def _count(self) -> None:
        """The server's counters, between two repetitions, when nothing is measured."""
        status, body = self._get("/metrics", timeout_s=30.0)
        if status == 200:  # noqa: PLR2004 - OK
            found = llama_server.counters(body.decode(errors="replace"))
            self._counters.append({**found, AT_NS: float(self._clock())})


def request_body(prompt: Sequence[int], *, slot: int, n_predict: int, cached: bool) -> dict[str, Any]:
    """What `/completion` is asked: `n_predict` tokens after a prompt of token numbers, streamed."""
    return {
        "prompt": list(prompt),
        "n_predict": n_predict,
        "stream": True,
        "return_tokens": True,
        "cache_prompt": cached,
        "id_slot": slot,
        # The same number of tokens every time, whatever the model would say.
        "ignore_eos": True,
        "temperature": 0.0,
        "seed": 1,
    }
