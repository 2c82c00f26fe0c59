"""What is known about machine, image, model and engine before anything is planned. Missing is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.values.host import HostState
from harness.values.model_shape import ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRange:
    """The power limit of a card in watts: in force now, and the least and the most that its driver takes."""

    now_w: float
    least_w: float
    most_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device that a backend can compute on.

    Attributes:
        vendor: its name in `harness.machine.vendors.VENDORS`.
        kind: `gpu`, `integrated`, `software` (Mesa's llvmpipe) or `cpu`. Software is never ranked.
        name: as NVML, sysfs or /proc/cpuinfo name it.
        index: among the devices of its vendor.
        pci: address such as `0000:01:00.0`; None for the CPU and software devices.
        memory_bytes: its own memory; None where it shares the host's.
        shared_memory_bytes: how much of the host's memory an integrated GPU may use, the part set aside for it
            included; None for others, and where the driver does not say.
        driver: its version; of a driver that comes with the kernel its name and the kernel's release.
        uuid: as the driver gives it; selects the device and is never stored.
        render_node: `/dev/dri/renderD128`; None where it has none.
        nodes: device nodes that a container needs, in full.
        architecture: `sm_89`, `gfx1100`, ... None where unknown.
        power_limit_w: in force when it was discovered.
        link_generation: newest PCIe generation that card and slot can do together; what is in use falls when idle.
        link_width: lanes in use. Both None for what is on no link of its own.
        problem: why it cannot be used as it is (no permission, no driver); empty where nothing is known against it.
        simulated: described by a fake driver; nothing from it can be published.
    """

    vendor: str
    kind: str
    name: str
    index: int = 0
    pci: str | None = None
    memory_bytes: int | None = None
    shared_memory_bytes: int | None = None
    driver: str | None = None
    uuid: str | None = None
    render_node: str | None = None
    nodes: tuple[str, ...] = ()
    architecture: str | None = None
    power_limit_w: float | None = None
    link_generation: int | None = None
    link_width: int | None = None
    problem: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The machine, without anything that names its owner.

    Attributes:
        machine: file name stem for its records, such as `amd-epyc-2c-1f3a9b`; the last part is an HMAC of the machine
            id with a key that never leaves the machine.
        cpu_cores: physical cores; cpu_threads: logical ones that this process may use.
        memory_bytes: RAM in all; swap_bytes: swap in all.
        governor: scaling governor of the first CPU, None where the kernel shows none.
        virtualization: `kvm`, `wsl2`, `none`, ... None where unknown.
        devices: what backends can compute on, the CPU always among them.
        environment: the allow-listed variables that change results (`GGML_*`, and those of the backends).
        host: its state at the start of the session; None in sessions of before it was recorded.
    """

    machine: str
    os: str
    kernel: str
    cpu_model: str
    cpu_cores: int
    cpu_threads: int
    cpu_flags: tuple[str, ...] = ()
    memory_bytes: int
    swap_bytes: int
    governor: str | None = None
    smt: bool | None = None
    numa_nodes: int | None = None
    microcode: str | None = None
    virtualization: str | None = None
    cgroup_version: int | None = None
    devices: tuple[Device, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    host: HostState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """The container engine: `Docker Engine` or `Podman`, its version, its API, how it isolates.

    Attributes:
        runtimes: OCI runtimes by name. Podman names all that it knows, whether they are installed or not.
        cdi_devices: those that the engine lists (Docker Engine 28.2 and newer).
        cdi_folders: where it looks for CDI specifications; empty where CDI is off, None where it does not say (Docker
            Engine before 25, Podman).
        components: versions of what it is made of (containerd, runc, conmon, ...), by name.
        default_runtime: what containers are started with.
    """

    name: str
    version: str
    api_version: str
    host: str
    storage_driver: str | None = None
    cgroup_version: str | None = None
    cgroup_driver: str | None = None
    runtimes: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    rootless: bool = False
    cdi_devices: tuple[str, ...] = ()
    cdi_folders: tuple[str, ...] | None = None
    memory_limit: bool = True
    pids_limit: bool = True
    components: Mapping[str, str] = field(default_factory=dict)
    default_runtime: str | None = None


def build_words(number: int | None, commit: str | None) -> str | None:
    """A build of llama.cpp as it is written: `b11312 (0c1e57098)`; None where not both are known."""
    return None if number is None or commit is None else f"b{number} ({commit})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image that is present in the engine.

    Attributes:
        name: its key in the matrix.
        ref: what the matrix asked for: a reference, or `images/cpu.Dockerfile` for a built one.
        id: the engine's content id, `sha256:...`: what containers are started from.
        digest: repository digest where it was pulled; None for one that was built here.
        moving: it was asked for by a tag that can mean another image tomorrow; digest and id are what it meant.
        build_number, build_commit: as its llama-bench prints them; None where it has no `--version`.
        flags: the options that its `llama-bench --help` lists, with their value hints: the argv depends on them.
        programs: options of further programs in it that the plan needs, by the program's name, spelled as in `flags`.
        program_builds: what they say their build is, as `build_words` writes it; without those that do not say it.
        recipe_sha256: of everything that a built image was made from (Dockerfiles, source hash, build arguments).
        base: what a built image stands on.
        gpu_architectures: what a built image was compiled for where the matrix says it, such as `sm_89`.
        binaries: SHA-256 of llama.cpp's programs and libraries in it, by path; empty where they could not be read.
        unknown: why fields have no value, by their name.
        simulated: made for tests; nothing from it can be published.
    """

    name: str
    ref: str
    id: str
    digest: str | None = None
    moving: bool = False
    created: str | None = None
    architecture: str | None = None
    size_bytes: int | None = None
    build_number: int | None = None
    build_commit: str | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    program_builds: Mapping[str, str] = field(default_factory=dict)
    recipe_sha256: str | None = None
    base: str | None = None
    binary_dir: str = "/app"
    gpu_architectures: tuple[str, ...] = ()
    binaries: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model file that was verified.

    Attributes:
        name: its key in the matrix.
        path: where it lies on the host.
        sha256: of the whole file.
        tensors_sha256: of tensor names, types, shapes and data: equal for files that differ in metadata only.
        synthetic: seeded noise instead of trained weights: never ranked with real models.
        n_params: parameters, as the sum of tensor elements.
        n_layers: number of transformer blocks; None where the header does not say.
        context_length: tokens the model was trained for; None where the header does not say.
        file_type: quantization as the header names it.
        weights_multiplied: elements of the weights that a token is multiplied with, of experts those that it uses;
            output_weights: those of them that belong to the output matrix, which a prompt needs for its last token
            only. None where the header does not say, and in sessions of before they were noted: so with the next two.
        cache_k, cache_v: values that one token leaves in the KV cache, in all layers that have one.
        attention_window: tokens beyond which some layers look at nothing; None where all look at everything.
        bytes_per_token: of weights that generating one token reads; None where the header does not say how many
            experts a token uses, and in records made before it was noted.
        simulated: no model, but what stands in for one in a test; nothing from it can be published.
        shape: what decides how much memory it takes; None in records made before it was noted, and where the header
            does not tell.
    """

    name: str
    title: str
    source: str
    path: Path
    sha256: str
    size_bytes: int
    synthetic: bool
    tensors_sha256: str | None = None
    architecture: str | None = None
    file_type: str | None = None
    bytes_per_token: int | None = None
    weights_multiplied: int | None = None
    output_weights: int | None = None
    cache_k: int | None = None
    cache_v: int | None = None
    attention_window: int | None = None
    n_params: int | None = None
    n_layers: int | None = None
    context_length: int | None = None
    licence: str = ""
    simulated: bool = False
    shape: ModelShape | None = None
