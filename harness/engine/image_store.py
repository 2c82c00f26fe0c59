"""The images of a Docker engine: present, built, pulled, imported. Implements `harness.values.protocols.ImageStore`."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import docker
import docker.errors
import requests
import urllib3.exceptions
from docker.utils import kwargs_from_env

from harness.engine.hardening import MANAGED_LABEL
from harness.engine.sdk import api_client
from harness.engine.trouble import unreachable
from harness.errors import EngineError
from harness.values.protocols import ImageStoreError

PURPOSE_LABEL = "llama-bench-harness.purpose"
OWN = "llama-bench-harness/"
"""What the names of all images that are made here begin with."""
BUILD_SILENCE_S = 3600.0
"""One file of a GPU backend can compile for many minutes without a line of output."""
REGISTRY_ANSWER_S = 60.0
ANSWER_S = 120.0
"""For answers that come at once, on a machine that is busy compiling."""

_CONNECTION_LOST = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)


class DockerImageStore:
    """The images of one engine.

    Args:
        client: a client of its own: its timeout is changed for each operation.
    """

    def __init__(self, client: docker.APIClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, host: str) -> DockerImageStore:
        """A store for the engine at `host`, such as `unix:///var/run/docker.sock`; TLS as the environment says.

        Raises:
            EngineError: nothing answers there.
        """
        try:
            return cls(api_client(host, timeout_s=int(ANSWER_S), tls=kwargs_from_env().get("tls") or False))
        except (docker.errors.DockerException, *_CONNECTION_LOST) as error:
            raise unreachable(host, error) from error

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def inspect(self, ref: str) -> Mapping[str, object] | None:
        """See `ImageStore.inspect`."""
        with _described_or_engine_error(ref), self._asking(ANSWER_S):
            try:
                described: Mapping[str, object] = self._client.inspect_image(ref)  # type: ignore[no-untyped-call]  # stubs
            except docker.errors.NotFound:
                return None
            return described

    def build(
        self,
        context: BinaryIO,
        *,
        tag: str,
        build_args: Mapping[str, str],
        labels: Mapping[str, str],
        on_text: Callable[[str], None],
    ) -> str:
        """See `ImageStore.build`. Steps use the host's network, since an engine may have no other."""
        with self._asking(BUILD_SILENCE_S):
            events = self._client.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs=dict(build_args),
                labels=dict(labels) or None,
                network_mode="host",
                rm=True,
                forcerm=True,
                decode=True,
            )
            for event in _until_refused(events):
                if "stream" in event:
                    on_text(event["stream"])
                elif "status" in event:
                    on_text(event["status"] + "\n")
        return self._id_of(tag)

    def pull(self, ref: str, *, idle_timeout_s: float, on_bytes: Callable[[int, int], None]) -> str:
        """See `ImageStore.pull`."""
        meter = PullMeter()
        try:
            with self._asking(idle_timeout_s):
                for event in _until_refused(self._client.pull(ref, stream=True, decode=True)):
                    if meter.take(event):
                        on_bytes(meter.done, meter.total)
        except _SilentError as error:
            raise ImageStoreError(f"i/o timeout: no word from the registry for {idle_timeout_s:.0f} s") from error
        return self._id_of(ref)

    def registry_digest(self, ref: str) -> str:
        """See `ImageStore.registry_digest`. Podman does not serve this request."""
        try:
            with self._asking(REGISTRY_ANSWER_S):
                answer = self._client.inspect_distribution(ref)  # type: ignore[no-untyped-call]  # stubs
        except _SilentError as error:
            raise ImageStoreError(f"i/o timeout: no word from the registry for {REGISTRY_ANSWER_S:.0f} s") from error
        descriptor = answer.get("Descriptor") if isinstance(answer, Mapping) else None
        digest = descriptor.get("digest") if isinstance(descriptor, Mapping) else None
        if not isinstance(digest, str) or not digest.startswith("sha256:"):
            raise ImageStoreError("the registry named no digest")
        return digest

    def import_tar(self, tar: Path, *, tag: str) -> str:
        """See `ImageStore.import_tar`."""
        repository, _, name = tag.rpartition(":")
        latest = f"{repository}:latest"
        before = self.inspect(latest)
        with self._asking(BUILD_SILENCE_S):
            answer = self._client.import_image_from_file(str(tar), repository=repository, tag=name)
        imported = ""
        for line in str(answer).splitlines():
            event = json.loads(line)
            _raise_if_refused(event)
            imported = str(event.get("status") or imported)
        if self.inspect(tag) is None and imported.startswith("sha256:"):
            # Podman 4.3 names it `latest`, whatever tag was asked for.
            self.tag(imported, tag)
            if before is None and self.inspect(latest) is not None:
                self._remove(latest)
        return self._id_of(tag)

    def tag(self, image: str, tag: str) -> None:
        """See `ImageStore.tag`."""
        repository, _, name = tag.rpartition(":")
        with _described_or_engine_error(image), self._asking(ANSWER_S):
            self._client.tag(image, repository, name)

    def export(self, image: str, folder: str) -> Iterator[bytes]:
        """See `ImageStore.export`. From a container that is created, never started, and removed."""
        with self._asking(ANSWER_S):
            host = self._client.create_host_config(network_mode="none")
            labels = {MANAGED_LABEL: "1", PURPOSE_LABEL: "probe"}
            made = self._client.create_container(image, entrypoint=["/never-started"], labels=labels, host_config=host)
            try:
                pieces, _ = self._client.get_archive(made["Id"], folder)
                yield from pieces
            finally:
                self._client.remove_container(made["Id"], v=True, force=True)

    def names(self) -> tuple[str, ...]:
        """See `ImageStore.names`. Without the registry that Podman thinks of for images that are made here."""
        with _described_or_engine_error("its images"), self._asking(ANSWER_S):
            tags = [tag for image in self._client.images() for tag in _tags(image)]
        return tuple(tag.removeprefix("localhost/") for tag in tags)

    def free_bytes(self) -> int | None:
        """See `ImageStore.free_bytes`. None for an engine on another machine or in a virtual one."""
        with _described_or_engine_error("the engine itself"), self._asking(ANSWER_S):
            folder = Path(str(self._client.info().get("DockerRootDir") or "/nonexistent"))
        if not self._client.base_url.startswith(("http+docker://localhost", "http+unix:")):
            return None
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            # Of a virtual machine it is not here; of an engine with other user ids it is closed to this user.
            return None

    def remove_own(self) -> tuple[str, ...]:
        """Remove the images that were made here, with what their builds left in the cache; the names removed.

        An image that a container or somebody else's image still needs loses its name and stays.
        """
        with _described_or_engine_error(OWN), self._asking(BUILD_SILENCE_S):
            images = self._client.images(all=True)
            own = {image["Id"] for image in images if _own_tags(image)}
            for image_id in _unnamed_upon(own, images):
                self._remove(image_id)
            return tuple(tag for image in images for tag in _own_tags(image) if self._remove(tag))

    def _remove(self, image: str) -> bool:
        try:
            self._client.remove_image(image)
        except docker.errors.APIError as error:
            if error.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                return False
            raise
        return True

    def _id_of(self, ref: str) -> str:
        described = self.inspect(ref)
        if described is None:
            raise ImageStoreError(f"the engine said that {ref} is done, but it is not there")
        return str(described["Id"])

    @contextmanager
    def _asking(self, timeout_s: float) -> Iterator[None]:
        self._client.timeout = timeout_s  # type: ignore[assignment]  # the stubs say int; requests takes fractions
        try:
            yield
        except docker.errors.APIError as error:
            raise ImageStoreError(str(error.explanation or error), status=error.status_code) from error
        except docker.errors.DockerException as error:
            raise ImageStoreError(str(error)) from error
        except _CONNECTION_LOST as error:
            if isinstance(error, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError) or (
                "timed out" in str(error).lower()
            ):
                raise _SilentError(
                    f"the engine was silent for {timeout_s:.0f} s",
                    remedy="look at the engine's log; restart the engine if it hangs",
                ) from error
            raise EngineError(
                f"the connection to the engine was lost: {error}",
                remedy="see whether the engine still runs, then start the same command again",
            ) from error


@contextmanager
def _described_or_engine_error(what: str) -> Iterator[None]:
    """Where no registry and no builder is asked, a refusal means that the engine is not well."""
    try:
        yield
    except ImageStoreError as error:
        raise EngineError(
            f"the engine cannot tell about {what}: {error.text}", remedy="see the engine's log, then start again"
        ) from error


def _tags(image: Mapping[str, Any]) -> list[str]:
    return [tag for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]


def _own_tags(image: Mapping[str, Any]) -> list[str]:
    # Podman writes the registry that it thinks of into every name.
    return [tag for tag in _tags(image) if tag.removeprefix("docker.io/").removeprefix("localhost/").startswith(OWN)]


def _unnamed_upon(roots: set[str], images: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ids of the unnamed images that stand on `roots`, only unnamed ones between, and on which nothing stands."""
    unnamed = [image for image in images if not _tags(image)]
    upon = set(roots)
    while more := {image["Id"] for image in unnamed if image.get("ParentId") in upon} - upon:
        upon |= more
    parents = {image.get("ParentId") for image in images}
    return [image["Id"] for image in unnamed if image["Id"] in upon - parents]


class _SilentError(EngineError):
    """The engine said nothing for longer than it was given."""


class PullMeter:
    """Adds up the layers of a pull.

    Attributes:
        done: bytes fetched.
        total: bytes of the layers whose size is known so far; it grows in the first seconds.
    """

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}

    @property
    def done(self) -> int:
        """Bytes fetched."""
        return sum(current for current, _ in self._layers.values())

    @property
    def total(self) -> int:
        """Bytes in all, of the layers seen so far."""
        return sum(total for _, total in self._layers.values())

    def take(self, event: Mapping[str, object]) -> bool:
        """Read one event of the stream; whether it changed the count."""
        layer = str(event.get("id") or "")
        detail = event.get("progressDetail")
        if event.get("status") == "Downloading" and isinstance(detail, Mapping) and detail.get("total"):
            self._layers[layer] = (int(detail.get("current") or 0), int(detail["total"]))
            return True
        if event.get("status") == "Download complete" and layer in self._layers:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)
            return True
        return False


def _until_refused(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The events of a stream; raises the refusal among them, if any, at the end, when its connection is given back."""
    refused: Mapping[str, Any] | None = None
    for event in events:
        if "error" in event or "errorDetail" in event:
            refused = refused or event
        else:
            yield event
    if refused:
        _raise_if_refused(refused)


def _raise_if_refused(event: Mapping[str, object]) -> None:
    if "error" not in event and "errorDetail" not in event:
        return
    detail = event.get("errorDetail")
    words = detail.get("message") if isinstance(detail, Mapping) else None
    raise ImageStoreError(str(words or event.get("error") or "the engine gave no reason"))
