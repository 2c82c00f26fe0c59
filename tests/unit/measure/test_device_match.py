"""What tells a device from others: each rule by itself."""

import pytest

from harness.measure.device_match import SeenDevice, compare, normalised
from harness.values.container import ExpectedDevice
from harness.values.record import Proof

GIB = 1024**3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090", True),
        ("Intel Arc B580", "Intel(R) Arc(tm) B580 Graphics (BMG G21)", True),
        ("AMD Radeon 8060S Graphics", "Radeon 8060S Graphics (RADV GFX1151)", True),
        ("AMD Radeon RX 7900 XTX", "amd  radeon rx 7900 xtx (RADV NAVI31) (LLVM 19.1 (git))", True),
        ("NVIDIA GeForce RTX 4070", "NVIDIA GeForce RTX 4070 Ti", False),
        ("NVIDIA GeForce RTX 4070 Ti", "NVIDIA GeForce RTX 4070 Ti SUPER", False),
        ("AMD Radeon RX 7900 XT", "AMD Radeon RX 7900 XTX", False),
        ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", False),
    ],
)
def test_names_are_compared_whole(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same


@pytest.mark.parametrize(
    "name", ["AMD Radeon Graphics", "AMD Radeon(TM) Graphics", "Radeon Graphics", "Intel(R) Graphics"]
)
def test_a_name_that_many_have_proves_nothing(name: str) -> None:
    expected = ExpectedDevice(name="Vulkan0", names=(name,))
    assert compare(expected, SeenDevice(text=name))[0] is Proof.UNOBSERVABLE


@pytest.mark.parametrize(
    ("seen_gib", "proof"), [(24, Proof.PROVEN), (23, Proof.PROVEN), (25, Proof.PROVEN), (12, Proof.CONTRADICTED)]
)
def test_memory_is_about_the_same_or_it_is_another_card(seen_gib: int, proof: Proof) -> None:
    expected = ExpectedDevice(name="CUDA0", names=("X 1",), exact=True, memory_bytes=24 * GIB)
    assert compare(expected, SeenDevice(text="X 1", memory_bytes=seen_gib * GIB))[0] is proof


@pytest.mark.parametrize(
    ("pci", "proof"),
    [("0000:03:00.0", Proof.PROVEN), ("0000:04:00.0", Proof.CONTRADICTED), (None, Proof.UNOBSERVABLE)],
)
def test_the_place_proves_where_no_name_does(pci: str | None, proof: Proof) -> None:
    expected = ExpectedDevice(name="Vulkan0", names=("Intel GPU (8086:1234)",), maker="Intel", pci="0000:03:00.0")
    assert compare(expected, SeenDevice(text="Intel(R) Something", pci=pci))[0] is proof


@pytest.mark.parametrize(
    "text", ["llvmpipe (LLVM 19.1.7, 256 bits)", "SwiftShader Device (LLVM 10.0.0)", "lavapipe", "softpipe"]
)
def test_a_software_device_is_never_a_card_nor_the_other_way_round(text: str) -> None:
    card = ExpectedDevice(name="Vulkan0")
    software = ExpectedDevice(name="Vulkan0", software=True)
    assert compare(card, SeenDevice(text=text))[0] is Proof.CONTRADICTED
    assert compare(software, SeenDevice(text=text))[0] is Proof.PROVEN
    assert compare(software, SeenDevice(text="AMD Radeon RX 7900 XTX"))[0] is Proof.CONTRADICTED
