"""`invoke images`: what is built without being named."""

from __future__ import annotations

import os

from harness.flows.images import sources, split_by_cost
from harness.flows.workspace import find_workspace
from harness.values.backend import BACKENDS


def test_what_takes_a_gpus_compiler_is_built_only_where_a_matrix_names_it() -> None:
    workspace = find_workspace(os.environ)
    wanted = sources("", workspace)
    assert {source.name for source in wanted} == set(BACKENDS)
    quick, slow = split_by_cost(wanted, workspace)
    assert {source.name for source in quick} == {"cpu", "vulkan"}
    assert {source.name for source in slow} == {"cuda", "rocm"}
