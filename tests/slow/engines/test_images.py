"""Every engine imports, names, builds and removes images as the harness asks it to."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine.image_store import DockerImageStore
from harness.values.protocols import ImageStoreError
from tests.slow.engines.conftest import TAG
from tests.slow.engines.trees import small_image

pytestmark = pytest.mark.slow


@pytest.fixture
def store(bench) -> Iterator[DockerImageStore]:
    opened = DockerImageStore.connect(bench.beside.host)
    yield opened
    opened.close()


def context(dockerfile: str) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        archive.addfile(entry, io.BytesIO(dockerfile.encode()))
    packed.seek(0)
    return packed


def build(store: DockerImageStore, dockerfile: str, tag: str) -> tuple[str, str]:
    texts: list[str] = []
    made = store.build(
        context(dockerfile), tag=tag, build_args={"WORD": "given"}, labels={"a": "b"}, on_text=texts.append
    )
    return made, "".join(texts)


def test_import_and_tag(store: DockerImageStore, bench, tmp_path: Path) -> None:
    tar = small_image(bench.beside.kind.suite, tmp_path)
    made = store.import_tar(tar, tag="llama-bench-harness/imported:2")
    try:
        found = store.inspect("llama-bench-harness/imported:2")
        assert found is not None
        assert found["Id"] == made
        assert store.inspect("llama-bench-harness/imported:latest") is None
        assert store.inspect("llama-bench-harness/absent:2") is None
        store.tag(made, "llama-bench-harness/again:3")
        assert bench.engine.image_id("llama-bench-harness/again:3") == made
    finally:
        removed = store.remove_own()
    assert {"imported:2", "again:3"} <= {name.rpartition("/")[2] for name in removed}
    assert store.inspect("llama-bench-harness/imported:2") is None
    store.import_tar(tar, tag=TAG)


def test_build(store: DockerImageStore, bench) -> None:
    dockerfile = f'FROM {TAG}\nARG WORD\nRUN echo "$WORD" > /word && echo said aloud\nCMD ["/bin/true"]\n'
    made, said = build(store, dockerfile, "llama-bench-harness/built:1")
    assert "said aloud" in said
    ended = bench.run("cat /word", image=made)
    assert [line.text for line in ended.stdout] == ["given"]
    found = store.inspect(made)
    assert found is not None
    assert found["Config"]["Labels"]["a"] == "b"


def test_a_build_that_fails_says_why(store: DockerImageStore) -> None:
    with pytest.raises(ImageStoreError) as caught:
        build(store, f"FROM {TAG}\nRUN echo the reason && exit 3\n", "llama-bench-harness/failed:1")
    assert "3" in caught.value.text


def test_an_image_of_nobody_is_absent_and_not_pulled(bench) -> None:
    ended = bench.run(image="llama-bench-harness/absent:1")
    assert ended.error_phase == "create"
    assert "no such image" in ended.error.lower()
