"""What llama.cpp's other programs in an image say: options and build, asked once for each content id, and kept."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.answers import Probe, ended_itself, kept_as
from harness.artifacts.bench_help import parse_version
from harness.values.facts import build_words

CACHE_FORMAT = 2

_OPTION = r"-{1,2}[A-Za-z][A-Za-z0-9_-]*"
_LINE = re.compile(rf"^ {{0,4}}({_OPTION}(?:,\s+{_OPTION})*)(?: (\S.*)|\s{{2,}}.*)?$")


def parse_program_help(text: str) -> Mapping[str, str]:
    """Read the options that `--help` of llama-server, llama-batched-bench or llama-perplexity lists.

    Returns:
        Every spelling of every option with its value hint: `{"-fa": "[on|off|auto]", "-c": "N", "--metrics": ""}`.
    """
    flags: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line.rstrip())
        if match is None:
            continue
        # The hint ends where the column of descriptions begins; a switch has only that.
        hint = re.split(r"\s{2,}", f" {match[2]}" if match[2] else "")[0].strip()
        for option in re.findall(_OPTION, match[1]):
            flags[option] = hint
    return flags


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramAnswers:
    """What a program says about itself.

    Attributes:
        flags: its options with their value hints; empty where it is not there, does not run or tells none.
        build: number and commit from `--version`, such as `b11312 (0c1e57098)`; None where it cannot say.
    """

    flags: Mapping[str, str]
    build: str | None = None


def ask_program(image_id: str, binary_dir: str, program: str, *, probe: Probe, cache: Path) -> ProgramAnswers:
    """Ask a program of an image for its options and its build. The same image always says the same: it is asked once.

    Args:
        probe: runs it in a closed container.
        cache: the harness's cache folder.
    """
    path = kept_as(image_id, binary_dir, cache, what=f"{program}.json")
    known = _read(path)
    if known is not None:
        return known
    called = f"{binary_dir.rstrip('/')}/{program}"
    code, stdout, stderr = probe(image_id, (called, "--help"))
    flags = parse_program_help(stdout) or parse_program_help(stderr)
    if code != 0 or "-m" not in flags:
        return ProgramAnswers(flags={})
    build = None
    if "--version" in flags:
        code, stdout, stderr = probe(image_id, (called, "--version"))
        number, commit = parse_version(f"{stderr}\n{stdout}")
        build = build_words(number, commit)
    answers = ProgramAnswers(flags=flags, build=build)
    if not ended_itself(code):
        return answers
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".help-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"format": CACHE_FORMAT, "flags": dict(flags), "build": build}, file, indent=1)
    Path(scratch).replace(path)
    return answers


def _read(path: Path) -> ProgramAnswers | None:
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != CACHE_FORMAT:
            return None
        return ProgramAnswers(
            flags={str(key): str(hint) for key, hint in kept["flags"].items()},
            build=None if kept["build"] is None else str(kept["build"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
