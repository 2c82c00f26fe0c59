"""The few requests about one container, none of which raises for what the engine does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from docker import APIClient

from harness.engine.trouble import TROUBLE, is_absent, is_conflict, words


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the engine says about a container.

    Attributes:
        running: its first process has not ended.
        gone: the engine does not know it any more.
        exit_code: of its first process; None while it runs and where it never ran.
        oom_killed: the kernel's memory limit killed a process in it.
        error: the engine's words, mostly empty.
    """

    running: bool
    gone: bool = False
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""


class ContainerHandle:
    """One container at one engine.

    Args:
        client: for this container alone; closed with `close`.
        container_id: the engine's id.
        pause: sleeps for seconds; between tries only.
    """

    def __init__(self, client: APIClient, container_id: str, *, pause: Callable[[float], object]) -> None:
        self.container_id = container_id
        self.trouble = ""
        """The engine's words when it last did not answer; empty while it always did."""
        self._client = client
        self._pause = pause
        self._removed = False

    def hurry(self, seconds: int) -> None:
        """Wait at most so long for each answer from now on."""
        self._client.timeout = seconds

    def look(self) -> State | None:
        """The container's state; None where the engine does not answer (`trouble` then has its words)."""
        try:
            state = self._client.inspect_container(self.container_id)["State"]
        except TROUBLE as problem:
            if is_absent(problem):
                return State(running=False, gone=True)
            self.trouble = words(problem)
            return None
        running = bool(state.get("Running"))
        ran = state.get("Status") != "created"
        return State(
            running=running,
            exit_code=None if running or not ran else int(state.get("ExitCode", 0)),
            oom_killed=bool(state.get("OOMKilled")),
            error=" ".join(str(state.get("Error") or "").split()),
        )

    def signal(self, name: str) -> None:
        """Send a signal to the first process. Whether it had ended, or the engine is silent, shows on looking."""
        try:
            self._client.kill(self.container_id, signal=name)
        except TROUBLE as problem:
            if not (is_absent(problem) or is_conflict(problem)):
                self.trouble = words(problem)

    def log(self, *, stderr: bool) -> Iterator[bytes]:
        """The engine's own log of stdout or stderr as far as it can be read."""
        try:
            yield from self._client.logs(self.container_id, stdout=not stderr, stderr=stderr, stream=True, follow=False)
        except TROUBLE as problem:
            self.trouble = words(problem)

    def remove(self, *, tries: int) -> bool:
        """Remove the container, running or not, with its volumes; whether it is gone."""
        for attempt in range(tries):
            if self._removed:
                break
            if attempt:
                self._pause(0.5)
            try:
                self._client.remove_container(self.container_id, v=True, force=True)
                self._removed = True
            except TROUBLE as problem:
                # A conflict: another removal is under way. The next try finds it gone, or tries again.
                self._removed = is_absent(problem)
                if not (is_absent(problem) or is_conflict(problem)):
                    self.trouble = words(problem)
        return self._removed

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
