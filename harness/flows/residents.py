"""Models that are resident beside a run, each in a server and a container of its own: started before it, ended after.

They begin when the gate has been passed, so that it holds nothing of ours against the run, and they are labelled like
containers of runs: what a killed harness leaves of them is swept by the next start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

from harness.artifacts.models import MODEL_PATH
from harness.engine.serving import serve
from harness.flows.setting import Setting
from harness.machine.host_probe import HostProbe
from harness.machine.sampler import Sampler
from harness.measure.diagnosis import diagnose
from harness.measure.resident import ResidentClient, resident_argv
from harness.measure.server_client import SHARED_FOLDER
from harness.values.cell import Cell
from harness.values.container import BindMount, ContainerExit, ContainerSpec
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Beside

SETTLE_S = 2.5
"""After the last of them is ready: idle power and memory are looked at over two seconds before a run."""

_ENDS_S = 60.0


class Neighbours:
    """The servers of one run. `trouble` says why one of them is not there, or did not stay."""

    def __init__(self, servers: tuple[_Server, ...], problem: Failure | None = None) -> None:
        self._servers = servers
        self._problem = problem

    def trouble(self) -> Failure | None:
        """Why the run does not have, or did not keep, what was to be beside it; None where all is well."""
        return self._problem or next((each.failure for each in self._servers if each.failure), None)

    def told(self) -> tuple[Beside, ...]:
        """What there is to be recorded of them now, while they still run."""
        return tuple(each.told() for each in self._servers)


@contextmanager
def residents(
    spec: ContainerSpec, cell: Cell, setting: Setting, *, timeout_s: float, cancel: Event, sampler: Sampler | None
) -> Iterator[Neighbours]:
    """Have all models of `cell.beside` loaded while the block runs; at work where the cell says so.

    Args:
        spec: of the run, whose image, device and limits the others get.
        timeout_s: for loading each, and for the run after it.
    """
    servers: list[_Server] = []
    problem: Failure | None = None
    try:
        for index, name in enumerate(cell.beside):
            made = _made(spec, replace(cell, model=name), setting, index=index)
            if isinstance(made, Failure):
                problem = made
                break
            servers.append(made)
            setting.journal("creating", {"container": made.spec.name, "beside": spec.name, "model": name})
            made.start(timeout_s=(1 + len(cell.beside)) * timeout_s, cancel=cancel, sampler=sampler)
            if not made.wait_ready(timeout_s=timeout_s, cancel=cancel):
                break
        found = Neighbours(tuple(servers), problem)
        if servers and found.trouble() is None:
            if sampler is not None:
                sampler.beside([each.container_id for each in servers])
            cancel.wait(SETTLE_S)
            for each in servers:
                each.go()
        yield found
    finally:
        for each in servers:
            each.end()


def _made(spec: ContainerSpec, cell: Cell, setting: Setting, *, index: int) -> _Server | Failure:
    argv = resident_argv(cell, setting.prepared.image(cell), passthrough=spec.passthrough)
    if isinstance(argv, Failure):
        return argv
    client = ResidentClient(busy=cell.beside_busy)
    model = setting.prepared.model(cell)
    mounts = [mount for mount in spec.mounts if mount.target not in {MODEL_PATH, SHARED_FOLDER}]
    own = replace(
        spec,
        name=f"{spec.name}-b{index}",
        argv=argv,
        mounts=(BindMount(source=model.path, target=MODEL_PATH), *mounts, *client.mounts()),
        user=client.user(),
    )
    told = Beside(model=cell.model, model_sha256=model.sha256, argv=argv, busy=cell.beside_busy)
    return _Server(own, client, told, setting, backend=cell.backend)


class _Server:
    """One container with its client, each in a thread of its own."""

    def __init__(
        self, spec: ContainerSpec, client: ResidentClient, about: Beside, setting: Setting, *, backend: str
    ) -> None:
        self.spec = spec
        self.container_id = ""
        self._client = client
        self._about = about
        self._setting = setting
        self._backend = backend
        self._ended: ContainerExit | None = None
        self._thread: Thread | None = None
        self._probe = HostProbe()
        self._begin_ns = 0
        self._cpu_ns: int | None = None
        self._finishing = False
        self._sampler: Sampler | None = None
        self._cancel: Event | None = None

    def start(self, *, timeout_s: float, cancel: Event, sampler: Sampler | None) -> None:
        self._sampler, self._cancel = sampler, cancel
        self._begin_ns = time.monotonic_ns()

        def run() -> None:
            self._ended, _ = serve(
                self._setting.engine,
                self.spec,
                talk=self._client.talk,
                timeout_s=timeout_s,
                cancel=cancel,
                on_start=self._started,
            )
            self._client.ready.set()

        self._thread = Thread(target=run, name=f"beside {self._about.model}", daemon=True)
        self._thread.start()

    def _started(self, container_id: str) -> None:
        self.container_id = container_id
        self._probe.watch(container_id)

    def wait_ready(self, *, timeout_s: float, cancel: Event) -> bool:
        """Until it answers, or it is clear that it will not."""
        until = time.monotonic() + timeout_s
        while not self._client.ready.wait(0.1) and time.monotonic() < until and not cancel.is_set():
            pass
        return self.failure is None

    def go(self) -> None:
        """The run begins: from now on its CPU time is counted, and it works where it is to."""
        self._cpu_ns = self._probe.read().container_cpu_ns
        self._client.go.set()

    @property
    def failure(self) -> Failure | None:
        """Why it is not there; None while it is, and after it was ended on purpose."""
        if self._finishing:
            return None
        if self._ended is not None:
            found = diagnose(self._ended, backend=self._backend)
            detail = f"{self._about.model}, beside it: {found.detail}"[:300]
            remedy = "They do not fit together here: a smaller model, fewer layers on the device, or a higher `memory`."
            return replace(found, detail=detail, remedy=remedy)
        if self._client.ready_ns is None and self._cancel is not None and self._cancel.is_set():
            return Failure(phase=Phase.LOAD, reason=Reason.INTERRUPTED, detail="stopped by the user")
        if self._client.ready_ns is None:
            detail = f"{self._about.model}, beside it, did not get ready"
            return Failure(phase=Phase.LOAD, reason=Reason.TIMEOUT, detail=detail, remedy="Raise `timeout`.")
        if self._client.problem:
            detail = f"{self._about.model}, beside it: {self._client.problem}"[:300]
            return Failure(phase=Phase.RUN, reason=Reason.MALFORMED, detail=detail)
        return None

    def told(self) -> Beside:
        now = self._probe.read()
        cpu_ns = None
        if self._cpu_ns is not None and now.container_cpu_ns is not None:
            cpu_ns = now.container_cpu_ns - self._cpu_ns
        ready_ns, failure = self._client.ready_ns, self.failure
        return replace(
            self._about,
            load_ns=None if ready_ns is None else ready_ns - self._begin_ns,
            peak_resident_bytes=now.container_peak_resident_bytes,
            cpu_ns=cpu_ns,
            device_bytes=self._sampler.held_by(self.container_id) if self._sampler and self.container_id else None,
            answered=self._client.answered,
            problem=failure.detail if failure else "",
        )

    def end(self) -> None:
        """End it and wait for that; remember first whether it was still there."""
        failure = self.failure
        if failure is None:
            self._finishing = True
        self._client.done.set()
        if self._thread is not None:
            self._thread.join(_ENDS_S)
        self._client.close()
