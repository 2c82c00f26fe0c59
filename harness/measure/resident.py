"""A model that is resident beside a run: a llama-server that was loaded, and is idle or generates all the time."""

from __future__ import annotations

import random
from http.client import HTTPException
from threading import Event

from harness.measure.server import Server
from harness.measure.server_client import ServerClient, request_body
from harness.values.cell import Cell, Test
from harness.values.container import Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure
from harness.values.measured import Heard
from harness.values.measurement import LATENCY

N_CTX = 4096
"""Tokens of its context, whose cache is there from the start."""

BUSY_TOKENS = 64
_ASKED = Test(measurement=LATENCY, n_prompt=64)
_LOOK_S = 0.05


def resident_argv(cell: Cell, image: ImageFacts, *, passthrough: Passthrough) -> tuple[str, ...] | Failure:
    """A server with the parameters of the cell, its model and a context of `N_CTX` tokens."""
    # The server adds a few tokens of its own and rounds up.
    asked = Test(measurement=LATENCY, n_prompt=N_CTX - 512, n_gen=256)
    return Server().argv([_as(cell, asked)], image, passthrough=passthrough, repetitions=1, verbose=False)


def _as(cell: Cell, test: Test) -> Cell:
    return Cell(id=cell.id, backend=cell.backend, image=cell.image, model=cell.model, params=cell.params, test=test)


class ResidentClient(ServerClient):
    """Waits until the server is ready, then keeps it, at work or idle, until `done` is set.

    Attributes:
        ready: set when it is ready, by others too when its container has ended. ready_ns: when it was, on the
            monotonic clock; None before.
        go: set when the run begins. done: set when it is over.
        answered: requests that were answered. problem: what went wrong with one.
    """

    def __init__(self, *, busy: bool) -> None:
        super().__init__((), repetitions=0)
        self._busy = busy
        self.ready, self.go, self.done = Event(), Event(), Event()
        self.ready_ns: int | None = None
        self.answered = 0
        self.problem = ""

    def talk(self, stop: Event) -> Heard:
        """Keep the server until the run is over. Never raises."""
        self.ready_ns = self.wait_until_ready(stop, self.done)
        if self.ready_ns is None:
            return Heard()  # how its container ended says why, or the run is over before it began
        try:
            about = self._about()
        except (OSError, HTTPException, ValueError) as error:
            about, self.problem = {}, f"{type(error).__name__}: {error}"[:300]
        self.ready.set()
        chance = random.Random(1)  # noqa: S311 - prompts, no secret
        while not self.done.wait(_LOOK_S) and not stop.is_set():
            while self._busy and self.go.is_set() and not self.done.is_set() and not stop.is_set():
                prompt = self._tokens(_ASKED, about, chance)
                answer = self.ask(request_body(prompt, slot=0, n_predict=BUSY_TOKENS, cached=False))
                if answer.problem:
                    self.problem = self.problem or answer.problem
                    break
                self.answered += 1
        return Heard(ready_ns=self.ready_ns, about=about, problem=self.problem)
