"""The container of a run: what is started for it, and the way from its start to its end."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from harness.artifacts.models import MODEL_PATH
from harness.engine.running import run as run_container
from harness.engine.serving import serve
from harness.flows.engines import LOCK_LABEL, RUN_LABELS
from harness.flows.listing import cache_mounts, container_environment
from harness.flows.setting import Setting
from harness.machine.sampler import Sampler
from harness.measure.quality import LOGITS_PATH, TEXT_PATH
from harness.measure.server import DRAFT_PATH
from harness.values.backend import BACKENDS
from harness.values.container import BindMount, ContainerExit, ContainerSpec
from harness.values.measured import Heard
from harness.values.measurement import QUALITY
from harness.values.protocols import Client, Engine
from harness.values.record import Run


def container_of(run: Run, argv: tuple[str, ...], setting: Setting, client: Client | None) -> ContainerSpec:
    """What is started for a run: the model, what its backend and its client need, and nothing else."""
    prepared, first = setting.prepared, run.cells[0]
    mounts = [BindMount(source=prepared.model(first).path, target=MODEL_PATH)]
    mounts += client.mounts() if client else ()
    mounts += [BindMount(source=draft.path, target=DRAFT_PATH)] if (draft := prepared.draft(first)) else []
    mounts += _quality_mounts(run, setting)
    mounts += cache_mounts(BACKENDS[first.backend], prepared.image(first), kernel_caches=setting.kernel_caches)
    return ContainerSpec(
        name=f"lbh-{setting.session[:8]}-{run.key[:8]}-r{run.round}-o{run.order}-a{run.attempt}",
        image=prepared.image(first).id,
        argv=argv,
        labels={
            **RUN_LABELS,
            LOCK_LABEL: setting.lock,
            "llama-bench-harness.matrix": setting.matrix,
            "llama-bench-harness.session": setting.session,
            "llama-bench-harness.run": f"{run.key[:16]}/{run.round}/{run.attempt}",
        },
        environment=container_environment(BACKENDS[first.backend], prepared.target(first).passthrough),
        mounts=tuple(mounts),
        passthrough=prepared.target(first).passthrough,
        memory_bytes=setting.memory_bytes,
        user=client.user() if client else "",
    )


def _quality_mounts(run: Run, setting: Setting) -> list[BindMount]:
    """The text, and what the base model thinks of it."""
    prepared, cell = setting.prepared, run.cells[0]
    if cell.test.measurement != QUALITY or prepared.text is None:
        return []
    found = [BindMount(source=prepared.text, target=TEXT_PATH)]
    logits = prepared.logits.get(cell.id)
    return [*found, BindMount(source=logits, target=LOGITS_PATH)] if isinstance(logits, Path) else found


def isolation(spec: ContainerSpec) -> dict[str, object]:
    """What of the specification can change results or tells another person how to start the same."""
    return {
        "memory_bytes": spec.memory_bytes,
        "pids": spec.pids,
        "network": "none",
        "read_only_root": True,
        "device_nodes": list(spec.passthrough.device_nodes),
        # Device ids of the host (UUIDs) name a single card and are not recorded.
        "device_requests": [
            {key: value for key, value in request.items() if key not in {"DeviceIDs", "device_ids"}}
            for request in spec.passthrough.device_requests
        ],
    }


def in_container(
    engine: Engine,
    spec: ContainerSpec,
    client: Client | None,
    *,
    timeout_s: float,
    cancel: Event,
    sampler: Sampler | None,
) -> tuple[ContainerExit, Heard | None]:
    """The container of a run from its start to its end, with who talks to it."""
    on_start = sampler.started if sampler else None
    if client is None:
        return run_container(engine, spec, timeout_s=timeout_s, cancel=cancel, on_start=on_start), None
    try:
        return serve(engine, spec, talk=client.talk, timeout_s=timeout_s, cancel=cancel, on_start=on_start)
    finally:
        client.close()
