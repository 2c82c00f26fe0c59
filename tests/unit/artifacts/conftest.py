"""An image store without an engine, which fails in the ways and with the words of real ones."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import pytest

from harness.values.protocols import ImageStoreError


class FakeImageStore:
    """Keeps descriptions by name. `pulls` and `builds` are what the registry and the builder will say, in order."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, object]] = {}
        self.pulls: list[ImageStoreError | None] = []
        self.builds: list[ImageStoreError | None] = []
        self.output = "Step 1/2 : FROM ${BASE}\n"
        self.digest = ""
        self.free: int | None = None
        self.registry: dict[str, str | ImageStoreError] = {}
        self.asked: list[str] = []
        self.pulled: list[str] = []
        self.built: list[str] = []
        self.build_args: list[dict[str, str]] = []
        self.labels: list[dict[str, str]] = []
        self.contexts: list[dict[str, tuple[int, int, int, bytes]]] = []

    def add(self, ref: str, **fields: object) -> str:
        image_id = "sha256:" + hashlib.sha256((ref + repr(sorted(fields))).encode()).hexdigest()
        self.images[ref] = {"Id": image_id, "Size": 1000, "Architecture": "amd64", "Config": {"Labels": None}} | fields
        return str(self.images[ref]["Id"])

    def inspect(self, ref: str) -> Mapping[str, object] | None:
        return self.images.get(ref)

    def build(
        self,
        context: BinaryIO,
        *,
        tag: str,
        build_args: Mapping[str, str],
        labels: Mapping[str, str],
        on_text: Callable[[str], None],
    ) -> str:
        with tarfile.open(fileobj=context) as tar:
            self.contexts.append(
                {
                    m.name: (m.mode, m.uid, m.gid, file.read())
                    for m in tar.getmembers()
                    if (file := tar.extractfile(m)) is not None
                }
            )
        self.built.append(tag)
        self.build_args.append(dict(build_args))
        self.labels.append(dict(labels))
        on_text(self.output)
        error = self.builds.pop(0) if self.builds else None
        if error is not None:
            raise error
        return self.add(tag, Config={"Labels": dict(labels)})

    def pull(self, ref: str, *, idle_timeout_s: float, on_bytes: Callable[[int, int], None]) -> str:
        self.pulled.append(ref)
        on_bytes(1, 2)
        error = self.pulls.pop(0) if self.pulls else None
        if error is not None:
            raise error
        repository = ref.partition("@")[0]
        repository = repository if "@" in ref else repository.rpartition(":")[0]
        digest = self.digest or (ref.partition("@")[2] if "@" in ref else "sha256:" + "d" * 64)
        return self.add(ref, RepoDigests=[f"{repository}@{digest}"])

    def registry_digest(self, ref: str) -> str:
        self.asked.append(ref)
        answer = self.registry.get(ref, ImageStoreError("manifest unknown", status=404))
        if isinstance(answer, ImageStoreError):
            raise answer
        return answer

    def import_tar(self, tar: Path, *, tag: str) -> str:
        return self.add(tag, tar=tar.read_bytes())

    def tag(self, image: str, tag: str) -> None:
        self.images[tag] = self.images[image]

    def free_bytes(self) -> int | None:
        return self.free


@pytest.fixture
def image_store() -> FakeImageStore:
    return FakeImageStore()
