"""From a tag to a digest: what the registry says, what is here, and which of them is believed."""

from __future__ import annotations

import pytest

from harness.artifacts.resolve import resolve_image
from harness.errors import ArtifactError
from harness.values.matrix import ImageSource
from harness.values.protocols import ImageStoreError

TAG = "ghcr.io/ggml-org/llama.cpp:full-cuda"
NEW = "sha256:" + "a" * 64
OLD = "sha256:" + "b" * 64
NO_NETWORK = ImageStoreError("dial tcp: lookup ghcr.io: no such host", status=500)


def resolve(ref: str, store, said: list[str] | None = None) -> ImageSource:
    return resolve_image(
        ImageSource(name="x", ref=ref),
        store=store,
        say=[].append if said is None else said.append,
        progress=lambda *_: None,
        sleep=lambda _: None,
    )


def test_a_digest_is_what_it_is_and_nobody_is_asked(image_store) -> None:
    assert resolve(f"{TAG}@{OLD}", image_store).digest == OLD
    assert image_store.asked == []


def test_a_tag_is_what_the_registry_says_and_nothing_is_pulled_for_that(image_store) -> None:
    image_store.registry[TAG] = NEW
    assert resolve(TAG, image_store) == ImageSource(name="x", ref=TAG, digest=NEW)
    assert image_store.pulled == []


def test_a_tag_that_moved_is_locked_as_it_is_now_and_that_is_said(image_store) -> None:
    image_store.add(TAG, RepoDigests=[f"ghcr.io/ggml-org/llama.cpp@{OLD}"])
    image_store.registry[TAG] = NEW
    said: list[str] = []
    assert resolve(TAG, image_store, said).digest == NEW
    assert said == [f"{TAG}: the tag has moved since it was pulled; the new image is locked"]


def test_without_a_registry_the_image_that_is_here_is_locked_and_that_is_said(image_store) -> None:
    image_store.add(TAG, RepoDigests=[f"ghcr.io/ggml-org/llama.cpp@{OLD}"])
    image_store.registry[TAG] = NO_NETWORK
    said: list[str] = []
    assert resolve(TAG, image_store, said).digest == OLD
    assert said == [f"{TAG}: the registry cannot be reached; what is locked is the image that is here"]


def test_an_engine_that_cannot_ask_pulls(image_store) -> None:
    image_store.registry[TAG] = ImageStoreError("page not found", status=404)
    assert resolve(TAG, image_store).digest == "sha256:" + "d" * 64
    assert image_store.pulled == [TAG]


def test_what_cannot_be_had_is_told_as_when_it_is_pulled(image_store) -> None:
    image_store.registry[TAG] = NO_NETWORK
    image_store.pulls = [NO_NETWORK]
    with pytest.raises(ArtifactError, match="the registry cannot be reached"):
        resolve(TAG, image_store)


def test_an_image_that_was_made_by_hand_has_no_digest(image_store) -> None:
    image_store.add("my/llama:full-b1", RepoDigests=[])
    assert resolve("my/llama:full-b1", image_store).digest == ""
    image_store.add("llama-bench-harness/llama.cpp:full-cpu-b1")
    assert resolve("llama-bench-harness/llama.cpp:full-cpu-b1", image_store).digest == ""
    assert image_store.asked == ["my/llama:full-b1"]


def test_a_build_needs_no_registry(image_store) -> None:
    source = ImageSource(name="cpu", build="cpu")
    assert resolve_image(source, store=image_store, say=pytest.fail, progress=pytest.fail, sleep=pytest.fail) == source
