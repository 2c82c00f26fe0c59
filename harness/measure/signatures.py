"""What failures look like: texts of llama.cpp, of drivers and of container engines, with the reason behind each.

In order of decisiveness: the first signature that any line matches names the reason. So causes come before their
consequences: `failed to load model` says the least and comes last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.values.failure import Phase, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One text.

    Attributes:
        pattern: searched in each line, whatever its case.
        gpu_only: means nothing in a run on the CPU (an image for a GPU says there that it found none), nor, where it
            is about the start, in a run that had its model loaded.
    """

    pattern: re.Pattern[str]
    reason: Reason
    phase: Phase
    remedy: str
    gpu_only: bool = False


def _texts(reason: Reason, phase: Phase, remedy: str, *patterns: str, gpu_only: bool = False) -> Signature:
    joined = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
    return Signature(pattern=joined, reason=reason, phase=phase, remedy=remedy, gpu_only=gpu_only)


_LESS_DEVICE_MEMORY = (
    "Offload fewer layers (n_gpu_layers), or use a smaller context, micro-batch, KV cache type or model; "
    "see that no other process uses the device."
)
_LESS_HOST_MEMORY = "Raise memory_bytes in the matrix, or use a smaller model, context or batch."
_GIVE_DEVICE = (
    "See that the device works on the host, that the engine hands it to containers, and that the image is for it; "
    "`invoke doctor` tells which part is missing."
)
_NEWER_DRIVER = "Update the driver of the host, or use an image with an older CUDA or ROCm runtime."
_MAY_OPEN = "Give the user of the engine access to the device nodes: the groups that own /dev/kfd and /dev/dri."
_REPORT = "Try another build; if it stays so, report it to llama.cpp with the lines in the record."

LOG_SIGNATURES: tuple[Signature, ...] = (
    _texts(
        Reason.DRIVER_TOO_OLD,
        Phase.LOAD,
        _NEWER_DRIVER,
        r"driver version is insufficient",
        r"forward compatibility was attempted on non supported HW",
        gpu_only=True,
    ),
    _texts(
        Reason.PERMISSION,
        Phase.LOAD,
        _MAY_OPEN,
        r"(?:/dev/(?:kfd|dri|nvidia)\S*).*permission denied",
        r"permission denied.*/dev/(?:kfd|dri|nvidia)",
        gpu_only=True,
    ),
    _texts(
        Reason.NO_DEVICE,
        Phase.LOAD,
        _GIVE_DEVICE,
        r"no (?:CUDA|ROCm)-capable device",
        r"failed to initialize (?:CUDA|ROCm|MUSA):",
        r"ggml_vulkan: No devices found",
        r"Invalid device index \d+ in GGML_VK_VISIBLE_DEVICES",
        r"Could not initialize Tensile host: No devices found",
        r"lib(?:cuda|nvidia-ml)\.so\S*: cannot open shared object file",
        r"error: invalid device:",
        gpu_only=True,
    ),
    _texts(
        Reason.UNSUPPORTED,
        Phase.RUN,
        "Use an image that was built for this GPU's architecture.",
        r"no kernel image is available",
        r"invalid device function",
        r"TensileLibrary.*(?:Illegal seek|Cannot read|No such file)",
        r"Cannot read .*TensileLibrary",
        gpu_only=True,
    ),
    _texts(
        Reason.DEVICE_LOST,
        Phase.RUN,
        "See the kernel's log of the host; a lower power limit or clock, or a newer driver, often helps.",
        r"ErrorDeviceLost|DeviceLostError|device lost on",
        r"Memory access fault by GPU",
        r"fallen off the bus",
        r"Failed to initialize NVML: Unknown Error",
    ),
    _texts(
        Reason.OOM_DEVICE,
        Phase.LOAD,
        _LESS_DEVICE_MEMORY,
        r"cudaMalloc failed: out of memory",
        r"(?:CUDA|ROCm|HIP|MUSA) error:? .*out of memory",
        r"ErrorOutOf(?:Device|Host)Memory",
        r"ggml_vulkan: Device memory allocation of size \d+ failed",
        r"Requested buffer size exceeds device buffer size limit",
        r"unable to allocate (?:CUDA|ROCm|Vulkan|MUSA|SYCL)\d+ buffer",
        r"failed to allocate (?:CUDA|ROCm|Vulkan|MUSA|SYCL)\d+ buffer",
        r"HSA_STATUS_ERROR_OUT_OF_RESOURCES",
    ),
    _texts(
        Reason.OOM_HOST,
        Phase.LOAD,
        _LESS_HOST_MEMORY,
        r"std::bad_alloc",
        r"cannot allocate memory",
        r"insufficient memory",
        r"ggml_backend_cpu_buffer_type_alloc_buffer: failed",
        r"(?:unable|failed) to allocate (?:CPU\S*|\S+_Host) buffer",
        r"failed to allocate buffer of size \d+",
    ),
    _texts(
        Reason.UNSUPPORTED,
        Phase.LOAD,
        "The build does not know this option or value: correct it in the matrix, or use another image.",
        r"error: invalid parameter for argument",
        r"error: invalid (?:device|range)",
    ),
    _texts(
        Reason.UNSUPPORTED,
        Phase.LOAD,
        "Use a newer llama.cpp image that knows this model.",
        r"unknown model architecture",
        r"unknown pre-tokenizer type",
        r"has invalid ggml type|unknown (?:tensor )?type \d+",
    ),
    _texts(
        Reason.CONTEXT,
        Phase.LOAD,
        "Set flash_attn: 1, or choose a type_v that is not quantized.",
        r"quantized V cache.*requires flash",
    ),
    _texts(
        Reason.CONTEXT,
        Phase.LOAD,
        "These parameters do not go together; see the detail.",
        r"cache type \S+ with block size \d+ does not divide",
        r"does not support different K .* V .* cache types",
        r"SPLIT_MODE_TENSOR requires",
    ),
    _texts(
        Reason.IMAGE,
        Phase.LOAD,
        "Use an image that holds llama-bench with its libraries (the `full` ones).",
        r"CPU backend is not loaded",
        r"error while loading shared libraries",
        r"version `?GLIBC\S* not found",
    ),
    _texts(
        Reason.ABORT,
        Phase.RUN,
        _REPORT,
        r"GGML_ASSERT\(",
        r"HSA_STATUS_ERROR_\w+",
        r"ggml-\w+(?:\.\w+)*\.(?:cu|cpp|c|m):\d+:",
        r"\.(?:cu|cpp|c|h|m):\d+: (?:CUDA|ROCm|MUSA) error",
        r"(?:CUDA|ROCm|HIP|MUSA) error\b",
        r"terminate called",
    ),
    _texts(
        Reason.EXIT,
        Phase.RUN,
        _REPORT,
        r"failed to decode (?:prompt|generation) batch",
        r"error: failed to run",
        r"threadpool create failed|failed to parse cpu-mask|failed to set process priority",
    ),
    _texts(
        Reason.LOAD,
        Phase.LOAD,
        "Verify the model file; a newer image may be needed for it.",
        r"failed to open GGUF file",
        r"invalid magic|bad magic",
        r"data is not within the file bounds",
        r"error loading model: (?!error loading model|llama_model_loader: failed to load model)",
        r"gguf_init_from\w+: .*(?:fail|invalid|bad|too|not |must be)",
        r"error loading model",
        r"failed to load model",
    ),
    _texts(
        Reason.CONTEXT,
        Phase.LOAD,
        "Mostly too little memory for this context, or parameters that do not go together; a run with -v tells.",
        r"failed to allocate compute",
        r"failed to allocate buffer for kv cache",
        r"failed to create context",
    ),
)
"""Lines of standard error."""

ENGINE_SIGNATURES: tuple[Signature, ...] = (
    _texts(
        Reason.DRIVER_TOO_OLD,
        Phase.START,
        _NEWER_DRIVER,
        r"nvidia-container-cli: requirement error",
        r"unsatisfied condition: cuda",
    ),
    _texts(
        Reason.NO_DEVICE,
        Phase.START,
        _GIVE_DEVICE,
        r"nvidia-container-cli: (?:initialization|device) error",
        r"driver not loaded|unknown device id",
        r"gathering device information while adding custom device",
        r"stat (?:/dev/|\w+\.com/)\S+: no such file or directory",
    ),
    _texts(
        Reason.DEVICE_REQUEST,
        Phase.START,
        "Install the vendor's container toolkit, or generate its CDI specification, and restart the engine.",
        r"could not select device driver",
        r"unresolvable CDI devices",
        r"CDI device injection failed|inject CDI devices|setting up CDI devices|no CDI specification",
        r"unknown (?:or invalid )?runtime",
        r"unable to find group|looking up supplemental groups",
        r"cannot set both Count and DeviceIDs",
        r"in CDI device request",
    ),
    _texts(
        Reason.PERMISSION,
        Phase.START,
        "Rootless engines need `no-cgroups = true` in the NVIDIA toolkit's configuration, or CDI.",
        r"failed to add device rules|bpf_prog_query",
        r"/dev/\S+.*(?:permission denied|operation not permitted)",
    ),
    _texts(
        Reason.IMAGE,
        Phase.START,
        "Use an image for this machine's architecture that holds llama-bench where `binary_dir` says.",
        r"exec format error",
        r"executable file not found",
        r"exec:? .*(?:no such file or directory|permission denied|is a directory)",
        r"no such image|manifest unknown|image .* not found",
        r"image operating system|does not match the (?:specified|detected host) platform",
    ),
)
"""Words of a container engine that could not create or start a container."""
