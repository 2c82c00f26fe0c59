"""`invoke doctor`: is this machine ready to measure? Each finding with what to do about it. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.errors import BenchError, CellsFailedError, EngineError
from harness.flows.checkup.cards import check_access, check_cards, pairs
from harness.flows.checkup.engine import check_engine, looked_up
from harness.flows.checkup.host import check_host, check_moment, is_measuring
from harness.flows.checkup.images import check_images
from harness.flows.checkup.stock import check_disk, check_memory, check_models
from harness.flows.checkup.wanted import Wanted, wanted
from harness.flows.console import Display
from harness.flows.workspace import Workspace, find_workspace
from harness.machine.vendors import discover_devices
from harness.values.finding import Finding, State

SCHEMA, VERSION = "llama-bench-harness/doctor", 1
_WIDTH = len(max(State, key=len))


def examine(file: str, *, as_json: bool = False) -> None:
    """Look at everything, or at what a matrix needs, and print the findings.

    Raises:
        InputError: a mistake in the matrix file.
        EngineError: no engine answers.
        CellsFailedError: something else is red: cells would fail.
    """
    workspace, display = find_workspace(), Display()
    look_at = wanted(file, workspace)
    findings: list[Finding] = []
    for finding in look(look_at, workspace):
        findings.append(finding)
        if not as_json:
            show(finding, display)
    error = not_ready(findings)
    if as_json:
        display.say(json.dumps(document(file, findings, error), indent=2))
    else:
        counts = [f"{sum(finding.state is state for finding in findings)} {state}" for state in State]
        display.say(f"{', '.join(counts)}: {'not ready' if error else 'ready'}")
    if error:
        raise error


def look(look_at: Wanted, workspace: Workspace) -> Iterator[Finding]:
    """Every check, in the order in which things depend on each other."""
    devices = discover_devices()
    found = pairs(look_at, devices)
    yield from check_host(devices)
    yield from check_cards(found, devices, whole=look_at.whole)
    with looked_up() as (answering, finding):
        yield finding
        if answering is not None:
            yield from check_engine(answering.facts)
        yield from check_access(found, answering.facts if answering else None)
        if answering is not None:
            yield from check_images(look_at, found, answering, workspace, may_start=not is_measuring())
    rows, of_models = check_models(look_at, workspace)
    yield from of_models
    yield from check_memory(rows, found, look_at)
    yield from check_disk(rows, look_at, workspace)
    yield from check_moment()


def show(finding: Finding, display: Display) -> None:
    """One finding as a line, with what to do below it."""
    subject = f"{finding.check}: {finding.subject}: " if finding.subject else f"{finding.check}: "
    display.marked(f"{finding.state:{_WIDTH}}", subject + finding.found, colour=finding.state)
    if finding.todo:
        display.say(f"{'':{_WIDTH}}   -> {finding.todo}")


def not_ready(findings: Iterable[Finding]) -> BenchError | None:
    """The error that the exit code comes from; None where the machine is ready."""
    red = [finding for finding in findings if finding.state is State.RED]
    if any(finding.check == "engine" for finding in red):
        return EngineError("no container engine can be used", remedy="See the red findings.")
    if red:
        what = ", ".join(dict.fromkeys(finding.check for finding in red))
        return CellsFailedError(f"not ready: {what}", remedy="See the red findings.")
    return None


def document(file: str, findings: Iterable[Finding], error: BenchError | None) -> Mapping[str, Any]:
    """The findings as docs/doctor.md and doctor.schema.json describe them."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "file": file or None,
        "ready": error is None,
        "exit_code": error.exit_code if error else 0,
        "findings": [
            {
                "check": finding.check,
                "state": finding.state.value,
                "subject": finding.subject or None,
                "found": finding.found,
                "todo": finding.todo or None,
                "reason": finding.reason or None,
            }
            for finding in findings
        ],
    }
