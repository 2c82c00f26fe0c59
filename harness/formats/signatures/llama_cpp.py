"""What llama.cpp itself says, whatever the backend."""

from __future__ import annotations

from harness.formats.signatures.signature import GIVE_DEVICE, LESS_DEVICE_MEMORY, REPORT, Rank, Signature, texts
from harness.values.failure import Phase, Reason

_LESS_HOST_MEMORY = "Raise memory_bytes in the matrix, or use a smaller model, context or batch."

LOG: tuple[Signature, ...] = (
    texts(Rank.DEVICE, Reason.NO_DEVICE, Phase.LOAD, GIVE_DEVICE, r"error: invalid device:", gpu_only=True),
    texts(
        Rank.DEVICE_MEMORY,
        Reason.OOM_DEVICE,
        Phase.LOAD,
        LESS_DEVICE_MEMORY,
        r"(?:unable|failed) to allocate [A-Z][A-Za-z]+\d+ buffer",
    ),
    texts(
        Rank.HOST_MEMORY,
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
    texts(
        Rank.OPTION,
        Reason.UNSUPPORTED,
        Phase.LOAD,
        "The build does not know this option or value: correct it in the matrix, or use another image.",
        r"error: invalid parameter for argument",
        r"error: invalid (?:device|range)",
    ),
    texts(
        Rank.MODEL,
        Reason.UNSUPPORTED,
        Phase.LOAD,
        "Use a newer llama.cpp image that knows this model.",
        r"unknown model architecture",
        r"unknown pre-tokenizer type",
        r"has invalid ggml type|unknown (?:tensor )?type \d+",
    ),
    texts(
        Rank.COMBINATION,
        Reason.CONTEXT,
        Phase.LOAD,
        "Set flash_attn: 1, or choose a type_v that is not quantized.",
        r"quantized V cache.*requires flash",
    ),
    texts(
        Rank.COMBINATION,
        Reason.CONTEXT,
        Phase.LOAD,
        "These parameters do not go together; see the detail.",
        r"cache type \S+ with block size \d+ does not divide",
        r"does not support different K .* V .* cache types",
        r"SPLIT_MODE_TENSOR requires",
    ),
    texts(
        Rank.IMAGE,
        Reason.IMAGE,
        Phase.LOAD,
        "Use an image that holds llama-bench with its libraries (the `full` ones).",
        r"CPU backend is not loaded",
        r"error while loading shared libraries",
        r"version `?GLIBC\S* not found",
    ),
    texts(
        Rank.ABORT,
        Reason.ABORT,
        Phase.RUN,
        REPORT,
        r"GGML_ASSERT\(",
        r"ggml-\w+(?:\.\w+)*\.(?:cu|cpp|c|m):\d+:",
        r"terminate called",
    ),
    texts(
        Rank.EXIT,
        Reason.EXIT,
        Phase.RUN,
        REPORT,
        r"failed to decode (?:prompt|generation) batch",
        r"error: failed to run",
        r"threadpool create failed|failed to parse cpu-mask|failed to set process priority",
    ),
    texts(
        Rank.LOAD,
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
    texts(
        Rank.CONTEXT,
        Reason.CONTEXT,
        Phase.LOAD,
        "Mostly too little memory for this context, or parameters that do not go together; a run with -v tells.",
        r"failed to allocate compute",
        r"failed to allocate buffer for kv cache",
        r"failed to create context",
    ),
)
