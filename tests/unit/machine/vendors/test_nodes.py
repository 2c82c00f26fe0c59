from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.machine.vendors.nodes import closed_nodes, groups_for
from harness.values.container import Passthrough
from harness.values.failure import Failure, Reason


def test_group_is_the_nodes_own_number_once(roots, engine) -> None:
    nodes = [str(roots.node(name)) for name in ("kfd", "dri/renderD128")]
    assert groups_for(nodes, engine=engine()) == (Path(nodes[0]).stat().st_gid,)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to groups of others")
def test_groups_that_differ(roots, engine) -> None:
    kfd, render = roots.node("kfd"), roots.node("dri/renderD128")
    os.chown(kfd, 0, 993)
    os.chown(render, 0, 44)
    assert groups_for([str(kfd), str(render)], engine=engine()) == (44, 993)


@pytest.mark.parametrize("rootless", [False, True])
def test_node_that_is_open_to_all_needs_no_group(roots, engine, rootless) -> None:
    node = roots.node("dri/renderD128", mode=0o666)
    assert groups_for([str(node)], engine=engine(rootless=rootless)) == ()


def test_rootless_engine_cannot_give_the_group(roots, engine) -> None:
    node = roots.node("dri/renderD128", mode=0o660)
    refusal = groups_for([str(node)], engine=engine("Podman", "5.8.6", rootless=True))
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.PERMISSION
    assert f"group {node.stat().st_gid} only (mode 0660)" in refusal.detail
    assert 'KERNEL=="renderD128", MODE="0666"' in refusal.remedy


def test_an_engine_that_renumbers_users_cannot_give_the_group(roots, engine) -> None:
    node = roots.node("dri/renderD128", mode=0o660)
    remapped = replace(engine(), security_options=("name=seccomp,profile=default", "name=userns"))
    refusal = groups_for([str(node)], engine=remapped)
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.PERMISSION
    assert "userns-remap" in refusal.detail
    assert groups_for([str(roots.node("kfd", mode=0o666))], engine=remapped) == ()


@pytest.mark.parametrize(
    ("mode", "given", "closed"),
    [(0o660, True, False), (0o660, False, True), (0o666, False, False), (0o600, True, True), (0o640, True, True)],
)
def test_nodes_that_a_container_may_not_open(roots, mode, given, closed) -> None:
    node = roots.node("dri/renderD128", mode=mode)
    group = node.stat().st_gid
    passed = Passthrough(device_nodes=(str(node),), groups=(group,) if given else (group + 1,))
    assert closed_nodes(passed) == ((f"{node} (group {group}, mode {mode:04o})",) if closed else ())


def test_a_node_that_is_gone_is_not_called_closed(roots) -> None:
    assert closed_nodes(Passthrough(device_nodes=(str(roots.dev / "kfd"),))) == ()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604])
def test_node_of_its_owner_only(roots, engine, mode) -> None:
    refusal = groups_for([str(roots.node("kfd", mode=mode))], engine=engine())
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.PERMISSION
    assert 'KERNEL=="kfd", MODE="0660"' in refusal.remedy


def test_missing_node(roots, engine) -> None:
    refusal = groups_for([str(roots.dev / "kfd")], engine=engine())
    assert isinstance(refusal, Failure)
    assert refusal.reason is Reason.NO_DEVICE
    assert refusal.detail.endswith("kfd does not exist")
