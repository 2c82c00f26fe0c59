"""Which version of the harness measured: its commit, and whether it was changed since."""

from __future__ import annotations

import subprocess
from pathlib import Path


def source_version(checkout: Path) -> str | None:
    """Such as `1f3a9b2c4d5e` or `1f3a9b2c4d5e-dirty`; None where it is no git checkout or git is missing.

    Reports and matrices do not count: they are what the harness writes and reads, not what it is.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--", "harness", "images", "tasks*.py", "bench", "requirements.lock")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}-dirty" if changed else commit
