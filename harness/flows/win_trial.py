"""The matrices in which quick wins are tried: made from the user's own file, and measured like any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.results import CellResult, MachineResults, read_results
from harness.errors import CellsFailedError
from harness.flows.console import Display
from harness.flows.measure import measure
from harness.flows.measure_request import MeasureRequest
from harness.flows.read_matrix import Plan
from harness.flows.workspace import Workspace
from harness.formats.strict_yaml import load, read_bytes
from harness.matrix.wins import Win, matrix_of
from harness.store.files import make_folder, write_whole
from harness.values.cell import Cell
from harness.values.measurement import QUALITY


@dataclass(frozen=True, slots=True, kw_only=True)
class WinsRequest:
    """What the user asked for.

    Attributes:
        file: a matrix: its first llama-bench cell is the base, its other models of the same shape are quantizations.
        only: parts of the names of the claims to try; all where empty.
        preset: of the comparison; standard or rigorous.
    """

    file: str
    only: tuple[str, ...] = ()
    preset: str = "standard"
    gate_wait_s: float = 300.0
    fresh: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Measures what is claimed of one base cell."""

    plan: Plan
    base: Cell
    request: WinsRequest
    workspace: Workspace
    display: Display

    def speeds(self, wins: Sequence[Win]) -> tuple[MachineResults, CellsFailedError | None]:
        """Both sides of every claim, in the same rounds; with the failure of single cells, which is told later."""
        images, models = self._own_blocks()
        content = matrix_of(self.base, wins, images=images, models=models, preset=self.request.preset)
        return self._measure(content, self.plan.matrix.name)

    def quality(self, quantizations: Sequence[str]) -> tuple[CellResult, ...]:
        """What the smaller ones cost, against the largest; nothing for synthetic weights, or a single one."""
        synthetic = self.plan.matrix.models[self.base.model].kind == "synthetic"
        if not quantizations[1:] or synthetic:
            return ()
        largest, *smaller = quantizations
        images, models = self._own_blocks()
        entry: dict[str, Any] = {"backend": self.base.backend, "image": self.base.image, "measure": QUALITY}
        entry |= {"model": smaller, "against": largest}
        entry |= {"device": self.base.device} if self.base.device != "default" else {}
        content: dict[str, Any] = {"title": "Quality of the quantizations", "preset": "quick"}
        content |= {"images": images} if images else {}
        content |= {"models": models} if models else {}
        machine, _ = self._measure({**content, "cells": [entry]}, f"{self.plan.matrix.name}-quality")
        return machine.cells

    def _measure(self, content: Mapping[str, Any], of: str) -> tuple[MachineResults, CellsFailedError | None]:
        """The same question goes on where it was interrupted."""
        # JSON is YAML.
        text = json.dumps(content, indent=1)
        name = f"wins-{of[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        folder = self.workspace.cache / "wins"
        make_folder(folder)
        path = folder / f"{name}.yaml"
        write_whole(path, text.encode() + b"\n")
        failed = None
        try:
            asked = MeasureRequest(file=str(path), gate_wait_s=self.request.gate_wait_s, fresh=self.request.fresh)
            measure(asked, workspace=self.workspace, display=self.display)
        except CellsFailedError as error:
            failed = error
        return self._results(name), failed

    def _results(self, name: str) -> MachineResults:
        folder = self.workspace.reports / name
        if not (folder / "records").is_dir() and (folder / "simulated" / "records").is_dir():
            folder = folder / "simulated"
        return read_results(folder, simulated=folder.name == "simulated")[-1]

    def _own_blocks(self) -> tuple[Any, dict[str, Any]]:
        """Images and models of the user's file; files with paths that hold from everywhere."""
        path = self.plan.matrix.path
        data = load(read_bytes(path, shown=str(path)), file=str(path)).data
        models = {name: dict(entry) for name, entry in (data.get("models") or {}).items()}
        for entry in models.values():
            if "file" in entry and not str(entry["file"]).startswith("~"):
                entry["file"] = str((path.absolute().parent / str(entry["file"])).resolve())
        return data.get("images"), models
