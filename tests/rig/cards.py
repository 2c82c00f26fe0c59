"""Made-up cards: what the host's drivers tell of them, and how a backend shows them in a container.

Names, memory and architecture are those of real cards; the texts of backends are those of captured outputs where there
is one (`docs/test-rig.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A card as one backend shows it.

    Attributes:
        name: its description.
        banner: what the backend's library says of it.
        mib: memory in all, as it tells it.
    """

    name: str
    banner: str
    mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card.

    Attributes:
        vendor: `nvidia`, `amd` or `intel`.
        name: as its driver tells it.
        pci: its address.
        memory_bytes: VRAM; for an APU the part set aside.
        gtt_bytes: of an APU; 0 for cards.
        architecture: compute capability `8.9`, or code target version `110501`.
        power_limit_w: of the card.
        bytes_per_s, flops: what a perfect program could reach; the stub reaches `EFFICIENCY` of it.
        shown: by backend.
        ids: PCI vendor and device.
        uuid: of NVIDIA's.
    """

    vendor: str
    name: str
    pci: str
    memory_bytes: int
    architecture: str
    power_limit_w: float
    bytes_per_s: float
    flops: float
    shown: Mapping[str, Shown]
    ids: str = ""
    uuid: str = ""
    gtt_bytes: int = 0
    driver: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


EFFICIENCY = {"cuda": 0.75, "rocm": 0.65, "vulkan": 0.7}
"""Share of bandwidth that generation reaches on cards of scoreboards; of arithmetic prompts reach about half of it."""

GIB = 1024**3


def _nvidia(name: str, *, gib: float, cc: str, watts: float, bytes_per_s: float, flops: float, bus: str = "01") -> Card:
    mib = round(gib * 1024)
    banner = f"{name}, compute capability {cc}, VMM: yes, VRAM: {mib} MiB"
    features = "uma: 0 | fp16: 1 | bf16: 1 | fp4: 0 | warp size: 32 | shared memory: 49152 | int dot: 1"
    return Card(
        vendor="nvidia",
        name=name,
        pci=f"0000:{bus}:00.0",
        memory_bytes=mib * 1024**2,
        architecture=cc,
        power_limit_w=watts,
        bytes_per_s=bytes_per_s,
        flops=flops,
        uuid=f"GPU-5e7b0c2d-0000-4000-8000-0000000000{bus}",
        driver="580.95.05",
        shown={
            "cuda": Shown(name=name, banner=banner, mib=mib),
            "vulkan": Shown(name=name, banner=f"{name} (NVIDIA) | {features} | matrix cores: NV_coopmat2", mib=mib),
        },
    )


STRIX_HALO = Card(
    vendor="amd",
    name="AMD Radeon 8060S Graphics",
    pci="0000:c6:00.0",
    memory_bytes=GIB // 2,
    gtt_bytes=124 * GIB,
    architecture="110501",
    power_limit_w=120,
    bytes_per_s=256e9,
    flops=59.4e12,
    ids="1002:1586",
    driver="amdgpu",
    files={"device_class": "0x038000", "revision": "0xc1"},
    shown={
        "rocm": Shown(
            name="AMD Radeon 8060S Graphics",
            banner="AMD Radeon 8060S Graphics, gfx1151 (0x1151), VMM: no, Wave Size: 32, VRAM: 126976 MiB",
            mib=126976,
        ),
        "vulkan": Shown(
            name="AMD Radeon 8060S Graphics (RADV GFX1151)",
            banner="AMD Radeon 8060S Graphics (RADV GFX1151) (radv) | uma: 1 | fp16: 1 | bf16: 0 | fp4: 0"
            " | warp size: 64 | shared memory: 65536 | int dot: 1 | matrix cores: KHR_coopmat",
            mib=126976,
        ),
    },
)

RX_7900_XTX = Card(
    vendor="amd",
    name="AMD Radeon RX 7900 XTX",
    pci="0000:03:00.0",
    memory_bytes=24560 * 1024**2,
    architecture="110000",
    power_limit_w=339,
    bytes_per_s=960e9,
    flops=122.8e12,
    ids="1002:744c",
    driver="amdgpu",
    shown={
        "rocm": Shown(
            name="AMD Radeon RX 7900 XTX",
            banner="AMD Radeon RX 7900 XTX, gfx1100 (0x1100), VMM: no, Wave Size: 32, VRAM: 24560 MiB",
            mib=24560,
        ),
        "vulkan": Shown(
            name="AMD Radeon RX 7900 XTX (RADV NAVI31)",
            banner="AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0 | fp16: 1 | bf16: 1 | fp4: 0 | warp size: 64"
            " | shared memory: 65536 | int dot: 1 | matrix cores: KHR_coopmat",
            mib=24560,
        ),
    },
)

ARC_B580 = Card(
    vendor="intel",
    name="Intel Arc B580",
    pci="0000:03:00.0",
    memory_bytes=12216 * 1024**2,
    architecture="",
    power_limit_w=190,
    bytes_per_s=456e9,
    flops=116e12,
    ids="8086:e20b",
    driver="xe",
    shown={
        "vulkan": Shown(
            name="Intel(R) Arc(tm) B580 Graphics (BMG G21)",
            banner="Intel(R) Arc(tm) B580 Graphics (BMG G21) (Intel open-source Mesa driver) | uma: 0 | fp16: 1"
            " | bf16: 0 | fp4: 0 | warp size: 32 | shared memory: 49152 | int dot: 1 | matrix cores: KHR_coopmat",
            mib=12216,
        )
    },
)

CARDS: Mapping[str, Card] = {
    "rtx4090": _nvidia("NVIDIA GeForce RTX 4090", gib=23.516, cc="8.9", watts=450, bytes_per_s=1008e9, flops=165.2e12),
    "rtx4090-d": _nvidia(
        "NVIDIA GeForce RTX 4090 D", gib=23.516, cc="8.9", watts=425, bytes_per_s=1008e9, flops=147e12, bus="41"
    ),
    "rtx5090": _nvidia("NVIDIA GeForce RTX 5090", gib=31.351, cc="12.0", watts=575, bytes_per_s=1792e9, flops=209.5e12),
    "h100": _nvidia("NVIDIA H100 80GB HBM3", gib=79.19, cc="9.0", watts=700, bytes_per_s=3350e9, flops=989e12),
    "rx7900xtx": RX_7900_XTX,
    "strix-halo": STRIX_HALO,
    "arc-b580": ARC_B580,
}
