"""What can go wrong between the harness and the engine, in one tuple and in plain words."""

from __future__ import annotations

from http.client import HTTPException
from typing import Final

from docker.errors import APIError, DockerException, NotFound
from urllib3.exceptions import HTTPError

from harness.errors import EngineError

TROUBLE: Final = (DockerException, OSError, HTTPError, HTTPException)
"""Everything the SDK lets through: its own errors, those of requests (they are `OSError`), and in streams these."""

_CONFLICT: Final = 409
_WORDS_LIMIT: Final = 2000


def words(problem: BaseException) -> str:
    """The engine's own words on one line."""
    text = str(problem.explanation) if isinstance(problem, APIError) and problem.explanation else str(problem)
    return " ".join(text.split())[:_WORDS_LIMIT] or type(problem).__name__


def is_absent(problem: BaseException) -> bool:
    """Whether the engine says that there is no such thing."""
    return isinstance(problem, NotFound)


def is_conflict(problem: BaseException) -> bool:
    """Whether the engine says that the state of the container does not allow it, or that its name is taken."""
    return isinstance(problem, APIError) and problem.status_code == _CONFLICT


def unreachable(host: str, problem: BaseException) -> EngineError:
    """The one message for an engine that does not answer."""
    text = words(problem)
    if "PermissionError" in text or "Permission denied" in text:
        remedy = (
            "Run as a user that may open the engine's socket (for Docker: group docker, which is as powerful as root), "
            "or use a rootless engine."
        )
    elif "paramiko" in text:
        remedy = "Install it beside the harness: .venv/bin/pip install paramiko. Or use a tcp:// address with TLS."
    else:
        remedy = "Start the engine, or point DOCKER_HOST at one that runs; `./bench doctor` says what it finds."
    return EngineError(f"the container engine does not answer: {text}", where=host, remedy=remedy)
