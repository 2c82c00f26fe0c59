from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.formats.llama_log import MAX_WARNINGS, not_a_release_build, read
from harness.values.bench import LogFacts

CAPTURES = Path(__file__).resolve().parents[3] / "tests" / "captures"
MIB = 1024 * 1024


def capture(name):
    return read((CAPTURES / f"{name}.stderr").read_text().splitlines())


def test_real_model_on_the_cpu():
    log = capture("cpu-b11312/good-v")
    assert log.libraries == {"CPU": "libggml-cpu-zen4.so"}
    assert log.cpu_variant == "zen4"
    assert log.devices == {}
    assert log.layers_offloaded is None
    assert set(log.model_buffers) == {"CPU_Mapped", "CPU_REPACK"}
    # Two caches in one context (sliding window and not) add up; two contexts do not.
    assert log.kv_buffers == {"CPU": round(4.5 * MIB)}
    assert log.flash_attn is False
    assert log.graph_splits == 1
    assert log.n_ctx == 256
    assert log.warnings == ()


def test_software_device():
    log = capture("vulkan-b11312/good-software-v")
    assert log.libraries == {"Vulkan": "libggml-vulkan.so", "CPU": "libggml-cpu-zen4.so"}
    assert log.devices == {"Vulkan0": "llvmpipe (LLVM 19.1.7, 256 bits)"}
    assert (log.layers_offloaded, log.layers_total) == (3, 3)
    assert log.model_buffers["Vulkan0"] > log.model_buffers["CPU_Mapped"] > 0
    assert set(log.kv_buffers) == {"Vulkan0"}
    assert set(log.compute_buffers) == {"Vulkan0", "Vulkan_Host"}
    assert log.graph_splits == 2
    assert any("Device type is CPU" in line for line in log.warnings)


def test_flash_attention_asked_for_and_chosen():
    assert capture("cpu-b11312/good-fa-v").flash_attn is True
    assert capture("cpu-b11312/good-fa-auto-v").flash_attn is True
    assert capture("vulkan-b11312/good-software-fa-auto-v").flash_attn is True


def test_a_fallback_shows_no_device():
    log = capture("vulkan-b11312/silent-cpu-fallback-v")
    assert log.devices == {}
    assert set(log.model_buffers) == {"CPU_Mapped"}
    assert log.warnings == ("ggml_vulkan: No devices found.",)


def test_spellings_of_2024():
    log = read(
        [
            "llm_load_tensors: ggml ctx size =    0.30 MiB",
            "llm_load_tensors: offloading 32 repeating layers to GPU",
            "llm_load_tensors: offloaded 33/33 layers to GPU",
            "llm_load_tensors:        CPU buffer size =    70.31 MiB",
            "llm_load_tensors:      CUDA0 buffer size =  3577.56 MiB",
            "llama_new_context_with_model: n_ctx      = 512",
            "llama_new_context_with_model: n_batch    = 512",
            "llama_new_context_with_model: flash_attn = 1",
            "llama_kv_cache_init:      CUDA0 KV buffer size =   256.00 MiB",
            "llama_new_context_with_model:  CUDA_Host  output buffer size =     0.12 MiB",
            "llama_new_context_with_model:      CUDA0 compute buffer size =    70.50 MiB",
            "llama_new_context_with_model:  CUDA_Host compute buffer size =     9.01 MiB",
            "llama_new_context_with_model: graph nodes  = 903",
            "llama_new_context_with_model: graph splits = 66 (with bs=512), 3 (with bs=1)",
        ]
    )
    assert (log.layers_offloaded, log.layers_total) == (33, 33)
    assert log.model_buffers == {"CPU": round(70.31 * MIB), "CUDA0": round(3577.56 * MIB)}
    assert log.kv_buffers == {"CUDA0": 256 * MIB}
    assert log.compute_buffers == {"CUDA0": round(70.5 * MIB), "CUDA_Host": round(9.01 * MIB)}
    assert log.flash_attn is True
    assert log.graph_splits == 66
    assert log.n_ctx == 512


def test_spellings_of_2025():
    log = read(
        [
            "load_backend: loaded CUDA backend from /app/libggml-cuda.so",
            "load_backend: loaded CPU backend from /app/libggml-cpu-sapphirerapids.so",
            "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 4090) - 23500 MiB free",
            "llama_prepare_model_devices: using device Vulkan1 (AMD 780M (RADV PHOENIX)) (0000:03:00.0) - 9 MiB free",
            "llama_context: n_ctx         = 640",
            "llama_context: flash_attn    = auto",
            "llama_context: Flash Attention was auto, set to enabled",
            "llama_context: graph splits = 2",
        ]
    )
    assert log.cpu_variant == "sapphirerapids"
    assert log.devices == {"CUDA0": "NVIDIA GeForce RTX 4090", "Vulkan1": "AMD 780M (RADV PHOENIX)"}
    assert log.flash_attn is True
    assert log.graph_splits == 2


def test_flash_attention_that_is_not_supported():
    log = read(
        [
            "llama_context: flash_attn            = auto",
            "resolve_fused_ops: layer 0 is assigned to device Vulkan0 but Flash Attention is assigned to device CPU",
            "resolve_fused_ops: Flash Attention not supported, set to disabled",
        ]
    )
    assert log.flash_attn is False
    assert len(log.warnings) == 2


def test_contexts_that_differ_in_flash_attention_tell_nothing():
    log = read(["llama_context: flash_attn            = enabled", "llama_context: flash_attn            = disabled"])
    assert log.flash_attn is None
    assert "differs" in log.warnings[0]


def test_auto_that_was_not_resolved_is_unknown():
    assert read(["llama_context: flash_attn            = auto"]).flash_attn is None


def test_the_largest_of_several_loads_and_contexts_counts():
    log = read(
        [
            "load_tensors: loading model tensors, this can take a while... (load_mode = mmap)",
            "load_tensors:   CPU_Mapped model buffer size =   10.00 MiB",
            "load_tensors:   CPU_Mapped model buffer size =   20.00 MiB",
            "llama_context: n_ctx                 = 256",
            "llama_kv_cache:        CPU KV buffer size =     4.00 MiB",
            "llama_context: n_ctx                 = 512",
            "llama_kv_cache:        CPU KV buffer size =     8.00 MiB",
            "load_tensors: loading model tensors, this can take a while... (load_mode = mmap)",
            "load_tensors:   CPU_Mapped model buffer size =   20.00 MiB",
            "llama_context: n_ctx                 = 256",
            "llama_memory_recurrent:        CPU RS buffer size =     1.00 MiB",
        ]
    )
    assert log.model_buffers == {"CPU_Mapped": 30 * MIB}
    assert log.kv_buffers == {"CPU": 8 * MIB}
    assert log.n_ctx == 512


def test_graph_line_with_two_batch_sizes():
    log = read(["sched_reserve: graph (pp bs=512, tg bs=1): nodes = 800 / 790, splits = 24 / 6, input objects = 5"])
    assert log.graph_splits == 24


def test_builds_that_are_no_release_builds():
    for text in ("asserts enabled", "debug build", "sanitizer enabled"):
        line = f"warning: {text}, performance may be affected"
        assert not_a_release_build(read([line]).warnings) == line
    assert not_a_release_build(capture("cpu-b11312/good-v").warnings) is None


def test_an_empty_log_says_nothing():
    assert read([]) == LogFacts()


def test_warnings_are_bounded():
    assert len(read(f"warning: number {i}" for i in range(1000)).warnings) == MAX_WARNINGS


def test_the_place_and_the_start_up_line_of_each_device():
    facts = read(
        [
            "ggml_cuda_init: found 2 ROCm devices (Total VRAM: 49120 MiB):",
            "  Device 0: AMD Radeon RX 7900 XTX, gfx1100 (0x1100), VMM: no, Wave Size: 32, VRAM: 24560 MiB",
            "  Device 1: AMD Radeon RX 7900 XTX, gfx1100 (0x1100), VMM: no, Wave Size: 32, VRAM: 24560 MiB",
            "llama_prepare_model_devices: using device ROCm1 (AMD Radeon RX 7900 XTX) (0000:0A:00.0) - 24000 MiB free",
        ]
    )
    assert facts.devices == {"ROCm1": "AMD Radeon RX 7900 XTX"}
    assert facts.device_pci == {"ROCm1": "0000:0a:00.0"}
    assert list(facts.device_details) == ["ROCm0", "ROCm1"]
    assert "gfx1100" in facts.device_details["ROCm0"]


def test_a_device_line_without_its_heading_is_of_no_device():
    assert read(["  Device 0: something"]).device_details == {}


def test_the_start_up_line_of_a_vulkan_device():
    line = "ggml_vulkan: 0 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0 | fp16: 1 | warp size: 64"
    assert read([line]).device_details == {"Vulkan0": "AMD Radeon RX 7900 XTX (RADV NAVI31) (radv)"}


def test_numbers_that_no_record_could_hold_are_not_read():
    many = "9" * 900
    log = [f"load_tensors: offloaded {many}/{many} layers to GPU", f"llama_context: n_ctx = {many}",
           f"llama_context: graph splits = {many}"]  # fmt: skip
    facts = read(log)
    assert (facts.layers_offloaded, facts.n_ctx) == (None, None)
    assert facts.graph_splits is None or facts.graph_splits < 10**18


FRAGMENTS = [
    ": x model buffer size = ",
    "1.2.3 MiB",
    "9" * 400 + " MiB",
    "llama_context: n_ctx = 99",
    "using device ",
    " (",
    ") - 1 MiB free",
    "graph splits = ",
    "offloaded 1/2 layers to GPU",
    "load_backend: loaded CPU backend from ",
    "Flash Attention enabled",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=4).map("".join)))
def test_whatever_stands_in_the_log_nothing_is_raised(lines):
    assert read(lines).graph_splits is None or any("splits" in line for line in lines)
