"""What the names of images tell."""

from __future__ import annotations

import pytest

from harness.values.image_names import build_of, build_order, is_moving

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("b9426", 9426),
        ("full-cuda-b9426", 9426),
        ("ghcr.io/ggml-org/llama.cpp:full-b999", 999),
        ("ghcr.io/ggml-org/llama.cpp:full-cuda-b9426" + DIGEST, 9426),
        ("ghcr.io/ggml-org/llama.cpp:b1000", 1000),
        ("ghcr.io/ggml-org/llama.cpp:full-cuda", None),
        ("ghcr.io/ggml-org/llama.cpp:full-b9426-cuda", None),
        ("full-cub9426", None),
        ("x/y" + DIGEST, None),
    ],
)
def test_the_build_stands_at_the_end_of_the_tag(ref: str, number: int | None) -> None:
    assert build_of(ref) == number


def test_builds_sort_as_numbers() -> None:
    tags = ["full-cuda-b1000", "full-cuda-b10001", "full-cuda-b999", "full-b9426", "full-cuda", "full-b11312"]
    assert sorted(tags, key=build_order) == [
        "full-b9426",
        "full-b11312",
        "full-cuda",
        "full-cuda-b999",
        "full-cuda-b1000",
        "full-cuda-b10001",
    ]


@pytest.mark.parametrize(
    ("ref", "moving"),
    [
        ("ghcr.io/ggml-org/llama.cpp:full-cuda", True),
        ("ghcr.io/ggml-org/llama.cpp:latest", True),
        ("ghcr.io/ggml-org/llama.cpp:full-cuda-b9426", False),
        ("ghcr.io/ggml-org/llama.cpp:full-cuda" + DIGEST, False),
        ("ghcr.io/ggml-org/llama.cpp" + DIGEST, False),
    ],
)
def test_a_tag_without_a_build_can_move(ref: str, moving: bool) -> None:
    assert is_moving(ref) is moving
