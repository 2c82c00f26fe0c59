"""The options of llama.cpp's other programs in an image: asked once for each content id, and kept in the cache."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness.artifacts.answers import Probe

CACHE_FORMAT = 1

_OPTION = r"-{1,2}[A-Za-z][A-Za-z0-9_-]*"
_LINE = re.compile(rf"^ {{0,4}}({_OPTION}(?:,\s+{_OPTION})*)(?: (\S.*))?$")


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


def program_options(image_id: str, binary_dir: str, program: str, *, probe: Probe, cache: Path) -> Mapping[str, str]:
    """The options of a program of an image; empty where it is not there, does not run or tells none.

    Args:
        probe: runs it once in a closed container.
        cache: the harness's cache folder.
    """
    path = cache / "images" / f"{image_id.removeprefix('sha256:')}-{program}.json"
    known = _read(path)
    if known is not None:
        return known
    code, stdout, stderr = probe(image_id, (f"{binary_dir.rstrip('/')}/{program}", "--help"))
    flags = parse_program_help(stdout) or parse_program_help(stderr)
    if code != 0 or "-m" not in flags:
        return {}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".help-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"format": CACHE_FORMAT, "flags": dict(flags)}, file, indent=1)
    Path(scratch).replace(path)
    return flags


def _read(path: Path) -> Mapping[str, str] | None:
    try:
        kept = json.loads(path.read_bytes())
        return {str(key): str(hint) for key, hint in kept["flags"].items()} if kept["format"] == CACHE_FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
