"""What is looked at: what one matrix needs, or everything."""

import pytest

from harness.errors import InputError
from harness.flows.checkup.wanted import Use, wanted
from harness.flows.workspace import find_workspace
from harness.values.backend import BACKENDS

WORKSPACE = find_workspace()


def test_with_a_matrix_only_what_it_names() -> None:
    found = wanted("rtx4090.yaml", WORKSPACE)
    assert not found.whole
    assert found.uses == (
        Use(backend="cuda", device="*RTX 4090", image="cuda"),
        Use(backend="vulkan", device="*RTX 4090", image="vulkan"),
    )
    assert set(found.images) == {"cuda", "vulkan"}
    assert found.images["cuda"].ref.startswith("ghcr.io/")
    assert set(found.models) == {
        "synthetic-7b-q8_0",
        "synthetic-13b-q4_k_m",
        "synthetic-34b-q4_k_m",
        "gemma3-270m-q4_k_m",
    }
    assert found.hint == " --file rtx4090.yaml"


def test_without_one_every_backend_with_a_dockerfile_and_the_whole_registry() -> None:
    found = wanted("", WORKSPACE)
    assert found.whole
    assert {use.backend for use in found.uses} == set(BACKENDS) & set(found.images)
    assert {"cpu", "vulkan"} <= set(found.images)
    assert "synthetic-70b-q4_k_m" in found.models


def test_a_name_that_no_matrix_has_is_a_mistake() -> None:
    with pytest.raises(InputError, match="no such matrix file"):
        wanted("rtx4091.yaml", WORKSPACE)
