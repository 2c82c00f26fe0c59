"""Where everything lies: what is read, what is written, and what survives outside the checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "llama-bench-harness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The folders that the flows work in.

    Attributes:
        cwd: what relative paths on the command line are relative to: the user's folder, also through `./bench`.
        cache: downloads and generated models; may be deleted at any time.
        state: the machine's key; small and not to be deleted.
    """

    cwd: Path
    matrices: Path
    images: Path
    reports: Path
    cache: Path
    state: Path

    @property
    def text(self) -> Path:
        """What models read where their quality is measured: part of the project, and never changed."""
        return self.matrices / "texts" / "prose.txt"

    @property
    def registry(self) -> Path:
        """The registry of models."""
        return self.matrices / "models.yaml"


def find_workspace(environment: Mapping[str, str] = os.environ) -> Workspace:
    """The folders of this checkout and this user."""
    home = Path(environment.get("HOME") or Path.home())
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / NAME
    state = Path(environment.get("XDG_STATE_HOME") or home / ".local/state") / NAME
    return Workspace(
        cwd=Path(environment.get("BENCH_CWD") or Path.cwd()),
        matrices=CHECKOUT / "matrices",
        images=CHECKOUT / "images",
        reports=Path(environment.get("BENCH_REPORTS") or CHECKOUT / "reports"),
        cache=cache,
        state=state,
    )


def shown_path(path: Path, workspace: Workspace) -> str:
    """A path as the user would write it."""
    return str(path.relative_to(workspace.cwd)) if path.is_relative_to(workspace.cwd) else str(path)
