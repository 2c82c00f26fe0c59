"""Every text of engines, drivers and llama.cpp that tells why a GPU was not there: its reason and its own remedy.

The texts are those that projects' issues quote and, where `measured` stands, those that engines here gave: Docker
20.10.24, Docker 28.5 and Podman 4.3.1 on a machine without a GPU.
"""

import itertools

import pytest

from harness.formats.signatures import ENGINE_SIGNATURES, LOG_SIGNATURES
from harness.measure.diagnosis import diagnose, explained
from harness.values.container import ContainerExit
from harness.values.failure import RETRIED_ON_RESUME, Failure, Phase, Reason
from harness.values.record import Outcome

RUNC = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: error running prestart hook #0: exit status 1, "
    "stdout: , stderr: Auto-detected mode as 'legacy'\n"
)
SHIM = (
    "failed to create shim task: OCI runtime create failed: could not apply required modification to OCI "
    "specification: error modifying OCI spec: failed to inject CDI devices: "
)

# Text, reason, a part of the remedy that no other cause has.
ENGINE = [
    # measured on Docker 20.10.24
    ('could not select device driver "" with capabilities: [[gpu]]', Reason.NO_RUNTIME, "nvidia-ctk runtime configure"),
    (
        'could not select device driver "nvidia" with capabilities: [[gpu compute utility]]',
        Reason.NO_RUNTIME,
        "nvidia-ctk runtime configure",
    ),
    (
        'could not select device driver "nvidia" with capabilities: []',
        Reason.NO_RUNTIME,
        "nvidia-ctk runtime configure",
    ),
    ('could not select device driver "cdi" with capabilities: []', Reason.CDI_OFF, '{"cdi": true}'),
    ('could not select device driver "amd" with capabilities: [[gpu]]', Reason.NO_RUNTIME, "by its nodes"),
    ("Unknown runtime specified nvidia", Reason.NO_RUNTIME, "nvidia-ctk runtime configure"),
    (
        'error gathering device information while adding custom device "/dev/kfd": no such file or directory',
        Reason.DEVICE_NODE,
        "modprobe amdgpu",
    ),
    (
        'error gathering device information while adding custom device "/dev/dri/card0": no such file or directory',
        Reason.DEVICE_NODE,
        "ls -l /dev/dri",
    ),
    (
        'error gathering device information while adding custom device "nvidia.com/gpu=0": no such file or directory',
        Reason.DEVICE_REQUEST,
        "CDI name for a path",
    ),
    ("Unable to find group render: no matching entries in group file", Reason.GROUP, "by number"),
    # measured on Podman 4.3.1
    (
        "container create: stat nvidia.com/gpu=0: no such file or directory",
        Reason.DEVICE_REQUEST,
        "CDI name for a path",
    ),
    ("container create: stat /dev/kfd: no such file or directory", Reason.DEVICE_NODE, "modprobe amdgpu"),
    (
        "looking up supplemental groups for container 7: Unable to find group render: no matching entries",
        Reason.GROUP,
        "by number",
    ),
    # of other machines
    ("unknown or invalid runtime name: nvidia", Reason.NO_RUNTIME, "nvidia-ctk runtime configure"),
    ("unknown or invalid runtime name: sysbox", Reason.NO_RUNTIME, "does not know this runtime"),
    (
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0",
        Reason.CDI_DEVICE,
        "cdi generate",
    ),
    ("CDI device injection failed: unresolvable CDI devices amd.com/gpu=0", Reason.CDI_DEVICE, "amd-ctk"),
    ("CDI device injection failed: unresolvable CDI devices example.com/x=0", Reason.CDI_DEVICE, "/etc/cdi"),
    ("CDI device injection failed: no CDI specification directories specified", Reason.CDI_OFF, '{"cdi": true}'),
    (
        SHIM + "unresolvable CDI devices nvidia.com/gpu=all: unknown",
        Reason.CDI_DEVICE,
        "runtime is in CDI mode",
    ),
    ("Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all", Reason.CDI_DEVICE, "cdi generate"),
    (
        'error mounting "/usr/lib/libcuda.so.550.54" to rootfs: /usr/lib/libcuda.so.550.54: no such file or directory',
        Reason.CDI_DEVICE,
        "another version of the driver",
    ),
    (
        RUNC + "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared "
        "object file: no such file or directory: unknown",
        Reason.NO_DEVICE,
        "install NVIDIA's driver",
    ),
    (
        RUNC + "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
        Reason.NO_DEVICE,
        "modprobe nvidia",
    ),
    (
        RUNC + "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
        Reason.NO_DEVICE,
        "restart the machine",
    ),
    (
        RUNC + "nvidia-container-cli: initialization error: driver rpc error: timed out: unknown",
        Reason.NO_DEVICE,
        "nvidia-persistenced",
    ),
    (RUNC + "nvidia-container-cli: device error: 7: unknown device: unknown", Reason.NO_DEVICE, "nvidia-smi -L"),
    (RUNC + "nvidia-container-cli: device error: unknown device id: 7: unknown", Reason.NO_DEVICE, "nvidia-smi -L"),
    (
        RUNC
        + "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver to "
        "a newer version, or use an earlier cuda container: unknown",
        Reason.DRIVER_TOO_OLD,
        "older than the CUDA of the image",
    ),
    (
        RUNC
        + "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters "
        "attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted: unknown",
        Reason.PERMISSION,
        "no-cgroups = true",
    ),
    ("cannot set both Count and DeviceIDs on device request", Reason.DEVICE_REQUEST, "report it"),
    ("unexpected count in CDI device request", Reason.DEVICE_REQUEST, "report it"),
    ("unexpected options in CDI device request", Reason.DEVICE_REQUEST, "report it"),
]

LOG = [
    (
        "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        Reason.NO_DEVICE,
        "CUDA_VISIBLE_DEVICES",
    ),
    (
        "ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA runtime version",
        Reason.DRIVER_TOO_OLD,
        "older than the CUDA of the image",
    ),
    (
        "ggml_cuda_init: failed to initialize CUDA: forward compatibility was attempted on non supported HW",
        Reason.DRIVER_TOO_OLD,
        "only data-center cards allow",
    ),
    ("ggml_cuda_init: failed to initialize CUDA: unknown error", Reason.NO_DEVICE, "which part is missing"),
    ("Failed to initialize NVML: Driver/library version mismatch", Reason.NO_DEVICE, "restart the machine"),
    (
        "ggml_cuda_init: failed to initialize ROCm: no ROCm-capable device is detected",
        Reason.NO_DEVICE,
        "HIP_VISIBLE_DEVICES",
    ),
    ("Unable to open /dev/kfd read-write: Permission denied", Reason.PERMISSION, "group that owns /dev/kfd"),
    ("rocBLAS error: Could not initialize Tensile host: No devices found", Reason.NO_DEVICE, "rocBLAS finds no card"),
    (
        "rocBLAS error: Cannot read /opt/rocm/lib/TensileLibrary.dat: Illegal seek for GPU arch : gfx1103",
        Reason.UNSUPPORTED,
        "HSA_OVERRIDE_GFX_VERSION",
    ),
    ("HIP error: invalid device function", Reason.UNSUPPORTED, "gfx target"),
    ("CUDA error: no kernel image is available for execution on the device", Reason.UNSUPPORTED, "Blackwell"),
    ("ggml_vulkan: No devices found.", Reason.NO_DEVICE, "`graphics` capability"),
    ("ggml_vulkan: Invalid device index 7 in GGML_VK_VISIBLE_DEVICES.", Reason.NO_DEVICE, "counts all Vulkan devices"),
    (
        "MESA: error: failed to open /dev/dri/renderD128: Permission denied",
        Reason.PERMISSION,
        "rootless engine cannot pass",
    ),
    (
        "llama-bench: error while loading shared libraries: libcuda.so.1: cannot open shared object file",
        Reason.NO_DEVICE,
        "did not hand the card over",
    ),
]


def refused(text: str) -> ContainerExit:
    return ContainerExit(exit_code=None, started_ns=0, ended_ns=1, error=text, error_phase="start")


@pytest.mark.parametrize(("text", "reason", "remedy"), ENGINE, ids=lambda value: str(value)[-60:])
@pytest.mark.parametrize("quoted", [False, True])
def test_what_engines_say(text: str, reason: Reason, remedy: str, quoted: bool) -> None:
    # Some answers hold the text as JSON within JSON.
    text = text.replace('"', '\\"') if quoted else text
    failure = diagnose(refused(text), backend="cuda")
    assert (failure.phase, failure.reason) == (Phase.START, reason)
    assert remedy in failure.remedy
    assert failure.reason in RETRIED_ON_RESUME


@pytest.mark.parametrize(("text", "reason", "remedy"), LOG, ids=lambda value: str(value)[-60:])
def test_what_llama_bench_says(ended, text: str, reason: Reason, remedy: str) -> None:
    lines = ["load_backend: loaded CPU backend", text, "error: failed to load model 'x'"]
    failure = diagnose(ended((), lines, 1), backend="cuda")
    assert failure.reason is reason
    assert remedy in failure.remedy
    assert failure.detail == text


def test_in_the_middle_of_a_run_a_card_can_be_lost(ended) -> None:
    failure = diagnose(ended((), ["Failed to initialize NVML: Unknown Error"], 1), backend="cuda")
    assert failure.reason is Reason.DEVICE_LOST
    assert "daemon-reload" in failure.remedy


def test_each_cause_has_a_remedy_of_its_own() -> None:
    for group in (ENGINE, LOG):
        by_part: dict[str, str] = {}
        signatures = ENGINE_SIGNATURES if group is ENGINE else LOG_SIGNATURES
        for text, _, part in group:
            found = next(s.remedy for s in signatures if s.pattern.search(text))
            assert by_part.setdefault(part, found) == found
        for (one, remedy), (other, other_remedy) in itertools.combinations(by_part.items(), 2):
            assert remedy != other_remedy, (one, other)


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: radv is not a conformant Vulkan implementation, testing use only.",
        "ggml_vulkan: Found 1 Vulkan devices:",
        "ggml_cuda_init: found 1 CUDA devices (Total VRAM: 24122 MiB):",
        "load_backend: loaded ROCm backend from /app/libggml-hip.so",
    ],
)
def test_harmless_lines_tell_nothing(line: str) -> None:
    assert not [signature for signature in LOG_SIGNATURES if signature.pattern.search(line)]


def fallen_back(reason: Reason = Reason.CPU_FALLBACK) -> Outcome:
    failure = Failure(phase=Phase.PROOF, reason=reason, detail="gpu_info is empty", remedy="See to it.")
    return Outcome(cell="cuda/m/tg1", failure=failure)


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [row for row in LOG if row[1] in {Reason.NO_DEVICE, Reason.DRIVER_TOO_OLD, Reason.PERMISSION}],
    ids=lambda value: str(value)[-60:],
)
def test_a_silent_fallback_is_explained_by_what_the_log_says(ended, text: str, reason: Reason, remedy: str) -> None:
    # llama.cpp goes on without the device and exits with 0.
    failure = explained(fallen_back(), ended((), ["something", text], 0)).failure
    assert failure is not None
    assert (failure.phase, failure.reason) == (Phase.PROOF, reason)
    assert text in failure.detail
    assert "gpu_info is empty" in failure.detail
    assert remedy in failure.remedy


def test_a_silent_fallback_without_a_word_stays_what_it_is(ended) -> None:
    assert explained(fallen_back(), ended((), ["llama_model_load: failed to load model"], 0)) == fallen_back()


def test_other_failures_and_numbers_are_not_explained_away(ended) -> None:
    told = ended((), ["ggml_vulkan: No devices found."], 0)
    for outcome in (fallen_back(Reason.WRONG_PARAMETERS), Outcome(cell="x", samples_ns=(1,))):
        assert explained(outcome, told) == outcome
