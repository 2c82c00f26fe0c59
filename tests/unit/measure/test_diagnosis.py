import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.matrix.schema import MATRIX_SCHEMA
from harness.measure.diagnosis import DETAIL_CHARS, DIAGNOSIS_BYTES, cleaned, diagnose, relevant_stderr
from harness.values.container import ContainerExit, Line
from harness.values.failure import Phase, Reason

ROOT = Path(__file__).resolve().parents[3]
REAL = Path(os.environ.get("LLAMA_BENCH_REAL_OUTPUTS", ROOT.parent / "shared" / "reference" / "real-outputs"))


@pytest.mark.parametrize(
    ("name", "backend", "cause", "detail"),
    [
        ("cpu-b11312/missing-model-v", "cpu", (Phase.LOAD, Reason.LOAD), "failed to open GGUF file"),
        ("cpu-b11312/missing-model", "cpu", (Phase.LOAD, Reason.LOAD), "failed to load model"),
        ("cpu-b11312/corrupt-model-v", "cpu", (Phase.LOAD, Reason.LOAD), "number of tensors is -1"),
        ("cpu-b11312/truncated-model-v", "cpu", (Phase.LOAD, Reason.LOAD), "not within the file bounds"),
        ("cpu-b11312/bad-flag", "cpu", (Phase.LOAD, Reason.UNSUPPORTED), "-mmp"),
        ("cpu-b11312/wrong-device", "cpu", (Phase.LOAD, Reason.UNSUPPORTED), "invalid"),
        ("cpu-b11312/wrong-device", "cuda", (Phase.LOAD, Reason.NO_DEVICE), "invalid device: CUDA0"),
        ("cpu-b11312/quantized-v-without-fa", "cpu", (Phase.LOAD, Reason.CONTEXT), "failed to create context"),
        ("cpu-b11312/quantized-v-without-fa-v", "cpu", (Phase.LOAD, Reason.CONTEXT), "quantized V cache requires"),
        ("cpu-b11312/huge-context-v", "cpu", (Phase.RUN, Reason.OOM_HOST), "memory limit"),
        ("cpu-b11312/oom-killed", "cpu", (Phase.LOAD, Reason.OOM_HOST), "memory limit"),
        ("cpu-b11312/one-good-then-fails", "cpu", (Phase.LOAD, Reason.CONTEXT), "failed to create context"),
        ("vulkan-b11312/no-device-asked", "vulkan", (Phase.LOAD, Reason.NO_DEVICE), "No devices found"),
        ("vulkan-b11312/invalid-visible-device", "vulkan", (Phase.LOAD, Reason.NO_DEVICE), "Invalid device index 7"),
        ("vulkan-b11312/software-oom-v", "vulkan", (Phase.RUN, Reason.OOM_HOST), "memory limit"),
    ],
)
def test_captured_failures(captured, name, backend, cause, detail):
    failure = diagnose(captured(name), backend=backend)
    assert (failure.phase, failure.reason) == cause
    assert detail in failure.detail
    assert failure.remedy


@pytest.mark.parametrize(
    ("name", "code", "backend", "reason"),
    [
        ("07-vulkan-oom-hostmemory-failed-to-load-model.log", 1, "vulkan", Reason.OOM_DEVICE),
        ("08-rocm-hsa-exception-abort.log", 134, "rocm", Reason.ABORT),
        ("09-exit137.log", 137, "rocm", Reason.OOM_HOST),
        ("15-cuda-context-oom-exit1-RTX5060Ti.txt", 1, "cuda", Reason.CONTEXT),
        ("17-cuda-load-oom-verbose-GH20431.txt", 1, "cuda", Reason.OOM_DEVICE),
        ("18-vulkan-compute-buffer-oom-GH18160.txt", 139, "vulkan", Reason.OOM_DEVICE),
        ("19-vulkan-device-oom-GH29270.txt", 1, "vulkan", Reason.OOM_DEVICE),
        ("21-rocm-no-device-GH20142.txt", 1, "rocm", Reason.NO_DEVICE),
        ("local-cpu-0c1e5709/kvq-fa0-v.stderr", 1, "cpu", Reason.CONTEXT),
        ("local-cpu-0c1e5709/missing-model-v.stderr", 1, "cpu", Reason.LOAD),
        ("local-cpu-0c1e5709/bad-range.stderr", 1, "cpu", Reason.UNSUPPORTED),
    ],
)
def test_failures_of_other_machines(ended, name, code, backend, reason):
    if not (REAL / name).exists():
        pytest.skip("the collection of real outputs is not here")
    lines = (REAL / name).read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    assert diagnose(ended((), lines, code), backend=backend).reason is reason


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected", 1, Reason.NO_DEVICE),
        (
            "ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA runtime version",
            1,
            Reason.DRIVER_TOO_OLD,
        ),
        ("Unable to open /dev/kfd read-write: Permission denied", 1, Reason.PERMISSION),
        ("CUDA error: out of memory", 134, Reason.OOM_DEVICE),
        ("/src/ggml/src/ggml-cuda/ggml-cuda.cu:89: CUDA error", 134, Reason.ABORT),
        ("CUDA error: no kernel image is available for execution on the device", 134, Reason.UNSUPPORTED),
        ("terminate called after throwing an instance of 'vk::DeviceLostError'", 134, Reason.DEVICE_LOST),
        ("terminate called after throwing an instance of 'std::bad_alloc'", 134, Reason.OOM_HOST),
        ("terminate called after throwing an instance of 'std::runtime_error'", 134, Reason.ABORT),
        ("/src/ggml/src/ggml.c:1: GGML_ASSERT(a == b) failed", 134, Reason.ABORT),
        ("Memory access fault by GPU node-1 on address 0x7f. Reason: Unknown.", 134, Reason.DEVICE_LOST),
        ("llama_model_load: error loading model: unknown model architecture: 'new'", 1, Reason.UNSUPPORTED),
        ("llama-bench: error while loading shared libraries: libgomp.so.1: cannot open", 127, Reason.IMAGE),
        ("llama-bench: error while loading shared libraries: libcuda.so.1: cannot open shared object file", 127,
         Reason.NO_DEVICE),
        ("test_prompt: failed to decode prompt batch, res = -3", 1, Reason.EXIT),
        ("unable to allocate Vulkan_Host buffer", 1, Reason.OOM_HOST),
        ("llama_bench: error: CPU backend is not loaded", 1, Reason.IMAGE),
    ],
)  # fmt: skip
def test_lines_of_the_log(ended, line, code, reason):
    failure = diagnose(ended((), ["something before", line, "error: failed to load model 'x'"], code), backend="cuda")
    assert failure.reason is reason
    assert failure.detail == line
    assert failure.remedy


@pytest.mark.parametrize(
    ("code", "reason", "detail"),
    [
        (134, Reason.ABORT, "SIGABRT"),
        (139, Reason.CRASH, "SIGSEGV"),
        (135, Reason.CRASH, "SIGBUS"),
        (132, Reason.CRASH, "SIGILL"),
        (137, Reason.OOM_HOST, "SIGKILL"),
        (126, Reason.IMAGE, "executed"),
        (127, Reason.IMAGE, "executed"),
        (3, Reason.EXIT, "exit code 3"),
        (255, Reason.EXIT, "exit code 255"),
        (0, Reason.MISSING_ROWS, "exit code 0"),
        (None, Reason.ENGINE, "engine"),
    ],
)
def test_exit_codes_without_a_known_line(ended, code, reason, detail):
    failure = diagnose(ended((), ["nothing special"], code))
    assert failure.reason is reason
    assert detail in failure.detail


def test_an_illegal_instruction_says_what_to_do(ended):
    assert "CPU variants" in diagnose(ended(exit_code=132)).remedy


def test_the_kernel_killed_it_whatever_the_log_says(ended):
    failure = diagnose(ended((), ["error: failed to load model 'x'"], 137, oom_killed=True))
    assert failure.reason is Reason.OOM_HOST
    assert "failed to load model" in failure.detail


def test_deadline(ended):
    late = {"timed_out": True, "exit_code": 143}
    assert diagnose(ended(kill_stage="term", **late)).reason is Reason.TIMEOUT
    assert diagnose(ended(kill_stage="kill", **late)).reason is Reason.HANG
    failure = diagnose(ended((), ["llama_context: constructing"], kill_stage="remove", **late))
    assert (failure.phase, failure.reason) == (Phase.RUN, Reason.HANG)
    assert "60 s" in failure.detail
    assert "constructing" in failure.detail


def test_the_user_comes_first(ended):
    failure = diagnose(ended((), ["GGML_ASSERT(x)"], 137, cancelled=True, timed_out=True, oom_killed=True))
    assert failure.reason is Reason.INTERRUPTED


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', Reason.NO_RUNTIME),
        ('could not select device driver "cdi" with capabilities: []', Reason.CDI_OFF),
        ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0", Reason.CDI_DEVICE),
        ("Unknown runtime specified nvidia", Reason.NO_RUNTIME),
        ("unknown or invalid runtime name: nvidia", Reason.NO_RUNTIME),
        ("Unable to find group render: no matching entries in group file", Reason.GROUP),
        (
            "OCI runtime create failed: nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9",
            Reason.DRIVER_TOO_OLD,
        ),
        ("nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1", Reason.NO_DEVICE),
        ("nvidia-container-cli: initialization error: nvml error: driver not loaded", Reason.NO_DEVICE),
        ("nvidia-container-cli: device error: unknown device id: 7", Reason.NO_DEVICE),
        (
            'error gathering device information while adding custom device "/dev/kfd": no such file or directory',
            Reason.DEVICE_NODE,
        ),
        ("container create: stat /dev/kfd: no such file or directory", Reason.DEVICE_NODE),
        ("nvidia-container-cli: mount error: failed to add device rules: bpf_prog_query failed", Reason.PERMISSION),
        ("exec /app/llama-bench: exec format error", Reason.IMAGE),
        ('exec: "/app/llama-bench": stat /app/llama-bench: no such file or directory', Reason.IMAGE),
        ('exec: "/app/llama-bench": permission denied', Reason.IMAGE),
        ("No such image: sha256:1", Reason.IMAGE),
        ("something new", Reason.ENGINE),
    ],
)
def test_words_of_engines(ended, error, reason):
    failure = diagnose(ended(exit_code=None, error=error, error_phase="start"))
    assert (failure.phase, failure.reason) == (Phase.START, reason)
    assert failure.detail == error
    assert failure.remedy


def test_an_engine_that_went_away(ended):
    failure = diagnose(ended(exit_code=None, error="connection reset: no such image", error_phase="wait"))
    assert failure.reason is Reason.ENGINE


def test_no_device_is_no_cause_on_the_cpu_nor_after_loading(ended):
    lines = ["ggml_vulkan: No devices found.", "llama_bench: error: failed to create context with model 'x'"]
    assert diagnose(ended((), lines, 1), backend="cpu").reason is Reason.CONTEXT
    loaded = ["ggml_vulkan: No devices found.", "load_tensors: CUDA0 model buffer size = 1 MiB", "GGML_ASSERT(x)"]
    assert diagnose(ended((), loaded, 134), backend="cuda").reason is Reason.ABORT


# What is kept of the text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("token hf_abcdefghijklmnop given", "token hf_*** given"),
        ("GET https://user:secret@example.org/x", "GET https://***@example.org/x"),
        ("https://example.org/m.gguf?X-Amz-Signature=abc123&a=1", "https://example.org/m.gguf?X-Amz-Signature=***&a=1"),
        ("https://example.org/?access_token=abc", "https://example.org/?access_token=***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("HF_TOKEN=abcdefgh", "HF_TOKEN=***"),
        ("my own words here", "my *** words here"),
    ],
)
def test_secrets_are_blackened(text, kept):
    assert cleaned(text, secrets=("own",)) == kept


def test_ordinary_lines_stay_as_they_are():
    for line in (
        "llama_bench: error: failed to load model '/models/model.gguf'",
        "load: special tokens cache size = 6414",
        "print_info: BOS token             = 2 '<bos>'".replace("             ", " "),
        "test_prompt: failed to decode prompt batch, res = -3",
    ):
        assert cleaned(line) == line


def test_control_characters_are_gone():
    assert cleaned("\x1b[31mred\x1b[0m\x07 a\u202eb\tc\r\nd\u200b\ud800e") == "red a b c d e"


def test_details_are_short_with_both_ends():
    text = cleaned("begin " + "x" * 10_000 + " end")
    assert len(text) == DETAIL_CHARS
    assert text.startswith("begin ")
    assert text.endswith(" end")


def test_telling_lines_and_the_last_ones_are_kept():
    lines = ["error: early"] + [f"line {i}" for i in range(1000)] + ["error: late, hf_abcdefghijklmnop"]
    text = relevant_stderr(lines)
    assert text.startswith("error: early\nline 9")
    assert text.endswith("error: late, hf_***")
    assert text.count("\n") < 20


def test_what_is_kept_is_bounded_and_the_end_is_in_it():
    text = relevant_stderr([f"error: ünïcode {i} {'x' * 200}" for i in range(1000)])
    assert len(text.encode()) <= DIAGNOSIS_BYTES
    assert "ünïcode 999" in text
    assert relevant_stderr([]) == ""


def test_a_backtrace_is_kept_once():
    assert relevant_stderr(["error: same"] * 50) == "error: same"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=80)), st.none() | st.integers(-1, 255), st.booleans())
def test_whatever_was_written_nothing_is_raised(lines, code, killed):
    stderr = tuple(Line(at_ns=0, text=line) for line in lines)
    end = ContainerExit(exit_code=code, stderr=stderr, stdout=stderr, oom_killed=killed, started_ns=0, ended_ns=1)
    failure = diagnose(end)
    assert len(failure.detail) <= DETAIL_CHARS
    assert failure.detail.isprintable() or "\n" not in failure.detail
    assert len(relevant_stderr(lines).encode()) <= DIAGNOSIS_BYTES


def test_remedies_name_keys_of_a_matrix(ended):
    late = {"timed_out": True, "started_ns": 0, "ended_ns": 60_000_000_000}
    for end, key in ((ended(kill_stage="term", **late), "timeout"), (ended((), [], 137, oom_killed=True), "memory")):
        remedy = diagnose(end).remedy
        assert f"Raise `{key}` in the matrix and add --retry-failed" in remedy
        assert f'"{key}": {{' in MATRIX_SCHEMA.read_text()
