"""What real engines answer is what `tests/captures/engines/` says that they answer.

With UPDATE_CAPTURES=1 the files are written anew; read the difference before it is committed.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from harness.engine.hardening import container_config
from tests.slow.engines.asking import ASKED, HOOK, HOOK_SAYS, LOOK, PROGRAMS, Answer, ask, specification
from tests.slow.engines.conftest import Bench, benched

pytestmark = pytest.mark.slow

CAPTURES = Path(__file__).parents[2] / "captures/engines"
DAEMON = "/etc/docker/daemon.json"
HOOKED = {"files": {"/usr/bin/nvidia-container-runtime-hook": HOOK}}
CATATONIT = ("/usr/libexec/podman/catatonit", "/usr/bin/catatonit")
DOCKER_INIT = ("/usr/bin/docker-init",)
SETUPS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("docker-20.10", "docker-26.1", "docker-28.5")},
    **{name: (name, {}) for name in ("podman-4.3", "podman-5.4", "podman-5.8")},
    "docker-26.1-cdi-on": ("docker-26.1", {"files": {DAEMON: '{"features": {"cdi": true}}'}}),
    "docker-28.5-cdi-off": ("docker-28.5", {"files": {DAEMON: '{"features": {"cdi": false}}'}}),
    "docker-20.10-hook": ("docker-20.10", HOOKED),
    "docker-28.5-hook": ("docker-28.5", HOOKED),
    "docker-20.10-no-init": ("docker-20.10", {"files": dict.fromkeys(DOCKER_INIT)}),
    "docker-28.5-no-init": ("docker-28.5", {"files": dict.fromkeys(DOCKER_INIT)}),
    "podman-4.3-no-init": ("podman-4.3", {"files": dict.fromkeys(CATATONIT)}),
    "podman-5.8-no-init": ("podman-5.8", {"files": dict.fromkeys(CATATONIT)}),
}
"""By name: which engine, and how it is set up."""


def answers(bench: Bench, client: APIClient, setup: str) -> dict[str, Answer]:
    found = {}
    asked = {"nothing": ASKED["nothing"], "no-init-needed": ASKED["no-init-needed"]} if "init" in setup else ASKED
    (bench.beside.log.parent / "run/says").write_text("nothing that is known")
    for name, change in asked.items():
        config: dict[str, Any] = dict(container_config(bench.spec(LOOK)))
        change(config["HostConfig"])
        found[name] = ask(client, config)
    if "init" in setup:
        return found
    for name, program in PROGRAMS.items():
        found[name] = ask(client, container_config(bench.spec(argv=(program,))))
    if "hook" in setup:
        for name, text in HOOK_SAYS.items():
            (bench.beside.log.parent / "run/says").write_text(text)
            config = dict(container_config(bench.spec(LOOK)))
            ASKED["nvidia-by-uuid"](config["HostConfig"])
            found[name] = ask(client, config)
    return found


@pytest.mark.parametrize("setup", SETUPS)
def test_the_engine_answers_as_captured(setup: str, tar_folder: Path) -> None:
    kind, options = SETUPS[setup]
    with ExitStack() as stack:
        bench = benched(stack, kind, tar_folder, cdi={"nvidia.json": specification()}, **options)
        client = APIClient(base_url=bench.beside.host, version="auto", timeout=60)
        stack.callback(client.close)
        facts = bench.engine.facts()
        told = {
            "engine": facts.name,
            "version": facts.version,
            "api_version": facts.api_version,
            "cdi_devices": list(facts.cdi_devices),
            "cdi_folders": None if facts.cdi_folders is None else list(facts.cdi_folders),
            "answers": {name: asdict(answer) for name, answer in answers(bench, client, setup).items()},
        }
    path = CAPTURES / f"{setup}.json"
    text = json.dumps(told, indent=1) + "\n"
    if os.environ.get("UPDATE_CAPTURES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert json.loads(path.read_text()) == json.loads(text)
