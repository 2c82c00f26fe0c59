from pathlib import Path

import pytest

from harness.formats.device_list import ListedDevice, read_device_list

MIB = 1024 * 1024
# As llama-bench b11312 printed it in the image with Mesa, and as other machines' logs show it.
SOFTWARE = """Available devices:
  Vulkan0: llvmpipe (LLVM 19.1.7, 256 bits) (24105 MiB, 22340 MiB free)
"""
SEVERAL = """Available devices:
  CUDA0: NVIDIA GeForce RTX 4090 (24080 MiB, 23500 MiB free)
  ROCm1: AMD Radeon RX 7900 XTX (24560 MiB, 24542 MiB free)
"""


def test_a_description_may_hold_brackets() -> None:
    assert read_device_list(SOFTWARE.splitlines()) == (
        ListedDevice(
            name="Vulkan0",
            description="llvmpipe (LLVM 19.1.7, 256 bits)",
            memory_bytes=24105 * MIB,
            free_bytes=22340 * MIB,
        ),
    )


def test_several_devices_keep_their_order() -> None:
    assert [(device.name, device.description) for device in read_device_list(SEVERAL.splitlines())] == [
        ("CUDA0", "NVIDIA GeForce RTX 4090"),
        ("ROCm1", "AMD Radeon RX 7900 XTX"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Available devices:",
        "Available devices:\n  (none)",
        "CUDA0: not indented (1 MiB, 1 MiB free)",
        "  CUDA0: no memory",
        f"  CUDA0: {'x' * 2000} (1 MiB, 1 MiB free)",
    ],
)
def test_what_is_no_device_is_left_out(text: str) -> None:
    assert read_device_list(text.splitlines()) == ()


def test_the_captured_list_of_a_machine_without_a_gpu() -> None:
    captured = Path(__file__).resolve().parents[2] / "captures/vulkan-b11312/list-devices-software.stdout"
    assert [device.name for device in read_device_list(captured.read_text().splitlines())] == ["Vulkan0"]
