"""Waiting for the end of a container, and ending it: at its deadline, on demand, and never without removing it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from threading import Event
from typing import Final

from harness.engine.attach import OutputReader
from harness.engine.handle import ContainerHandle, State
from harness.engine.output import STDERR, STDOUT, Captured
from harness.values.container import ContainerExit

_NS: Final = 1_000_000_000
_KILLED: Final = 137
_INIT_FAILURES: Final = ("[FATAL tini", "failed to exec pid1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each step may take, in seconds. The defaults let a container be gone within 15 s of its deadline.

    Attributes:
        step: between two looks at the caller's `cancel`.
        look: between two questions to the engine while the output is open. They cost a few milliseconds of the machine
            that is measured; the end is told by the output's end, so they only catch what that misses.
        first_look, slowest_look: after the output ended: the first pause, which doubles up to the last.
        silence: the engine may be away for so long (a restart) before the run is given up.
        term, kill: after SIGTERM and SIGKILL.
        drain: for the last output after the end.
        call: for each answer of the engine while a container is being ended; answer: at other times.
    """

    step: float = 0.25
    look: float = 5.0
    first_look: float = 0.01
    slowest_look: float = 1.0
    silence: float = 30.0
    term: float = 5.0
    kill: float = 5.0
    drain: float = 2.0
    call: int = 3
    answer: int = 20
    remove_tries: int = 3


class _Cause(Enum):
    ENDED = "ended"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SILENT = "silent"


class NotStarted:
    """A container that could not be created or started. It is gone already."""

    container_id = ""

    def __init__(self, outcome: ContainerExit) -> None:
        self._outcome = outcome

    def wait(self, *, deadline_ns: int, cancel: Event) -> ContainerExit:  # noqa: ARG002 - the protocol's
        """What went wrong."""
        return self._outcome


class RunningContainer:
    """A started container; see `harness.values.protocols.Running`.

    Args:
        handle: requests about it; closed at the end.
        reader: reads its output; stopped at the end.
        started_ns: when it was asked to start, on `clock`.
        may_oom: it has a memory limit.
        on_leftover: told the container's id where it could not be removed.
    """

    def __init__(
        self,
        *,
        handle: ContainerHandle,
        reader: OutputReader,
        started_ns: int,
        may_oom: bool,
        patience: Patience,
        clock: Callable[[], int],
        on_leftover: Callable[[str], None],
    ) -> None:
        self._handle = handle
        self._reader = reader
        self._started_ns = started_ns
        self._may_oom = may_oom
        self._patience = patience
        self._clock = clock
        self._on_leftover = on_leftover
        self._state: State | None = None
        self._lost_output = False
        self._went_away = False

    @property
    def container_id(self) -> str:
        """The engine's id of the container."""
        return self._handle.container_id

    def wait(self, *, deadline_ns: int, cancel: Event) -> ContainerExit:
        """Wait for the end, to `deadline_ns` or until `cancel` is set, then kill in stages. Removes it in any case."""
        try:
            cause, stage = self._until_end(deadline_ns, cancel), None
            if cause in {_Cause.TIMED_OUT, _Cause.CANCELLED}:
                cause, stage = self._end(cause)
            ended_ns = self._clock()
            return self._conclude(cause, stage, ended_ns)
        finally:
            self._close()

    def _until_end(self, deadline_ns: int, cancel: Event) -> _Cause:
        pause = self._patience.first_look
        next_look_ns = self._clock() + round(self._patience.look * _NS)
        silent_since_ns: int | None = None
        while True:
            now = self._clock()
            if cancel.is_set():
                return _Cause.CANCELLED
            if now >= deadline_ns:
                return _Cause.TIMED_OUT
            closed = self._reader.ended.is_set()
            if closed or now >= next_look_ns:
                if self._look():
                    return _Cause.ENDED
                if self._state is None:
                    # While the output is open the engine lives, however slow it is to answer.
                    self._went_away |= closed
                    silent_since_ns = silent_since_ns or now
                    if now - silent_since_ns > self._patience.silence * _NS:
                        return _Cause.SILENT
                else:
                    silent_since_ns = None
                next_look_ns = self._clock() + round((pause if closed else self._patience.look) * _NS)
            left = max(0.0, (deadline_ns - self._clock()) / _NS)
            if closed:
                cancel.wait(min(pause, left))
                pause = min(2 * pause, self._patience.slowest_look)
                # Still there well after its output ended: it closed its streams itself, or the connection broke.
                self._lost_output |= pause >= self._patience.slowest_look
            else:
                self._reader.ended.wait(min(self._patience.step, left))

    def _look(self) -> bool:
        """Whether it has ended; keeps the engine's last word in `_state`, None where there was none."""
        self._state = self._handle.look()
        return self._state is not None and not self._state.running

    def _end(self, cause: _Cause) -> tuple[_Cause, str | None]:
        """Kill in stages: what ended it, and the last step that was needed."""
        self._handle.hurry(self._patience.call)
        if self._look():
            # It ended by itself at the last moment.
            return _Cause.ENDED, None
        for stage, name, seconds in (
            ("term", "SIGTERM", self._patience.term),
            ("kill", "SIGKILL", self._patience.kill),
        ):
            limit_ns = self._clock() + round(seconds * _NS)
            self._handle.signal(name)
            if self._ends_by(limit_ns):
                return cause, stage
        if not self._handle.remove(tries=self._patience.remove_tries):
            self._state = None
        return cause, "remove"

    def _ends_by(self, limit_ns: int) -> bool:
        pause = self._patience.first_look
        while not self._look():
            left = (limit_ns - self._clock()) / _NS
            if left <= 0:
                return False
            # The end of the output wakes it at once; without one it asks, ever more slowly.
            if self._reader.ended.is_set():
                time.sleep(min(self._patience.first_look, left))
            else:
                self._reader.ended.wait(min(pause, left))
            pause = min(2 * pause, self._patience.slowest_look)
        return True

    def _conclude(self, cause: _Cause, stage: str | None, ended_ns: int) -> ContainerExit:
        self._reader.stop(timeout_s=self._patience.drain)
        state = self._settled(stage)
        if state is not None and (self._reader.broken or self._lost_output or self._went_away):
            for stream in (STDOUT, STDERR):
                self._reader.recover(stream, self._handle.log(stderr=stream == STDERR))
        stdout, stderr = self._reader.result(STDOUT), self._reader.result(STDERR)
        error, phase, code = self._judge(cause, state, stderr)
        return ContainerExit(
            exit_code=code,
            container_id=self._handle.container_id,
            oom_killed=state is not None and state.oom_killed,
            timed_out=cause is _Cause.TIMED_OUT,
            cancelled=cause is _Cause.CANCELLED,
            kill_stage=stage,
            error=error,
            error_phase=phase,
            stdout=stdout.lines,
            stderr=stderr.lines,
            stdout_bytes=stdout.total_bytes,
            stderr_bytes=stderr.total_bytes,
            stdout_truncated=stdout.truncated,
            stderr_truncated=stderr.truncated,
            started_ns=self._started_ns,
            ended_ns=ended_ns,
        )

    def _settled(self, stage: str | None) -> State | None:
        """The last state; after a probable kill by the memory limit asked again, as that news can follow the exit."""
        for _ in range(4):
            state = self._state
            unclear = state is not None and state.exit_code == _KILLED and not state.oom_killed
            if not (unclear and self._may_oom and stage is None):
                break
            time.sleep(0.1)
            again = self._handle.look()
            if again is None or again.gone:
                break
            self._state = again
        return self._state

    def _judge(self, cause: _Cause, state: State | None, stderr: Captured) -> tuple[str, str, int | None]:
        """The error, its phase, and the exit code."""
        if state is None or cause is _Cause.SILENT:
            return f"the engine went away during the run: {self._handle.trouble}", "wait", None
        if state.gone:
            return "the container was removed by someone else while it ran", "wait", None
        error, phase = state.error, "wait" if state.error else ""
        if not error and cause is _Cause.ENDED and state.exit_code:
            first = stderr.lines[0].text if stderr.lines else ""
            if any(mark in first for mark in _INIT_FAILURES):
                return first, "start", None
            if self._went_away:
                # An engine that restarts kills its containers: this code is not the program's own.
                error, phase = f"the engine went away during the run: {self._handle.trouble}", "wait"
        return error, phase, state.exit_code

    def _close(self) -> None:
        # Where the last word was silence, once is enough: the next start, or the next sweep, tries again.
        if not self._handle.remove(tries=1 if self._state is None else self._patience.remove_tries):
            self._on_leftover(self._handle.container_id)
        self._reader.stop(timeout_s=0)
        self._handle.close()
