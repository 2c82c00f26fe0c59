"""`invoke images`: what is built without being named."""

from __future__ import annotations

import os

from harness.flows.images import sources, split_by_cost
from harness.flows.workspace import find_workspace
from harness.values.backend import BACKENDS


def test_what_takes_a_gpus_compiler_is_built_only_where_a_matrix_names_it() -> None:
    workspace = find_workspace(os.environ)
    wanted = sources("", workspace)
    quick, asked = split_by_cost(wanted, workspace)
    assert {source.name for source in quick} == {"cpu", "vulkan"}
    assert {"cuda", "rocm"} <= {source.name for source in asked}
    assert {source.build for source in wanted} - set(BACKENDS) == {"cpu-bench"}


def test_a_build_for_comparisons_is_listed_with_every_source_and_never_built_unasked() -> None:
    workspace = find_workspace(os.environ)
    wanted = sources("", workspace)
    found = {source.name: source.origin for source in wanted if source.build == "cpu-bench"}
    assert found["cpu-bench"] == "images/cpu-bench.Dockerfile"
    assert found["cpu-bench-b6110"] == "images/cpu-bench.Dockerfile b6110"
    _, asked = split_by_cost(wanted, workspace)
    assert set(found) <= {source.name for source in asked}
