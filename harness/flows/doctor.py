"""`invoke doctor`: is this machine ready to measure? Each finding with what to do about it. Changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from harness.artifacts.images import known_images
from harness.artifacts.models import known_models
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.errors import BenchError, CellsFailedError, EngineError, MachineError
from harness.flows import images as image_flow
from harness.flows import models as model_flow
from harness.flows.console import Display
from harness.flows.tables import size
from harness.flows.workspace import Workspace, find_workspace
from harness.machine.facts import cpu_model, memory_available_bytes, physical_cores, read_machine_facts
from harness.machine.gate import LIMIT, one_minute_load, wait_until_quiet
from harness.machine.locks import lock_folder, measuring_lock
from harness.machine.vendors import discover_devices

NEEDED_DISK_BYTES = 5 * 1024**3
"""Measured: base, core, CPU and Vulkan images take 2.0 GB, the compiler's layers 1.4 GB more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor.

    Attributes:
        state: `ok`, `note` (works, but the numbers will be worse or something has to be made first) or `bad`.
        todo: what to do; empty where nothing has to be done.
    """

    subject: str
    state: str
    text: str
    todo: str = ""


def examine(file: str) -> None:
    """Look at everything and print the findings.

    Raises:
        InputError: a mistake in the matrix file.
        MachineError: something that stops every measurement.
    """
    workspace, display = find_workspace(), Display()
    findings = []
    for finding in _findings(file, workspace):
        findings.append(finding)
        mark = {"ok": "ok  ", "note": "note", "bad": "BAD "}[finding.state]
        display.say(f"{mark} {finding.subject}: {finding.text}")
        if finding.todo:
            display.say(f"       -> {finding.todo}")
    bad = [finding.subject for finding in findings if finding.state == "bad"]
    if "engine" in bad:
        raise EngineError("no container engine can be used", remedy="See the finding above.")
    if bad:
        raise CellsFailedError(f"not ready: {', '.join(bad)}", remedy="See the findings above.")


def _findings(file: str, workspace: Workspace) -> Iterator[Finding]:
    yield from _machine()
    host = ""
    for finding, found in _engine():
        host = found or host
        yield finding
    if host:
        yield from _images(file, host, workspace)
    yield from _models(file, workspace)
    yield from _disk(workspace)
    yield from _load()
    yield _lock()


def _machine() -> Iterator[Finding]:
    devices = discover_devices()
    facts = read_machine_facts(machine="", devices=devices, environment=os.environ)
    memory = f"{size(facts.memory_bytes)} memory, {size(memory_available_bytes())} available"
    yield Finding(subject="machine", state="ok", text=f"{cpu_model()}, {physical_cores()} cores, {memory}, {facts.os}")
    if facts.governor not in {None, "performance"}:
        yield Finding(
            subject="governor",
            state="note",
            text=f"the CPU's scaling governor is {facts.governor}",
            todo="For steadier CPU numbers: cpupower frequency-set -g performance",
        )
    if facts.swap_bytes:
        yield Finding(
            subject="swap",
            state="note",
            text=f"{size(facts.swap_bytes)} of swap",
            todo="Containers may not swap; a model that does not fit is told as out of memory.",
        )
    for device in devices:
        if device.kind in {"gpu", "integrated"}:
            memory = size(device.memory_bytes) if device.memory_bytes else "shared memory"
            text = f"{device.name} ({device.vendor} {device.index}), {memory}, driver {device.driver or 'unknown'}"
            yield Finding(subject="device", state="bad" if device.problem else "ok", text=text, todo=device.problem)
    if not any(device.kind in {"gpu", "integrated"} for device in devices):
        yield Finding(
            subject="device", state="note", text="no GPU was found; the CPU and Mesa's software device remain"
        )


def _engine() -> Iterator[tuple[Finding, str]]:
    try:
        endpoint = find_engine(os.environ)
    except BenchError as error:
        yield Finding(subject="engine", state="bad", text=f"{error.where}: {error.what}", todo=error.remedy), ""
        return
    if endpoint is None:
        todo = "As root on Debian or Ubuntu, ./bench matrix installs and starts one; else see docs/engine.md."
        yield Finding(subject="engine", state="bad", text="none answers", todo=todo), ""
        return
    engine = DockerEngine(endpoint.host)
    try:
        facts = engine.facts()
    except EngineError as error:
        yield Finding(subject="engine", state="bad", text=error.what, todo=error.remedy), ""
        return
    finally:
        engine.close()
    text = (
        f"{facts.name} {facts.version} (API {facts.api_version}, cgroup v{facts.cgroup_version or '?'}) at {facts.host}"
    )
    yield Finding(subject="engine", state="ok", text=text), endpoint.host
    if not facts.memory_limit:
        todo = "Mount the memory cgroup: without it a model that does not fit can take the machine down."
        yield Finding(subject="engine", state="note", text="it cannot limit memory", todo=todo), ""


def _images(file: str, host: str, workspace: Workspace) -> Iterator[Finding]:
    wanted = image_flow.sources(file, workspace)
    store = DockerImageStore.connect(host)
    try:
        rows = known_images(wanted, store=store, cache=workspace.cache, images=workspace.images)
    finally:
        store.close()
    for row in rows:
        if row.present:
            text = f"{row.name}: {row.tag}, {size(row.size_bytes)} {row.build}".rstrip()
            yield Finding(subject="image", state="ok", text=text)
        else:
            todo = "Made when a matrix needs it, or now with: ./bench images --build"
            yield Finding(subject="image", state="note", text=f"{row.name}: {row.note or 'absent'}", todo=todo)


def _models(file: str, workspace: Workspace) -> Iterator[Finding]:
    wanted, base = model_flow.sources(file, workspace)
    for row in known_models({source.name: source for source in wanted}, workspace.cache, base=base):
        if row.state == "verified":
            yield Finding(subject="model", state="ok", text=f"{row.name}: {size(row.size_bytes)}, {row.state}")
        elif file:
            todo = "Fetched when the matrix is run, or now with: ./bench models --fetch"
            yield Finding(subject="model", state="note", text=f"{row.name}: {row.state}", todo=todo)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _disk(workspace: Workspace) -> Iterator[Finding]:
    for what, folder in (("cache", workspace.cache), ("reports", workspace.reports)):
        free = shutil.disk_usage(_existing(folder)).free
        short = free < NEEDED_DISK_BYTES
        yield Finding(
            subject="disk",
            state="note" if short else "ok",
            text=f"{size(free)} free for {what}",
            todo="Images and models need about 5 GiB; ./bench clean --cache frees some." if short else "",
        )


def _load() -> Iterator[Finding]:
    gate = wait_until_quiet(cancel=Event(), max_wait_s=0)
    if gate.foreign_cpu is None:
        yield Finding(subject="load", state="note", text="/proc does not show the CPU time of others")
        return
    text = f"other programs use {100 * gate.foreign_cpu:.1f} % of the CPU time (load {one_minute_load()})"
    todo = f"Stop them: runs wait until they use less than {100 * LIMIT:.0f} %."
    yield Finding(subject="load", state="ok" if gate.passed else "note", text=text, todo="" if gate.passed else todo)
    if gate.steal:
        text = f"the hypervisor gave {100 * gate.steal:.1f} % of the CPU time to others"
        yield Finding(subject="load", state="note", text=text)


def _lock() -> Finding:
    try:
        with measuring_lock(lock_folder(os.environ)):
            return Finding(subject="lock", state="ok", text="no other harness is measuring")
    except MachineError as error:
        return Finding(subject="lock", state="note", text=error.what, todo=error.remedy)
