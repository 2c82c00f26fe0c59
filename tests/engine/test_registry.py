"""A real engine and a small registry of this test: tags that move, digests that stay."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.artifacts.pull import digest_of, ensure_pulled
from harness.artifacts.resolve import resolve_image
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.errors import ArtifactError
from harness.values.matrix import ImageSource
from harness.values.protocols import ImageStoreError

pytestmark = [pytest.mark.engine]

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """Serves images of one file. `publish` gives a tag to a new one and returns its digest."""

    def __init__(self) -> None:
        self.repository = f"lbh-test-{os.urandom(4).hex()}"
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.tags: dict[str, str] = {}
        self.port = 0

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}/{self.repository}"

    def publish(self, tag: str, text: str) -> str:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            member = tarfile.TarInfo("hello")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        layer = gzip.compress(raw.getvalue(), mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": {"text": text}},
                "rootfs": {"type": "layers", "diff_ids": [_digest(raw.getvalue())]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
                "layers": [{"mediaType": LAYER, "size": len(layer), "digest": _digest(layer)}],
            }
        ).encode()
        for kind, content in ((LAYER, layer), (CONFIG, config), (MANIFEST, manifest)):
            self.blobs[_digest(content)] = (kind, content)
        self.tags[tag] = _digest(manifest)
        return self.tags[tag]


@pytest.fixture
def registry() -> Iterator[Registry]:
    served = Registry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            found = served.blobs.get(served.tags.get(name, name))
            if self.path.rstrip("/") == "/v2":
                found = ("application/json", b"{}")
            kind, content = found or (
                "application/json",
                b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}',
            )
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", _digest(content))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield served
        server.shutdown()
        thread.join(5)


@pytest.fixture
def images(host: str, shared_engine: DockerEngine, registry: Registry) -> Iterator[DockerImageStore]:
    if shared_engine.facts().name == "Podman":
        pytest.skip("Podman wants TLS of a registry on this machine too")
    store = DockerImageStore.connect(host)
    yield store
    client = store._client
    for image in client.images():
        names = [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())]
        if any(name.startswith(registry.name) for name in names):
            client.remove_image(image["Id"], force=True)
    store.close()


def pull(ref: str, store: DockerImageStore, digest: str = "") -> dict:
    return dict(
        ensure_pulled(
            ref,
            digest=digest,
            store=store,
            say=lambda _: None,
            progress=lambda *_: None,
            sleep=lambda _: None,
        )
    )


def resolve(ref: str, store: DockerImageStore, said: list[str]) -> ImageSource:
    source = ImageSource(name="x", ref=ref)
    return resolve_image(source, store=store, say=said.append, progress=lambda *_: None, sleep=lambda _: None)


def label(described: dict) -> str:
    return str(described["Config"]["Labels"]["text"])


def test_a_locked_image_stays_what_it_was_when_its_tag_moves(registry: Registry, images: DockerImageStore) -> None:
    ref = f"{registry.name}:full"
    first = registry.publish("full", "first")
    said: list[str] = []
    assert resolve(ref, images, said).digest == first
    assert images.inspect(ref) is None, "nothing is pulled to learn a digest"
    assert label(pull(ref, images)) == "first"

    second = registry.publish("full", "second")
    assert resolve(ref, images, said).digest == second
    assert said == [f"{ref}: the tag has moved since it was pulled; the new image is locked"]
    assert label(pull(ref, images)) == "first", "what is here under a tag is used as it is"
    assert label(pull(ref, images, second)) == "second"
    described = pull(ref, images, first)
    assert label(described) == "first"
    assert digest_of(described, f"{registry.name}@{first}") == first
    assert label(pull(f"{ref}@{second}", images)) == "second", "a digest counts more than the tag beside it"


def test_a_digest_that_the_registry_does_not_have_is_an_image_that_cannot_be_had(
    registry: Registry, images: DockerImageStore
) -> None:
    registry.publish("full", "first")
    with pytest.raises(ArtifactError, match="the registry has no such image"):
        pull(f"{registry.name}:full", images, "sha256:" + "0" * 64)


def test_a_tag_that_is_not_there_has_no_digest(registry: Registry, images: DockerImageStore) -> None:
    with pytest.raises(ImageStoreError, match=r"manifest unknown|not found"):
        images.registry_digest(f"{registry.name}:missing")
