"""What a llama-bench says about itself: asked once for each content id, and kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.bench_help import parse_help, parse_version
from harness.errors import ArtifactError
from harness.values.failure import Reason
from harness.values.matrix import ImageSource

CACHE_FORMAT = 1

Probe = Callable[[str, tuple[str, ...]], tuple[int | None, str, str]]
"""`probe(image_id, argv) -> (exit_code, stdout, stderr)`: a hardened container, with the engine's words in stderr and
None as exit code where it could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a llama-bench says about itself. The same image always says the same, so it is asked once."""

    flags: Mapping[str, str]
    build_number: int | None
    build_commit: str | None


def known_answers(image_id: str, binary_dir: str, cache: Path) -> Answers | None:
    """What an image said when it was asked; None where it never was, or what is kept cannot be read."""
    return _read(kept_as(image_id, binary_dir, cache, what="json"))


def ask(image_id: str, source: ImageSource, ref: str, *, probe: Probe, cache: Path) -> Answers:
    """Ask an image's llama-bench for its options and, where it can say it, its build.

    Raises:
        ArtifactError: it has no llama-bench that runs here.
    """
    path = kept_as(image_id, source.binary_dir, cache, what="json")
    known = _read(path)
    if known is not None:
        return known
    program = f"{source.binary_dir.rstrip('/')}/llama-bench"
    code, stdout, stderr = probe(image_id, (program, "--help"))
    flags = parse_help(stdout) or parse_help(stderr)
    if code != 0 or "-m" not in flags:
        raise _no_bench(code, f"{stderr}\n{stdout}", program, ref)
    number: int | None = None
    commit: str | None = None
    if "--version" in flags:
        code, stdout, stderr = probe(image_id, (program, "--version"))
        number, commit = parse_version(f"{stderr}\n{stdout}")
    answers = Answers(flags=flags, build_number=number, build_commit=commit)
    if ended_itself(code):
        _write(path, answers)
    return answers


def ended_itself(code: int | None) -> bool:
    """Whether a program said all that it had to say: not where an engine went away, or it was ended by a signal."""
    return code is not None and code < _SIGNALLED


_SIGNALLED = 128
_SIGILL = _SIGNALLED + 4


def _no_bench(code: int | None, words: str, program: str, ref: str) -> ArtifactError:
    library = re.search(r"error while loading shared libraries: ([^:\s]+)", words)
    if library:
        what = f"its llama-bench needs {library[1]}, which is neither in the image nor given to the container"
        remedy = "install the GPU's driver and container toolkit on the host, or use an image of another backend"
    elif re.search(r"no such file or directory|not found|not a directory", words, re.IGNORECASE):
        what = f"there is no {program} in it: only the `full` images have llama-bench, not `light` or `server`"
        remedy = "use the image's `full-...` tag, or name the folder where llama-bench lies with `binary_dir:`"
    elif re.search(r"exec format error", words, re.IGNORECASE):
        what = "it is made for another architecture than this machine's"
        remedy = "name an image for this architecture, or build one with `build:`"
    elif code == _SIGILL:
        what = "its llama-bench uses instructions that this CPU does not have"
        remedy = "use an image that was built with all CPU variants, such as `build: cpu`"
    else:
        last = [line.strip() for line in words.splitlines() if line.strip()][-1:] or ["nothing"]
        how = "was not started" if code is None else f"ended with exit code {code}"
        what = f"`{program} --help` {how} and said: {last[0][:300]}"
        remedy = "see that the image runs here at all, with `docker run --rm --entrypoint`"
    return ArtifactError(what, reason=Reason.IMAGE, where=ref, remedy=remedy)


def kept_as(image_id: str, binary_dir: str, cache: Path, *, what: str) -> Path:
    """Where something is kept about the programs in a folder of an image; one image can hold several builds.

    Args:
        what: the end of the file's name.
    """
    where = hashlib.sha256(binary_dir.encode()).hexdigest()[:8]
    return cache / "images" / f"{image_id.removeprefix('sha256:')}-{where}.{what}"


def _read(path: Path) -> Answers | None:
    """None where it was never asked, or what is kept cannot be read: then it is asked again."""
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != CACHE_FORMAT or "-m" not in kept["flags"]:
            return None
        return Answers(
            flags={str(option): str(hint) for option, hint in kept["flags"].items()},
            build_number=kept["build_number"],
            build_commit=kept["build_commit"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(path: Path, answers: Answers) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {
        "format": CACHE_FORMAT,
        "flags": dict(answers.flags),
        "build_number": answers.build_number,
        "build_commit": answers.build_commit,
    }
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".answers-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
    Path(scratch).replace(path)
