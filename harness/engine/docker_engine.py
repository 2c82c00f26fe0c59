"""Docker Engine, and Podman through its Docker-compatible API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NoReturn

from docker import APIClient
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from harness.engine.attach import AttachedSocket, Connection, OutputReader
from harness.engine.dropped_requests import require_kept
from harness.engine.engine_facts import engine_facts
from harness.engine.handle import ContainerHandle
from harness.engine.hardening import MANAGED_LABEL, container_config
from harness.engine.sdk import AUTO, api_client
from harness.engine.trouble import TROUBLE, is_absent, is_conflict, unreachable, words
from harness.engine.waiting import NotStarted, Patience, RunningContainer
from harness.errors import ArtifactError, EngineError
from harness.values.container import ContainerExit, ContainerSpec
from harness.values.facts import EngineFacts
from harness.values.failure import Reason
from harness.values.protocols import Running

_START_S: Final = 120
# A start with a GPU loads the driver's tools and can take long on a machine that was idle.

_SWEEP_S: Final = 60


class DockerEngine:
    """A container engine behind Docker's API; implements `harness.values.protocols.Engine`.

    It connects at the first request. Each container has connections of its own, closed with it.

    Args:
        base_url: `unix:///var/run/docker.sock`, `tcp://...`, as in DOCKER_HOST.
        tls: certificates for a `tcp://` address; by default those that DOCKER_TLS_VERIFY and DOCKER_CERT_PATH name.
        patience: how long each step of waiting and ending may take.
        clock: monotonic, in ns.
        connect: makes a client for an API version and a timeout in seconds; for tests.
        attach: opens the output of a container that was created; for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tls: TLSConfig | None = None,
        patience: Patience | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        connect: Callable[[str, int], APIClient] | None = None,
        attach: Callable[[APIClient, str], Connection] = AttachedSocket,
    ) -> None:
        self.base_url = base_url
        self._tls = tls
        self._patience = patience or Patience()
        self._clock = clock
        self._connect = connect or self._new_client
        self._attach = attach
        self._client: APIClient | None = None
        self._facts: EngineFacts | None = None
        self._leftovers: set[str] = set()

    @property
    def simulated(self) -> bool:
        """False: its containers run."""
        return False

    def close(self) -> None:
        """Give the connections back. The next request connects anew."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def facts(self) -> EngineFacts:
        """Version, isolation and devices of the engine.

        Raises:
            EngineError: it does not answer.
        """
        try:
            client = self._ready()
            return engine_facts(version=client.version(), info=client.info(), host=self.base_url)
        except TROUBLE as problem:
            self._away(problem)

    def image_id(self, ref: str) -> str | None:
        """The content id of an image that is present, by tag, digest or id; None where it is absent. Never pulls.

        Raises:
            EngineError: the engine does not answer.
        """
        try:
            return str(_image(self._ready(), ref)["Id"])
        except TROUBLE as problem:
            if is_absent(problem):
                return None
            self._away(problem)

    def inspect_image(self, ref: str) -> Mapping[str, object]:
        """The engine's own description of an image that is present.

        Raises:
            ArtifactError: the image is absent.
            EngineError: the engine does not answer.
        """
        try:
            description = _image(self._ready(), ref)
        except TROUBLE as problem:
            if is_absent(problem):
                raise ArtifactError(
                    "the image is not present in the engine",
                    where=ref,
                    reason=Reason.IMAGE.value,
                    remedy="Get it with `./bench images`.",
                ) from None
            self._away(problem)
        return description

    def start(self, spec: ContainerSpec, *, on_line: Callable[[str, str], None] | None = None) -> Running:
        """Create and start a container, hardened as `docs/security.md` says. Never pulls an image.

        Args:
            spec: what to start.
            on_line: called with `stdout` or `stderr` and each line while it runs, in another thread.

        A failure to create or start is told by `Running.wait`; the container is gone by then.
        """
        asked_ns = self._clock()
        client: APIClient | None = None
        try:
            self._ready()
            client = self._connect(self._version(), _START_S)
            self._remove_leftovers()
            container_id = self._create(client, spec)
        except (*TROUBLE, ValueError, EngineError) as problem:
            if client is not None:
                client.close()
            return self._not_started("create", words(problem), asked_ns)
        handle = ContainerHandle(client, container_id, pause=time.sleep)
        try:
            return self._begin(client, handle, spec, on_line)
        except (*TROUBLE, ValueError) as problem:
            self._discard(handle)
            return self._not_started("start", words(problem), asked_ns, container_id)
        except BaseException:
            # Interrupted between create and start: nobody else knows of the container.
            self._discard(handle)
            raise

    def sweep(self, *, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Remove all containers of ours with these labels, running or not; the names of those removed.

        Containers without the harness's own label are never touched, whatever `labels` says.

        Raises:
            EngineError: the engine does not answer, or containers are still there after a minute.
        """
        wanted = [f"{key}={value}" for key, value in {**labels, MANAGED_LABEL: "1"}.items()]
        limit_ns = self._clock() + _SWEEP_S * 1_000_000_000
        removed: dict[str, str] = {}
        problem: Exception | None = None
        try:
            client = self._ready()
            # Asked again after each pass: a create that was under way can come to light during the first.
            while found := client.containers(all=True, filters={"label": wanted}):
                if self._clock() > limit_ns:
                    left = ", ".join(_name(item) for item in found)
                    raise EngineError(
                        f"containers of ours cannot be removed: {left}{f' ({words(problem)})' if problem else ''}",
                        where=self.base_url,
                        remedy="Restart the engine, then try again: a process in them may hang in a device driver.",
                    )
                for item in found:
                    try:
                        client.remove_container(item["Id"], v=True, force=True)
                    except TROUBLE as refusal:
                        if not (is_absent(refusal) or is_conflict(refusal)):
                            problem = refusal
                            continue
                    removed[item["Id"]] = _name(item)
                time.sleep(0.1)
        except TROUBLE as trouble:
            self._away(trouble)
        return tuple(removed.values())

    def _new_client(self, version: str, timeout_s: int) -> APIClient:
        tls = self._tls
        if tls is None and self.base_url.startswith("tcp://"):
            tls = kwargs_from_env().get("tls")
        return api_client(self.base_url, version=version, timeout_s=timeout_s, tls=tls or False)

    def _ready(self) -> APIClient:
        """The client for everything that is not about one container."""
        if self._client is None:
            client = self._connect(AUTO, 60)
            self._facts = engine_facts(version=client.version(), info=client.info(), host=self.base_url)
            self._client = client
        return self._client

    @property
    def _selinux(self) -> bool:
        return self._facts is not None and any(o.startswith("name=selinux") for o in self._facts.security_options)

    def _version(self) -> str:
        """The API version that was agreed on at the first connection."""
        return str(self._ready().api_version)

    def _away(self, problem: Exception) -> NoReturn:
        # A new connection next time: the engine may be another one then.
        self.close()
        raise unreachable(self.base_url, problem) from problem

    def _create(self, client: APIClient, spec: ContainerSpec) -> str:
        volumes = (_image(client, spec.image).get("Config") or {}).get("Volumes") or {}
        config = container_config(spec, image_volumes=volumes, selinux=self._selinux)
        try:
            return _created(client, config, spec.name)
        except TROUBLE as problem:
            if is_conflict(problem) and self._remove_own(client, spec.name):
                return _created(client, config, spec.name)
            if not is_conflict(problem):
                # The answer may have been lost, or come too late: the container can exist, or come to be.
                self._leftovers.add(spec.name)
                with suppress(*TROUBLE):
                    self._remove_own(client, spec.name)
            raise

    def _remove_own(self, client: APIClient, name: str) -> bool:
        """Remove a container by name if it is one of ours; whether it is gone."""
        try:
            found = client.inspect_container(name)
            if (found["Config"].get("Labels") or {}).get(MANAGED_LABEL) != "1":
                return False
        except TROUBLE as problem:
            if is_absent(problem):
                return True
            raise
        return ContainerHandle(client, found["Id"], pause=time.sleep).remove(tries=self._patience.remove_tries)

    def _begin(
        self,
        client: APIClient,
        handle: ContainerHandle,
        spec: ContainerSpec,
        on_line: Callable[[str, str], None] | None,
    ) -> Running:
        if spec.passthrough.device_requests:
            require_kept(client, handle.container_id, spec, self._facts)
        reader = OutputReader(
            self._attach(client, handle.container_id),
            limit_bytes=spec.output_limit_bytes,
            on_line=on_line,
            clock=self._clock,
        )
        try:
            reader.start()
            started_ns = self._clock()
            client.start(handle.container_id)
        except BaseException:
            reader.stop(timeout_s=0)
            raise
        handle.hurry(self._patience.answer)
        return RunningContainer(
            handle=handle,
            reader=reader,
            started_ns=started_ns,
            may_oom=spec.memory_bytes is not None,
            patience=self._patience,
            clock=self._clock,
            on_leftover=self._leftovers.add,
        )

    def _discard(self, handle: ContainerHandle) -> None:
        handle.hurry(self._patience.answer)
        if not handle.remove(tries=self._patience.remove_tries):
            self._leftovers.add(handle.container_id)
        handle.close()

    def _remove_leftovers(self) -> None:
        """Try again what could not be removed before. What has ended is found by its label later.

        Raises:
            EngineError: a container of ours still runs, or may: what is started beside it would be measured wrongly.
        """
        client = self._ready()
        for name in tuple(self._leftovers):
            gone = False
            with suppress(*TROUBLE):
                gone = self._remove_own(client, name)
            if not gone and self._may_run(client, name):
                raise EngineError(
                    f"container {name[:12]} of an earlier run cannot be removed and is still running, "
                    "for all that the engine says"
                )
            self._leftovers.discard(name)

    def _may_run(self, client: APIClient, name: str) -> bool:
        try:
            found = client.inspect_container(name)
        except TROUBLE as problem:
            # Engines answer nothing about a container whose process hangs in a driver, and make others meanwhile.
            return not is_absent(problem)
        ours = (found["Config"].get("Labels") or {}).get(MANAGED_LABEL) == "1"
        return ours and bool((found.get("State") or {}).get("Running"))

    def _not_started(self, phase: str, error: str, asked_ns: int, container_id: str = "") -> NotStarted:
        return NotStarted(
            ContainerExit(
                exit_code=None,
                container_id=container_id,
                error=error,
                error_phase=phase,
                started_ns=asked_ns,
                ended_ns=self._clock(),
            )
        )


def _created(client: APIClient, config: dict[str, object], name: str) -> str:
    return str(client.create_container_from_config(config, name)["Id"])  # type: ignore[no-untyped-call]  # SDK's stubs


def _image(client: APIClient, ref: str) -> dict[str, Any]:
    description: dict[str, Any] = client.inspect_image(ref)  # type: ignore[no-untyped-call]  # the SDK's stubs
    return description


def _name(item: Mapping[str, object]) -> str:
    names = item.get("Names")
    return str(names[0]).lstrip("/") if isinstance(names, list) and names else str(item.get("Id", ""))[:12]
