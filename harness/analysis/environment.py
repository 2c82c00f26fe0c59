"""Why may two machines, or one machine on two days, differ? Facts of two sessions field by field, the weightiest first.

The order is a judgement: first what is computed and on what, then what sets clocks and bandwidth, then what the
operating system does besides, last what only tells how it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from harness.store.sessions import Session
from harness.values.facts import Device
from harness.values.host import HostState

WEIGHTS = ("what runs", "device", "clocks and memory", "system", "engine", "how it was asked")
"""Kinds of fields, the weightiest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that is not the same.

    Attributes:
        weight: one of `WEIGHTS`.
        first, second: as text; `unknown` with the reason where it is not known.
        known: whether it is known on both sides; else it may or may not differ.
        why: what it can do to a rate; empty where that is plain.
    """

    weight: str
    field: str
    first: str
    second: str
    known: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Field:
    weight: str
    name: str
    get: Callable[[Session], object]
    why: str = ""


def _facts(name: str) -> Callable[[Session], object]:
    return lambda session: getattr(session.machine, name)


def _host(name: str) -> Callable[[Session], object]:
    def get(session: Session) -> object:
        host = session.machine.host
        if host is None:
            return _Unknown("it was not recorded then")
        value = getattr(host, name)
        return _Unknown(host.unknown.get(name, "")) if value is None or name in host.unknown else value

    return get


@dataclass(frozen=True, slots=True)
class _Unknown:
    reason: str

    def __str__(self) -> str:
        return f"unknown ({self.reason})" if self.reason else "unknown"


_OF_HOST = {
    "memory_mts": ("clocks and memory", "text generation is bound by memory bandwidth"),
    "memory_modules": ("clocks and memory", "fewer modules, fewer channels"),
    "memory_type": ("clocks and memory", ""),
    "l3_cache_bytes": ("clocks and memory", "small models live in it"),
    "boost": ("clocks and memory", "clocks above the base clock"),
    "cpu_max_mhz": ("clocks and memory", ""),
    "cpu_min_mhz": ("clocks and memory", ""),
    "energy_preference": ("clocks and memory", "how fast and how far clocks rise"),
    "scaling_driver": ("clocks and memory", ""),
    "cpu_power_limit_w": ("clocks and memory", "bounds clocks under load"),
    "platform_profile": ("clocks and memory", "moves power limits"),
    "on_mains": ("clocks and memory", "a battery lowers power limits"),
    "firmware": ("clocks and memory", "microcode, memory timings and power limits come with it"),
    "firmware_date": ("clocks and memory", ""),
    "board": ("clocks and memory", ""),
    "mitigations": ("system", "system calls and page faults cost more with them"),
    "kernel_command_line": ("system", ""),
    "kernel_build": ("system", ""),
    "transparent_hugepages": ("system", "page table misses while weights are read"),
    "hugepages": ("system", "memory that is set aside"),
    "hugepage_bytes": ("system", ""),
    "numa_balancing": ("system", "pages move between nodes during a run"),
    "isolated_cpus": ("system", ""),
    "clock_source": ("system", "a slow clock source makes taking the time slow"),
    "swappiness": ("system", ""),
    "aslr": ("system", "addresses differ from run to run"),
    "up_s": ("system", "memory is more fragmented the longer it runs"),
}

_FIELDS = (
    _Field("device", "processor", _facts("cpu_model")),
    _Field("device", "physical cores", _facts("cpu_cores")),
    _Field("device", "usable threads", _facts("cpu_threads")),
    _Field("device", "CPU flags", _facts("cpu_flags"), "which kernels llama.cpp chooses"),
    _Field("clocks and memory", "memory_bytes", _facts("memory_bytes")),
    _Field("clocks and memory", "governor", _facts("governor"), "which clocks are chosen"),
    _Field("clocks and memory", "SMT", _facts("smt"), "two threads share a core"),
    _Field("clocks and memory", "NUMA nodes", _facts("numa_nodes"), "memory of another node is slower"),
    *(_Field(weight, name, _host(name), why) for name, (weight, why) in _OF_HOST.items()),
    _Field("system", "virtualization", _facts("virtualization"), "a host above decides on clocks and time"),
    _Field("system", "microcode", _facts("microcode")),
    _Field("system", "kernel", _facts("kernel")),
    _Field("system", "operating system", _facts("os")),
    _Field("system", "swap_bytes", _facts("swap_bytes")),
    _Field("engine", "engine", lambda s: f"{s.engine.name} {s.engine.version}"),
    _Field("engine", "rootless", lambda s: s.engine.rootless),
    _Field("engine", "cgroup version", lambda s: s.engine.cgroup_version),
    _Field(
        "engine", "storage driver", lambda s: s.engine.storage_driver, "where the model is not mounted from the host"
    ),
    _Field("engine", "default runtime", lambda s: s.engine.default_runtime),
    _Field("engine", "security options", lambda s: s.engine.security_options),
    _Field("how it was asked", "rounds", lambda s: s.rounds),
    _Field("how it was asked", "repetitions", lambda s: s.repetitions),
    _Field("how it was asked", "seed", lambda s: s.seed, "the order of the runs"),
    _Field("how it was asked", "matrix file (SHA-256)", lambda s: s.matrix_sha256),
    _Field("how it was asked", "harness", lambda s: f"{s.harness_version} ({s.harness_source or 'no git'})"),
    _Field("how it was asked", "Python", lambda s: s.harness_python),
    _Field("how it was asked", "packages (SHA-256 of the lock)", lambda s: s.harness_lock_sha256),
)


def environment_differences(first: Session, second: Session) -> tuple[Difference, ...]:
    """Every field in which two sessions differ or may differ, the weightiest first."""
    found: list[Difference] = []
    found += _named("image", _images(first), _images(second), weight="what runs")
    found += _named("model", _models(first), _models(second), weight="what runs")
    found += _named("device", _devices(first), _devices(second), weight="device")
    found += [d for field in _FIELDS if (d := _difference(field, first, second))]
    found += _named(
        "component", dict(first.engine.components), dict(second.engine.components), weight="engine", absent="unknown"
    )
    variables = (dict(first.machine.environment), dict(second.machine.environment))
    found += _named("variable", *variables, weight="what runs", absent="not set")
    found += _named("threads of", _threads(first), _threads(second), weight="what runs", absent=None)
    return tuple(sorted(found, key=lambda d: (not d.known, WEIGHTS.index(d.weight))))


def _difference(field: _Field, first: Session, second: Session) -> Difference | None:
    a, b = field.get(first), field.get(second)
    unknown = any(value is None or isinstance(value, _Unknown) for value in (a, b))
    if a == b or (a is None and b is None) or (isinstance(a, _Unknown) and isinstance(b, _Unknown)):
        return None
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        changed = sorted(name for name in {**a, **b} if a.get(name) != b.get(name))
        a, b = ({name: side.get(name, "absent") for name in changed} for side in (a, b))
    elif isinstance(a, tuple) and isinstance(b, tuple):
        a, b = (tuple(x for x in a if x not in b), tuple(x for x in b if x not in a))
    return Difference(
        weight=field.weight, field=field.name, first=_text(a), second=_text(b), known=not unknown, why=field.why
    )


def _named(
    what: str, first: Mapping[str, str], second: Mapping[str, str], *, weight: str, absent: str | None = "not there"
) -> list[Difference]:
    """Things by name. With `absent` None those that only one side has are left out."""
    found = []
    for name in dict.fromkeys([*first, *second]):
        if absent is None and (name not in first or name not in second):
            continue
        a, b = first.get(name, absent or ""), second.get(name, absent or "")
        if a != b:
            known = "unknown" not in {a, b}
            found.append(Difference(weight=weight, field=f"{what} {name}", first=a, second=b, known=known))
    return found


def _images(session: Session) -> dict[str, str]:
    return {
        image.name: f"b{image.build_number} ({image.build_commit}), {image.id[:19]}, {image.digest or image.ref}"
        for image in session.images
    }


def _models(session: Session) -> dict[str, str]:
    return {model.name: f"{model.title}, SHA-256 {model.sha256[:12]}" for model in session.models}


def _devices(session: Session) -> dict[str, str]:
    return {_device_name(device): _device_text(device) for device in session.machine.devices if device.kind != "cpu"}


def _device_name(device: Device) -> str:
    return f"{device.index} {device.name}"


def _device_text(device: Device) -> str:
    words = [f"driver {device.driver or 'unknown'}"]
    words += [
        f"{field.name} {value}"
        for field in fields(Device)
        if field.name not in {"vendor", "kind", "name", "index", "driver", "uuid", "pci", "render_node", "nodes"}
        and (value := getattr(device, field.name)) not in {None, "", False}
    ]
    return ", ".join(words)


def _threads(session: Session) -> dict[str, str]:
    return {cell.id: str(cell.params.get("n_threads")) for cell in session.cells}


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {text}" for name, text in value.items()) or "none"
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value) or "none"
    return str(value) or "none"


def host_fields() -> frozenset[str]:
    """The fields of the host's state that are compared; a test holds them against `HostState`."""
    return frozenset(_OF_HOST) & {field.name for field in fields(HostState)}
