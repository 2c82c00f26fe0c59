"""Which model a person means: a name of the registry, a file, or a file on the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.artifacts.remote_header import repository_files
from harness.errors import InputError
from harness.flows.workspace import Workspace
from harness.matrix.registry import load_registry
from harness.values.matrix import ModelSource

_HUB = re.compile(r"(?:hf:)?(?P<repo>[^/@:]+/[^/@:]+)(?:@(?P<revision>[^/]+))?(?:/(?P<file>.+\.gguf))?")


def find_model(name: str, workspace: Workspace) -> tuple[ModelSource, Path]:
    """The model that a person means, and the folder that relative paths start from.

    Raises:
        InputError: no such model, or several.
    """
    registry = load_registry(workspace.registry)
    if name in registry:
        return registry[name], workspace.matrices
    path = workspace.cwd / Path(name).expanduser()
    if path.is_file() or (name.endswith(".gguf") and not _HUB.fullmatch(name)):
        return ModelSource(name=path.name, kind="file", path=str(path)), workspace.cwd
    match = _HUB.fullmatch(name)
    if match is None:
        raise InputError(
            f"no model of this name: {name!r}",
            where="--model",
            remedy="Give a name of `invoke models`, a GGUF file, or owner/repository/file.gguf on the Hub.",
        )
    file = match["file"] or _only_file(repository_files(match["repo"], revision=match["revision"] or ""), name)
    source = ModelSource(
        name=name, kind="huggingface", repo=match["repo"], revision=match["revision"] or "", filename=file
    )
    return source, workspace.cwd


def _only_file(files: Sequence[str], name: str) -> str:
    if len(files) == 1:
        return files[0]
    shown = ", ".join(files[:12]) + (f" and {len(files) - 12} more" if len(files) > 12 else "")  # noqa: PLR2004
    raise InputError(
        f"the repository holds {len(files)} GGUF files" + (f": {shown}" if files else ""),
        where=f"--model {name}",
        remedy="Name one: owner/repository/file.gguf." if files else "Name a repository with GGUF files.",
    )
