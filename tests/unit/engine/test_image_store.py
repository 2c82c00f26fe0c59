"""The Docker SDK's answers about images, turned into values and refusals."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
import requests
import urllib3.exceptions

from harness.engine.image_store import DockerImageStore, PullMeter
from harness.errors import EngineError
from harness.values.protocols import ImageStoreError


def refusal(status: int, words: str) -> docker.errors.APIError:
    kind = docker.errors.NotFound if status == 404 else docker.errors.APIError
    return kind("500 Server Error", response=SimpleNamespace(status_code=status), explanation=words)  # type: ignore[arg-type]


class FakeClient:
    """The few methods of `docker.APIClient` that are used."""

    base_url = "http+docker://localhost"

    def __init__(self, *events: Any, inspected: Any = None) -> None:
        self.events = events
        self.inspected = inspected if inspected is not None else {"Id": "sha256:1"}
        self.asked: dict[str, Any] = {}
        self.timeout = 0.0
        self.root = "/nonexistent"

    def _stream(self, **asked: Any) -> Iterator[Any]:
        self.asked = asked | {"timeout": self.timeout}
        for event in self.events:
            if isinstance(event, BaseException):
                raise event
            yield event

    def build(self, **asked: Any) -> Iterator[Any]:
        return self._stream(**asked)

    def pull(self, ref: str, **asked: Any) -> Iterator[Any]:
        return self._stream(ref=ref, **asked)

    def inspect_image(self, ref: str) -> Any:
        if isinstance(self.inspected, BaseException):
            raise self.inspected
        return self.inspected

    def tag(self, image: str, repository: str, name: str) -> None:
        raise refusal(404, "No such image")

    def import_image_from_file(self, *args: Any, **asked: Any) -> str:
        return "\n".join(self.events)

    def info(self) -> Any:
        return {"DockerRootDir": self.root}


def store(*events: Any, inspected: Any = None) -> tuple[DockerImageStore, FakeClient]:
    client = FakeClient(*events, inspected=inspected)
    return DockerImageStore(client), client  # type: ignore[arg-type]


def build(*events: Any) -> tuple[list[str], FakeClient]:
    images, client = store(*events)
    texts: list[str] = []
    images.build(io.BytesIO(b""), tag="a:b", build_args={"X": "1"}, labels={"l": "2"}, on_text=texts.append)
    return texts, client


def test_absent_is_none_and_other_refusals_are_not() -> None:
    assert store(inspected=refusal(404, "No such image: x"))[0].inspect("x") is None
    with pytest.raises(EngineError) as caught:
        store(inspected=refusal(500, "layer does not exist"))[0].inspect("x")
    assert "layer does not exist" in caught.value.what


def test_naming_what_is_not_there_is_told() -> None:
    with pytest.raises(EngineError, match="No such image"):
        store()[0].tag("x", "a:b")


def test_a_build_streams_its_output_and_leaves_no_containers() -> None:
    texts, client = build({"stream": "Step 1/1 : FROM x\n"}, {"aux": {"ID": "sha256:1"}}, {"status": "Pulling"})
    assert texts == ["Step 1/1 : FROM x\n", "Pulling\n"]
    assert client.asked["buildargs"] == {"X": "1"}
    assert client.asked["labels"] == {"l": "2"}
    assert client.asked["rm"]
    assert client.asked["forcerm"]
    assert client.asked["timeout"] >= 3600


def test_a_failed_step_ends_the_build_with_the_builders_words() -> None:
    words = "The command '/bin/sh -c false' returned a non-zero code: 1"
    with pytest.raises(ImageStoreError, match="non-zero code: 1"):
        build({"stream": "Step"}, {"errorDetail": {"code": 1, "message": words}, "error": words})


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("Connection aborted"),
        urllib3.exceptions.ProtocolError("Connection broken: IncompleteRead"),
        ConnectionResetError("reset by peer"),
    ],
)
def test_an_engine_that_goes_away_is_an_engine_error(error: Exception) -> None:
    with pytest.raises(EngineError, match="connection to the engine was lost"):
        build({"stream": "Step"}, error)


def test_a_registry_that_is_silent_is_a_refusal_but_a_silent_engine_is_not() -> None:
    silent = urllib3.exceptions.ReadTimeoutError(None, "", "Read timed out.")  # type: ignore[arg-type]
    images, client = store(silent)
    with pytest.raises(ImageStoreError, match="no word from the registry for 20 s"):
        images.pull("a:b", idle_timeout_s=20, on_bytes=lambda *_: None)
    assert client.asked["timeout"] == 20
    with pytest.raises(EngineError, match="silent"):
        build(silent)


def test_a_pull_counts_the_bytes_of_its_layers() -> None:
    images, _ = store(
        {"status": "Pulling from x", "id": "tag"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "l1"},
        {"status": "Downloading", "progressDetail": {"current": 10, "total": 100}, "id": "l1"},
        {"status": "Downloading", "progressDetail": {"current": 5, "total": 50}, "id": "l2"},
        {"status": "Download complete", "progressDetail": {}, "id": "l1"},
        {"status": "Extracting", "progressDetail": {"current": 1, "total": 100}, "id": "l1"},
    )
    told: list[tuple[int, int]] = []
    assert images.pull("a:b", idle_timeout_s=1, on_bytes=lambda *count: told.append(count)) == "sha256:1"
    assert told == [(10, 100), (15, 150), (105, 150)]


@pytest.mark.parametrize(
    "event",
    [
        refusal(500, "dial tcp: no such host"),
        {"errorDetail": {"message": "dial tcp: no such host"}, "error": "x"},
        {"error": "dial tcp: no such host"},
    ],
)
def test_a_refused_pull_keeps_the_words(event: Any) -> None:
    with pytest.raises(ImageStoreError, match="no such host"):
        store(event)[0].pull("a:b", idle_timeout_s=1, on_bytes=lambda *_: None)


def test_what_the_engine_says_is_done_has_to_be_there() -> None:
    with pytest.raises(ImageStoreError, match="it is not there"):
        store(inspected=refusal(404, "gone"))[0].pull("a:b", idle_timeout_s=1, on_bytes=lambda *_: None)


def test_an_import_that_fails_is_refused(tmp_path: Path) -> None:
    assert store('{"status":"sha256:1"}')[0].import_tar(tmp_path / "x", tag="a:b") == "sha256:1"
    with pytest.raises(ImageStoreError, match="no space"):
        store('{"status":"x"}', '{"error":"no space left on device"}')[0].import_tar(tmp_path / "x", tag="a:b")


class Podman4(FakeClient):
    """Podman 4.3, which names what it imports `:latest` whatever tag was asked for."""

    def __init__(self, *events: str) -> None:
        super().__init__(*events)
        self.names: dict[str, str] = {}

    def import_image_from_file(self, *args: Any, **asked: Any) -> str:
        self.names["a:latest"] = "sha256:2"
        return super().import_image_from_file()

    def inspect_image(self, ref: str) -> Any:
        if ref not in self.names:
            raise refusal(404, f"failed to find image {ref}: No such image")
        return {"Id": self.names[ref]}

    def tag(self, image: str, repository: str, name: str) -> None:
        self.names[f"{repository}:{name}"] = image

    def remove_image(self, image: str) -> None:
        del self.names[image]


def test_an_import_whose_tag_the_engine_ignored_is_named_afterwards(tmp_path: Path) -> None:
    client = Podman4('{"status":"sha256:2","id":"sha256:2"}')
    images = DockerImageStore(client)  # type: ignore[arg-type]
    assert images.import_tar(tmp_path / "x", tag="a:b") == "sha256:2"
    assert client.names == {"a:b": "sha256:2"}


def test_a_name_that_was_there_before_stays(tmp_path: Path) -> None:
    client = Podman4('{"status":"sha256:2","id":"sha256:2"}')
    client.names = {"a:latest": "sha256:1"}
    assert DockerImageStore(client).import_tar(tmp_path / "x", tag="a:b") == "sha256:2"  # type: ignore[arg-type]
    assert client.names == {"a:latest": "sha256:2", "a:b": "sha256:2"}


def test_free_space_is_only_known_where_it_can_be_seen(tmp_path: Path) -> None:
    images, client = store()
    assert images.free_bytes() is None
    client.root = str(tmp_path)
    assert images.free_bytes()
    client.base_url = "https://far.example:2376"
    assert images.free_bytes() is None


def test_free_space_of_a_folder_that_is_closed_to_this_user_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "disk_usage", closed)
    images, client = store()
    client.root = str(tmp_path)
    assert images.free_bytes() is None


def test_an_engine_that_does_not_answer_is_told_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise docker.errors.DockerException("Error while fetching server API version: Connection aborted.")

    monkeypatch.setattr(docker, "APIClient", refuse)
    with pytest.raises(EngineError, match=r"nothing\.sock"):
        DockerImageStore.connect("unix:///nothing.sock")


def test_what_ssh_needs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise docker.errors.DockerException("Install paramiko package to enable ssh:// support")

    monkeypatch.setattr("harness.engine.sdk.APIClient", refuse)
    with pytest.raises(EngineError, match="paramiko") as caught:
        DockerImageStore.connect("ssh://user@far.example")
    assert "pip install paramiko" in caught.value.remedy
    assert "Start the engine" not in caught.value.remedy


class Shelf(FakeClient):
    """Images as the engine lists them; it refuses to remove what others stand on, as engines do."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = [
            {"Id": "base", "ParentId": "", "RepoTags": ["llama-bench-harness/base:trixie"]},
            {"Id": "core", "ParentId": "base", "RepoTags": ["llama-bench-harness/core:trixie-1"]},
            {"Id": "stage", "ParentId": "core", "RepoTags": None},
            {"Id": "stage2", "ParentId": "stage", "RepoTags": ["<none>:<none>"]},
            {"Id": "theirs", "ParentId": "core", "RepoTags": ["someone/else:1"]},
            {"Id": "dangling", "ParentId": "theirs", "RepoTags": None},
            {"Id": "other", "ParentId": "", "RepoTags": ["debian:trixie-slim"]},
        ]
        self.removed: list[str] = []

    def images(self, **_: Any) -> Any:
        return self.listed

    def remove_image(self, image: str) -> None:
        if image.startswith("llama-bench-harness/core"):
            raise refusal(409, "image is being used by running container")
        self.removed.append(image)


def test_only_our_own_images_and_what_was_built_upon_them_are_removed() -> None:
    shelf = Shelf()
    removed = DockerImageStore(shelf).remove_own()  # type: ignore[arg-type]
    assert shelf.removed == ["stage2", "llama-bench-harness/base:trixie"]
    assert removed == ("llama-bench-harness/base:trixie",)


@pytest.mark.parametrize("registry", ["docker.io/", "localhost/"])
def test_our_own_images_are_known_by_the_names_that_podman_gives_them(registry: str) -> None:
    shelf = Shelf()
    shelf.listed = [
        {"Id": "base", "ParentId": "", "RepoTags": [f"{registry}llama-bench-harness/base:trixie"]},
        {"Id": "theirs", "ParentId": "", "RepoTags": [f"{registry}someone/else:1"]},
    ]
    assert DockerImageStore(shelf).remove_own() == (f"{registry}llama-bench-harness/base:trixie",)  # type: ignore[arg-type]


def test_the_rest_of_a_refused_build_is_read_so_that_its_connection_is_given_back() -> None:
    left: list[str] = []

    class Refusing(FakeClient):
        def build(self, **_: Any) -> Iterator[Any]:
            yield {"error": "exit status 3"}
            left.append("read to its end")

    with pytest.raises(ImageStoreError, match="exit status 3"):
        DockerImageStore(Refusing()).build(  # type: ignore[arg-type]
            io.BytesIO(b""), tag="a:b", build_args={}, labels={}, on_text=print
        )
    assert left == ["read to its end"]


def test_layers_without_a_size_are_not_counted() -> None:
    meter = PullMeter()
    assert not meter.take({"status": "Downloading", "progressDetail": {"current": 3}, "id": "x"})
    assert (meter.done, meter.total) == (0, 0)
