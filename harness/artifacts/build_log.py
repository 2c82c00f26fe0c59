"""What a builder prints: kept in a file, reduced to where the build is, and read for the cause where it failed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import ArtifactError
from harness.values.failure import Reason

TAIL_LINES = 30

Progress = Callable[[str, int | None, int | None], None]
"""`progress(text, done, total)`: None for both where nothing can be counted."""


class BuildLog:
    """Keeps a builder's output in a file and reduces it to where the build is.

    Args:
        path: the log file, overwritten.
        name: of the Dockerfile, for the texts.
        progress: told `(text, done, total)`: of compiler steps where ninja counts them. The Dockerfile's steps are
            named only: one of them takes most of the time, so that their number says nothing about how far it is.
    """

    _STEP = re.compile(r"^step (\d+)/(\d+) ?: (.*)", re.IGNORECASE)
    _NINJA = re.compile(r"^\[(\d+)/(\d+)\] (.*)")
    _COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

    def __init__(self, path: Path, *, name: str, progress: Progress) -> None:
        self.path = path
        self._name = name
        self._progress = progress
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._partial = ""
        self._step = ""
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left and close the file."""
        if self._partial:
            self.take("\n")
        self._file.close()

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines."""
        return tuple(self._tail)

    def take(self, text: str) -> None:
        """Take a piece of output; it may end in the middle of a line."""
        *lines, self._partial = (self._partial + text).split("\n")
        for raw in lines:
            line = self._COLOUR.sub("", raw.rstrip().rpartition("\r")[2])
            if line:
                self._file.write(f"{line}\n")
                self._tail.append(line)
                self._tell(line)
        self._file.flush()

    def _tell(self, line: str) -> None:
        if step := self._STEP.match(line):
            done, total, what = int(step[1]), int(step[2]), " ".join(step[3].split())
            self._step = f"{self._name}: step {done} of {total}"
            self._progress(f"{self._step}: {what[:100]}", None, None)
        elif ninja := self._NINJA.match(line):
            self._progress(f"{self._step or self._name}, compiling", int(ninja[1]), int(ninja[2]))


_CAUSES = (
    (
        "no space left on device|write error: disk full",
        "free space where the engine keeps its images, for example with `docker image prune`; finished steps are kept",
    ),
    (
        "killed signal terminated|fatal error: killed|out of memory|virtual memory exhausted|cannot allocate memory",
        "the compiler ran out of memory: close other programs, or build where each core has 2 GB of memory",
    ),
    (
        "temporary failure resolving|could not resolve|failed to fetch|unable to fetch some archives|could not connect",
        "the build cannot reach the package sources: check the engine's network and the proxy in ~/.docker/config.json",
    ),
    (
        "unable to locate package|has no installation candidate",
        "the base image is not of the suite that the Dockerfile expects: remove it and start again",
    ),
    (
        r"unsupported gpu architecture|invalid target id|_architectures:\s.*is not one of",
        "the compiler does not know this architecture: name others in `architectures`, or use an official image",
    ),
    (
        "pull access denied|manifest unknown|no such host",
        "the image that it starts from is gone: start again, so that it is made",
    ),
)


def build_error(name: str, text: str, log: BuildLog) -> ArtifactError:
    """What a failed build is for the user: its last lines, where the rest is, and what to do about the cause.

    Args:
        name: of the Dockerfile.
        text: the engine's words.
        log: what the builder wrote.
    """
    lines = log.tail
    evidence = "\n".join((*lines, text))
    for pattern, known in _CAUSES:
        if re.search(pattern, evidence, re.IGNORECASE):
            remedy = known
            break
    else:
        remedy = "read the log; the same command goes on at the last step that was finished"
    shown = "\n    ".join(lines)
    return ArtifactError(
        f"the build failed. The last lines of {log.path}:\n    {shown}",
        reason=Reason.IMAGE,
        where=f"images/{name}.Dockerfile",
        remedy=remedy,
    )
