"""What a llama-bench says about itself: options from `--help`, build from `--version`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPTION = r"-{1,2}[A-Za-z][A-Za-z0-9_-]*"
_LINE = re.compile(rf"^\s{{1,8}}({_OPTION}(?:(?:,\s*|\s){_OPTION})*)(?: (\S.*))?(?:\s.*)?$")
_DIGITS = r"([0-9]{1,9})"
_COMMIT = r"([0-9a-f]{7,40})"
_VERSIONS = (
    re.compile(rf"\(build {_DIGITS}, commit {_COMMIT}\)"),
    re.compile(rf"(?:version|build): {_DIGITS} \({_COMMIT}\)"),
    re.compile(rf"\bb{_DIGITS}-{_COMMIT}\b"),
)
_COMMIT_FIRST = re.compile(rf"build: {_COMMIT} \({_DIGITS}\)")


def parse_help(text: str) -> Mapping[str, str]:
    """Read the options that `llama-bench --help` lists.

    Args:
        text: what it printed, stdout and stderr in any order.

    Returns:
        Every spelling of every option with its value hint: `{"-fa": "<on|off|auto>", "--flash-attn": "<on|off|auto>",
        "--list-devices": ""}`. Without `-m` it is no llama-bench.
    """
    flags: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line.rstrip())
        if match is None:
            continue
        # The hint ends where a column of spaces, or the default, begins.
        hint = re.split(r"\s{2,}|\s\(default", match[2] or "")[0].strip()
        for option in re.findall(_OPTION, match[1]):
            flags[option] = hint
    return flags


def parse_version(text: str) -> tuple[int | None, str | None]:
    """Read build number and commit from what `--version` printed; None for each that it does not know.

    A build from sources without git metadata says build 0 and commit `unknown`: that is no answer, hence None.
    """
    for pattern in _VERSIONS:
        if match := pattern.search(text):
            return int(match[1]) or None, match[2]
    if match := _COMMIT_FIRST.search(text):
        return int(match[2]) or None, match[1]
    return None, None
