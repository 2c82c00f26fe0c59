"""The table of backends: a row of data for each. A new one needs a row, a Dockerfile and a vendor that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One llama.cpp compute backend.

    Attributes:
        name: the name used in matrix files and cell ids.
        title: the name shown in tables.
        registry_name: what llama-bench prints in `backends` when the backend's library was loaded.
        device_prefix: prefix of llama.cpp's device names (`CUDA` in `CUDA0`); None for the CPU, which has none.
        library: file name stem of the backend's run-time library in the image.
        vendors: vendors of `harness.machine.vendors` that can serve it.
        cache_variables: variables that name the folder where drivers keep compiled kernels. It outlives the container,
            so that not every run begins with compiling (half a minute on Mesa's software device).
        result_variables: variables of the host that would change results in a container too, beside those of
            llama.cpp; they are recorded where they are set.
        overhead_bytes: what driver and libraries take of a device's memory beside llama.cpp's buffers. Assumed for
            `invoke fit`, not measured: no card was at hand.
    """

    name: str
    title: str
    registry_name: str
    device_prefix: str | None
    library: str
    vendors: tuple[str, ...]
    cache_variables: tuple[str, ...] = ()
    result_variables: tuple[str, ...] = ()
    overhead_bytes: int = 0

    @property
    def is_gpu(self) -> bool:
        """Whether the backend computes on a device that is named with `-dev`."""
        return self.device_prefix is not None


BACKENDS: MappingProxyType[str, Backend] = MappingProxyType(
    {
        backend.name: backend
        for backend in (
            Backend(
                name="cpu",
                title="CPU",
                registry_name="CPU",
                device_prefix=None,
                library="libggml-cpu",
                vendors=("cpu",),
            ),
            Backend(
                name="cuda",
                title="CUDA",
                registry_name="CUDA",
                device_prefix="CUDA",
                library="libggml-cuda",
                vendors=("nvidia",),
                cache_variables=("CUDA_CACHE_PATH",),
                result_variables=("CUDA_VISIBLE_DEVICES",),
                overhead_bytes=512 << 20,
            ),
            Backend(
                name="rocm",
                title="ROCm",
                registry_name="ROCm",
                device_prefix="ROCm",
                library="libggml-hip",
                vendors=("amd",),
                result_variables=(
                    "HIP_VISIBLE_DEVICES",
                    "ROCR_VISIBLE_DEVICES",
                    "HSA_OVERRIDE_GFX_VERSION",
                    "ROCBLAS_USE_HIPBLASLT",
                ),
                overhead_bytes=512 << 20,
            ),
            Backend(
                name="vulkan",
                title="Vulkan",
                registry_name="Vulkan",
                device_prefix="Vulkan",
                library="libggml-vulkan",
                vendors=("nvidia", "amd", "intel", "cpu"),
                cache_variables=("MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH"),
                result_variables=("AMD_VULKAN_ICD", "VK_DRIVER_FILES"),
                overhead_bytes=256 << 20,
            ),
        )
    }
)

VENDOR_TITLES: MappingProxyType[str, str] = MappingProxyType(
    {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "apple": "Apple", "cpu": "Processors"}
)
"""How vendors are named in tables; a device computed on by the CPU backend is a processor, whoever made it."""
