"""What a measurement works with: what a run is judged against, and what a client of a server saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.values.bench import LogFacts
from harness.values.container import Passthrough
from harness.values.facts import ImageFacts, ModelFacts
from harness.values.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a run was asked for, beside its cells: what its output is judged against.

    Attributes:
        backend: name in `BACKENDS`.
        repetitions: samples that were asked for of each test.
        verbose: the run was made to log what it does (the warm-up).
        telemetry: how the devices were meanwhile; None leaves what it would prove unobservable.
        placed: the log of the warm-up of the same key, for runs without one of their own.
    """

    passthrough: Passthrough
    backend: str
    image: ImageFacts
    model: ModelFacts
    repetitions: int
    verbose: bool = False
    telemetry: Telemetry | None = None
    placed: LogFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request to a server, as its client saw it. All times on the host's monotonic clock.

    Attributes:
        sent_ns: just before the request was written.
        tokens: for each piece of the stream that held tokens: when it was read, and how many.
        ended_ns: when the last piece was read.
        final: the server's own words at the end: `timings`, `tokens_evaluated`, `tokens_cached`, ...
        problem: why it is no answer; empty otherwise.
    """

    sent_ns: int
    tokens: tuple[tuple[int, int], ...] = ()
    ended_ns: int
    final: Mapping[str, object] = field(default_factory=dict)
    problem: str = ""

    @property
    def n_tokens(self) -> int:
        """How many tokens came."""
        return sum(count for _, count in self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the client of a server heard during one run.

    Attributes:
        ready_ns: when the server first said that it is ready; None where it never did.
        about: what it says of itself: `build_info`, `n_ctx`, `n_vocab`, `total_slots`.
        answers: by cell id, for each repetition the answers to its requests.
        counters: the server's `/metrics` by name, when it is ready and after each repetition; `at_ns` says when.
        problem: why the client gave up; empty otherwise.
    """

    ready_ns: int | None = None
    about: Mapping[str, object] = field(default_factory=dict)
    answers: Mapping[str, tuple[tuple[Answer, ...], ...]] = field(default_factory=dict)
    counters: tuple[Mapping[str, float], ...] = ()
    problem: str = ""
