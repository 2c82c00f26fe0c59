"""`invoke compare --image A --image B`: a matrix of two arms, made, measured in the same rounds, and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import CellsFailedError, InputError
from harness.flows.console import Display
from harness.flows.measure import measure
from harness.flows.measure_request import MeasureRequest
from harness.flows.workspace import Workspace, find_workspace
from harness.formats.schema_errors import close_match
from harness.store.files import make_folder, write_whole
from harness.values.cell import MARKS, PARAMETERS

LABELS = ("a", "b")
ARMS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoArms:
    """What the user asked for. Exactly one of `images`, `builds` and `settings` holds two things: the arms.

    Attributes:
        images: references to pull. builds: names of Dockerfiles in `images/`, or with a source: `cpu-bench@b6110`.
        settings: parameters such as `flash_attn=1,n_ubatch=1024`.
        model: a name of the registry, or a GGUF file.
    """

    images: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    model: str = ""
    backend: str = "cpu"
    device: str = ""
    tests: tuple[str, ...] = ()
    preset: str = "rigorous"
    until: str = ""
    gate_wait_s: float = 300.0
    fresh: bool = False

    @property
    def asked(self) -> bool:
        """Whether anything of it was given."""
        return bool(self.images or self.builds or self.settings)


def measure_two_arms(
    arms: TwoArms, *, workspace: Workspace | None = None, display: Display | None = None
) -> tuple[str, CellsFailedError | None]:
    """Measure two arms in the same rounds, through the same way as any matrix.

    Returns:
        The name of the report, and the failure of single cells, which is told after the comparison.

    Raises:
        InputError: the arms are not two, or the matrix that they make has a mistake.
    """
    workspace, display = workspace or find_workspace(), display or Display()
    matrix = two_arm_matrix(arms, workspace)
    # JSON is YAML. The name follows from the content: the same question goes on where it was interrupted.
    text = json.dumps(matrix, indent=1)
    name = f"compare-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder = workspace.cache / "compare"
    make_folder(folder)
    path = folder / f"{name}.yaml"
    write_whole(path, text.encode() + b"\n")
    try:
        request = MeasureRequest(file=str(path), gate_wait_s=arms.gate_wait_s, fresh=arms.fresh)
        measure(request, workspace=workspace, display=display)
    except CellsFailedError as error:
        return name, error
    return name, None


def two_arm_matrix(arms: TwoArms, workspace: Workspace) -> dict[str, Any]:
    """The matrix file of two arms, as its content.

    Raises:
        InputError: the arms are not two of one kind, or a setting cannot be read.
    """
    given = {"--image": arms.images, "--build": arms.builds, "--setting": arms.settings}
    kinds = [name for name, values in given.items() if values]
    if len(kinds) != 1 or len(given[kinds[0]]) != ARMS:
        raise InputError(
            "two arms of one kind are needed",
            where=" ".join(f"{name} {value}" for name, values in given.items() for value in values),
            remedy="Give --image, --build or --setting exactly twice.",
        )
    if not arms.model:
        raise InputError("is needed", where="--model", remedy="`invoke models` lists names; a GGUF file does too.")
    values = given[kinds[0]]
    cell: dict[str, Any] = {"backend": arms.backend, "model": arms.model}
    models: dict[str, Any] = {}
    file = workspace.cwd / Path(arms.model).expanduser()
    if file.suffix == ".gguf":
        cell["model"], models = "model", {"model": {"file": str(file)}}
    cell |= {"tests": list(arms.tests)} if arms.tests else {}
    cell |= {"device": arms.device} if arms.device else {}
    images, changes = _arms(kinds[0], values)
    matrix: dict[str, Any] = {"title": f"{values[0]} against {values[1]}", "preset": arms.preset}
    matrix |= {"until": arms.until} if arms.until else {}
    matrix |= {"images": images} if images else {}
    matrix |= {"models": models} if models else {}
    pairs = zip(LABELS, changes, strict=True)
    return {**matrix, "cells": [{**cell, "label": label, **change} for label, change in pairs]}


def _arms(kind: str, values: Sequence[str]) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """The images of a matrix, and what is changed in the cell of each arm."""
    if kind == "--setting":
        return {}, [parse_setting(value) for value in values]
    entry = build_entry if kind == "--build" else _ref_entry
    names = [f"arm-{label}" for label in LABELS]
    return {name: entry(value) for name, value in zip(names, values, strict=True)}, [{"image": n} for n in names]


def build_entry(text: str) -> dict[str, str]:
    """An image of a matrix from `cpu` or `cpu-bench@b6110`: a Dockerfile, and a source if not the usual one."""
    build, _, source = text.partition("@")
    return {"build": build, "source": source} if source else {"build": build}


def _ref_entry(text: str) -> dict[str, str]:
    return {"ref": text}


def parse_setting(text: str) -> dict[str, Any]:
    """Parameters of a cell from `flash_attn=1,n_ubatch=1024`.

    Raises:
        InputError: one of them is no parameter.
    """
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        name = name.strip()
        if name not in PARAMETERS or not value.strip():
            known = ", ".join(PARAMETERS)
            hint = "" if name in PARAMETERS else meant(name, PARAMETERS)
            raise InputError(f"{part!r} is no parameter{hint}", where="--setting", remedy=f"NAME=VALUE, of {known}.")
        number = value.strip()
        found[name] = int(number) if number.isdecimal() and PARAMETERS[name].kind != "str" else number
    return found


def meant(name: str, options: Iterable[str]) -> str:
    """`. Did you mean 'flash_attn'?` of `fa`, of `-fa` and of what is nearly its name; empty where nothing is near."""
    match = close_match(MARKS.get(name.lstrip("-"), name), options)
    return f". Did you mean {match!r}?" if match else ""
