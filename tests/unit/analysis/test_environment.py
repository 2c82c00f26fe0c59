from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from harness.analysis.environment import WEIGHTS, environment_differences, host_fields
from harness.store.sessions import Session
from harness.values.facts import Device
from harness.values.host import HostState

Make = Callable[..., Any]
GPU = Device(vendor="nvidia", kind="gpu", name="RTX 4090", driver="550.1", power_limit_w=450.0, uuid="GPU-1")


def session(make_session: Make, make_cell: Make, **machine: Any) -> Session:
    made: Session = make_session([make_cell()])
    host = HostState(boost=True, memory_mts=5600, up_s=10)
    return replace(made, machine=replace(made.machine, host=host, devices=(GPU,), **machine))


def test_a_session_does_not_differ_from_itself(make_session: Make, make_cell: Make) -> None:
    one = session(make_session, make_cell)
    assert environment_differences(one, one) == ()


def test_the_weightiest_comes_first_and_what_is_unknown_last(make_session: Make, make_cell: Make) -> None:
    one = session(make_session, make_cell, governor="performance")
    host = one.machine.host
    assert host is not None
    other = replace(
        one,
        rounds=10,
        images=(replace(one.images[0], id="sha256:" + "e" * 64),),
        machine=replace(
            one.machine,
            kernel="6.14",
            governor="powersave",
            devices=(replace(GPU, driver="570.2"),),
            host=replace(host, boost=None, unknown={"boost": "the kernel does not show it"}, memory_mts=4800),
        ),
    )
    found = environment_differences(one, other)
    assert [d.field for d in found if d.known] == [
        "image cpu",
        "device 0 RTX 4090",
        "governor",
        "memory_mts",
        "kernel",
        "rounds",
    ]
    (unknown,) = [d for d in found if not d.known]
    assert (unknown.field, unknown.first, unknown.second) == ("boost", "on", "unknown (the kernel does not show it)")
    assert found[-1] == unknown
    assert [WEIGHTS.index(d.weight) for d in found if d.known] == sorted(
        WEIGHTS.index(d.weight) for d in found if d.known
    )


def test_of_long_lists_only_what_differs_is_told(make_session: Make, make_cell: Make) -> None:
    one = session(make_session, make_cell, cpu_flags=("avx2", "fpu", "sse"))
    host = one.machine.host
    assert host is not None
    one = replace(one, machine=replace(one.machine, host=replace(host, mitigations={"a": "x", "b": "y"})))
    other = replace(
        one,
        machine=replace(
            one.machine,
            cpu_flags=("avx2", "avx512f", "fpu"),
            host=replace(host, mitigations={"a": "x", "b": "Vulnerable"}),
        ),
    )
    found = {d.field: (d.first, d.second) for d in environment_differences(one, other)}
    assert found == {"CPU flags": ("sse", "avx512f"), "mitigations": ("b: y", "b: Vulnerable")}


def test_an_old_session_without_the_hosts_state_may_differ(make_session: Make, make_cell: Make) -> None:
    one = session(make_session, make_cell)
    old = replace(one, machine=replace(one.machine, host=None))
    found = environment_differences(one, old)
    assert found
    assert {d.known for d in found} == {False}
    assert {d.second for d in found} == {"unknown (it was not recorded then)"}


def test_every_field_of_the_hosts_state_is_compared() -> None:
    assert host_fields() == {field.name for field in fields(HostState)} - {"unknown"}


def test_no_uuid_is_shown(make_session: Make, make_cell: Make) -> None:
    one = session(make_session, make_cell)
    other = replace(one, machine=replace(one.machine, devices=(replace(GPU, uuid="GPU-2", driver="1"),)))
    (found,) = environment_differences(one, other)
    assert "GPU-" not in found.first + found.second
