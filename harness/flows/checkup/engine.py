"""The container engine: does one answer, and what can it limit?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from harness.engine.discovery import discover, find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.errors import BenchError, EngineError
from harness.values.facts import EngineFacts
from harness.values.finding import Finding, green, red, yellow
from harness.values.protocols import Engine, ImageStore

NONE_ANSWERS = "As root on Debian or Ubuntu, ./bench matrix installs and starts one; else see docs/engine.md."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """An engine that answers, for the checks that need one."""

    engine: Engine
    images: ImageStore
    facts: EngineFacts


@contextmanager
def looked_up(environment: Mapping[str, str] = os.environ) -> Iterator[tuple[Answering | None, Finding]]:
    """The engine that a matrix would use, if it runs now: nothing is installed or started."""
    try:
        endpoint = find_engine(environment)
        places = () if endpoint else discover(environment).rejected
    except BenchError as error:
        yield None, red("engine", f"{error.where}: {error.what}" if error.where else error.what, todo=error.remedy)
        return
    if endpoint is None:
        looked_at = "; ".join(f"{place.source} ({place.host}): {place.reason}" for place in places)
        yield None, red("engine", f"none answers: {looked_at}", todo=NONE_ANSWERS)
        return
    engine = DockerEngine(endpoint.host)
    try:
        facts = engine.facts()
        images = DockerImageStore.connect(endpoint.host)
    except EngineError as error:
        engine.close()
        yield None, red("engine", error.what, todo=error.remedy)
        return
    try:
        yield Answering(engine=engine, images=images, facts=facts), green("engine", _described(facts))
    finally:
        images.close()
        engine.close()


_UUID = re.compile(r"\b(GPU|MIG)-[0-9a-f][0-9a-f/-]*", re.IGNORECASE)


def check_engine(facts: EngineFacts) -> Iterator[Finding]:
    """What an engine that answers cannot do."""
    if not facts.memory_limit:
        todo = "Mount the memory cgroup: without it a model that does not fit can take the machine down."
        yield yellow("engine_limits", "it cannot limit memory", todo=todo)
    if not facts.pids_limit:
        yield yellow("engine_limits", "it cannot limit processes", todo="Mount the pids cgroup.")
    if facts.memory_limit and facts.pids_limit:
        yield green("engine_limits", "it limits memory and processes")
    runtimes = ", ".join(facts.runtimes) or "none told"
    # UUIDs name one card of one owner, and findings are shown to others.
    shown = [_UUID.sub(r"\1-...", name) for name in facts.cdi_devices[:4]]
    names = f"{len(facts.cdi_devices)} ({', '.join(shown)})" if facts.cdi_devices else "none"
    yield green("engine_devices", f"runtimes: {runtimes}; CDI devices: {names}")


def _described(facts: EngineFacts) -> str:
    ways = "rootless, " if facts.rootless else ""
    about = f"{ways}API {facts.api_version}, cgroup v{facts.cgroup_version or '?'}"
    return f"{facts.name} {facts.version} ({about}) at {facts.host}"
