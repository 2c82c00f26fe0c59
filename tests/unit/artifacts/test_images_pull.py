"""References and registries: what is refused at once, what is tried again, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.artifacts.pull import classify_refusal, digest_of, ensure_pulled, parse_reference
from harness.errors import ArtifactError, InputError
from harness.values.protocols import ImageStoreError

REF = "ghcr.io/ggml-org/llama.cpp:full-vulkan-b9426"
DIGEST = "sha256:" + "a1" * 32

REFUSALS = [
    ("manifest for ghcr.io/x:y not found: manifest unknown: manifest unknown", 404, "missing", False),
    ("manifest unknown", 404, "missing", False),
    ("errors:\nmanifest unknown: manifest tagged by \"full-x\" is not found\n", 500, "missing", False),
    ("pull access denied for nosuch, repository does not exist: denied: requested access", 404, "auth", False),
    ("Head \"https://ghcr.io/v2/x/manifests/y\": unauthorized", 500, "auth", False),
    ("error from registry: denied", 500, "auth", False),
    ("anything", 403, "auth", False),
    ("toomanyrequests: You have reached your pull rate limit.", 500, "rate", True),
    ("received unexpected HTTP status: 429 Too Many Requests", 500, "rate", True),
    ("received unexpected HTTP status: 503 Service Unavailable", 500, "server", True),
    ("unexpected status code 502 Bad Gateway", None, "server", True),
    ("read tcp 10.0.0.2:443: read: connection reset by peer", None, "server", True),
    ("unexpected EOF", None, "server", True),
    ('Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 10.0.0.1:53: no such host', 500, "network", False),
    ('Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', 500, "network", False),
    ('Get "https://ghcr.io/v2/": canceled (Client.Timeout exceeded)', 500, "network", False),
    ("i/o timeout: no word from the registry for 120 s", None, "network", False),
    ('Get "https://r/v2/": x509: certificate signed by unknown authority', 500, "certificate", False),
    ("no matching manifest for linux/riscv64 in the manifest list entries", 404, "platform", False),
    ("failed to register layer: write /app/x: no space left on device", None, "disk", False),
    ("something new", 500, "other", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "status", "kind", "retry"), REFUSALS)
def test_refusals_are_told_apart_by_their_words(text: str, status: int | None, kind: str, retry: bool) -> None:
    refusal = classify_refusal(text, status)
    assert (refusal.kind, refusal.retry) == (kind, retry)
    assert refusal.remedy


def pull(store, ref: str = REF, said: list[str] | None = None, waits: list[float] | None = None):
    return ensure_pulled(
        ref,
        store=store,
        say=(said if said is not None else []).append,
        progress=lambda *_: None,
        sleep=(waits if waits is not None else []).append,
    )


def test_what_is_there_is_not_pulled(image_store) -> None:
    image_store.add(REF)
    assert pull(image_store)["Id"] == image_store.images[REF]["Id"]
    assert image_store.pulled == []


def test_pulling_is_said(image_store) -> None:
    said: list[str] = []
    pull(image_store, said=said)
    assert said == [f"pulling {REF}"]


def test_a_registry_in_trouble_is_asked_again_with_growing_waits(image_store) -> None:
    busy = ImageStoreError("received unexpected HTTP status: 503 Service Unavailable", status=500)
    image_store.pulls = [busy, busy, None]
    said: list[str] = []
    waits: list[float] = []
    pull(image_store, said=said, waits=waits)
    assert len(image_store.pulled) == 3
    assert waits == [5.0, 15.0]
    assert "attempt 2 of 3 in 5 s" in said[1]


def test_after_three_attempts_it_fails(image_store) -> None:
    image_store.pulls = [ImageStoreError("toomanyrequests: slow down", status=500)] * 5
    with pytest.raises(ArtifactError, match="3 attempts") as caught:
        pull(image_store)
    assert caught.value.reason == "image"
    assert "docker login" in caught.value.remedy
    assert len(image_store.pulled) == 3


@pytest.mark.parametrize(("text", "status", "kind", "retry"), [row for row in REFUSALS if not row[3]])
def test_what_a_retry_cannot_help_fails_at_once(
    image_store, text: str, status: int | None, kind: str, retry: bool
) -> None:
    image_store.pulls = [ImageStoreError(text, status=status)]
    with pytest.raises(ArtifactError) as caught:
        pull(image_store)
    assert len(image_store.pulled) == 1
    assert caught.value.where == REF
    assert "\n" not in caught.value.what


def test_secrets_in_addresses_are_not_shown(image_store) -> None:
    words = 'Get "https://me:pass@r.example/token?account=me&scope=x": unauthorized'
    image_store.pulls = [ImageStoreError(words, status=500)]
    with pytest.raises(ArtifactError) as caught:
        pull(image_store)
    assert "pass" not in caught.value.what
    assert "account" not in caught.value.what


def test_a_digest_is_pulled_alone_and_verified(image_store) -> None:
    described = pull(image_store, f"{REF}@{DIGEST}")
    assert image_store.pulled == [f"ghcr.io/ggml-org/llama.cpp@{DIGEST}"]
    assert digest_of(described, f"{REF}@{DIGEST}") == DIGEST


def test_another_content_under_the_digest_is_refused(image_store) -> None:
    image_store.digest = "sha256:" + "0" * 64
    with pytest.raises(ArtifactError, match="under this name"):
        pull(image_store, f"{REF}@{DIGEST}")


def test_our_own_images_are_never_asked_for_in_a_registry(image_store) -> None:
    with pytest.raises(ArtifactError, match="no such image here"):
        pull(image_store, "llama-bench-harness/stub:1")
    assert image_store.pulled == []


def test_the_digest_recorded_is_of_the_same_repository() -> None:
    described = {"RepoDigests": [f"mirror.example/llama@{'sha256:' + '0' * 64}", f"debian@{DIGEST}"]}
    assert digest_of(described, "docker.io/library/debian:trixie") == DIGEST
    assert digest_of(described, "other:tag") is None
    assert digest_of({"RepoDigests": None}, "debian:trixie") is None


@pytest.mark.parametrize(
    ("ref", "name"),
    [("rocm/llama.cpp:full", "docker.io/rocm/llama.cpp"), ("debian:trixie", "docker.io/library/debian")],
)
def test_the_digest_of_an_image_of_docker_hub_as_podman_names_it(ref: str, name: str) -> None:
    assert digest_of({"RepoDigests": [f"{name}@{DIGEST}"]}, ref) == DIGEST


@pytest.mark.parametrize(
    "ref",
    ["a:b", "localhost:5000/a/b:c", "host:5000/a__b/c.d-e:V1.2", f"a@{DIGEST}", f"ghcr.io/a/b:c@{DIGEST}", "x/y:1"],
)
def test_references_are_taken(ref: str) -> None:
    reference = parse_reference(ref)
    assert reference.pullable.count("@") + reference.pullable.rpartition("/")[2].count(":") >= 1


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("", "one word"),
        ("a b:c", "one word"),
        ("https://ghcr.io/a:b", "no scheme"),
        ("ghcr.io/ggml-org/llama.cpp", "neither a tag nor a digest"),
        ("localhost:5000/a", "neither a tag nor a digest"),
        ("a@sha256:12", "64 lower-case hex digits"),
        ("Llama:b", "lower case"),
        ("a:b:c", "not an image reference"),
        ("-a:b", "not an image reference"),
    ],
)
def test_a_malformed_reference_is_a_mistake_in_the_input(image_store, tmp_path: Path, ref: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        pull(image_store, ref)
    assert "ghcr.io/ggml-org" in caught.value.remedy
    assert image_store.pulled == []
