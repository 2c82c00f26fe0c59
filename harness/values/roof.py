"""What the processor can do in a container of the runs' kind: the roof under which llama.cpp computes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """Measured once at the start of a session, for each number of threads that its cells use on the processor.

    Attributes:
        n_threads: that were used at once.
        read_bytes_per_s: reading memory, a value a pass, all threads together. Empty where it could not be measured.
        fp32_flops_per_s: 32-bit multiply-adds in registers, counted as two operations.
        int8_ops_per_s: 8-bit products added in fours, likewise; empty where this processor's way is not known.
        fp32_kernel, int8_kernel: the instructions that were used: `avx2`, `avx512vnni`, `dotprod`, ...
        buffer_bytes: that was read, again and again: more than caches hold.
        image: content id of the probe's image.
        best_read_bytes_per_s: the most that any start on this machine has shown with as many threads, this one
            included; best_utc: when. What lies far below it is not what the machine can do.
        problem: why there are no values; empty where there are.
    """

    n_threads: int
    read_bytes_per_s: tuple[int, ...] = ()
    fp32_flops_per_s: tuple[int, ...] = ()
    int8_ops_per_s: tuple[int, ...] = ()
    fp32_kernel: str = ""
    int8_kernel: str = ""
    buffer_bytes: int | None = None
    image: str = ""
    best_read_bytes_per_s: int | None = None
    best_utc: str | None = None
    problem: str = ""

    @property
    def read(self) -> float | None:
        """Bytes a second: the median of the passes."""
        return median(self.read_bytes_per_s) if self.read_bytes_per_s else None

    @property
    def fp32(self) -> float | None:
        """Operations a second: the most of the passes, since anything that disturbs only takes away."""
        return float(max(self.fp32_flops_per_s)) if self.fp32_flops_per_s else None

    @property
    def int8(self) -> float | None:
        """Likewise of 8-bit products."""
        return float(max(self.int8_ops_per_s)) if self.int8_ops_per_s else None
