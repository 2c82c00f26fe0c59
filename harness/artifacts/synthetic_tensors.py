"""Seeded noise as tensor data, the same bytes on every machine and with every numpy.

Only the raw words of a counter-based generator are taken from numpy (their stream is a promise of numpy's, that of its
normal distribution is not). Floats follow by arithmetic that IEEE 754 defines exactly, one operation at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from gguf import quants
from gguf.constants import GGMLQuantizationType
from numpy.typing import NDArray

from harness.artifacts.synthetic_recipe import PlannedTensor

POOL_VALUES = 1 << 20
"""Distinct values a tensor at most. Larger tensors repeat a pool of rows, so that writing is bound by the disk."""
STANDARD_DEVIATION = np.float32(0.02)
_SUM_MEAN = np.float32(2 * 65535)
_SUM_DEVIATION = np.float32(37837.227)
"""Mean and standard deviation of the sum of four uniform 16-bit numbers: 65536 * sqrt(4 / 12)."""
_WRITE_BYTES = 8 << 20

Blocks = NDArray[np.uint8]
Floats = NDArray[np.float32]


def tensor_data(tensor: PlannedTensor, *, seed: int) -> Iterator[bytes]:
    """The data of a tensor in pieces of a few MiB.

    A tensor of more than `POOL_VALUES` elements repeats a pool of rows. Their number is odd, so that heads and
    experts, whose heights are mostly even, do not become copies of each other.
    """
    width = tensor.shape[0]
    n_rows = tensor.n_elements // width
    pool_rows = min(n_rows, max(1, POOL_VALUES // width - 1 | 1))
    pool = _encode(_values(tensor, pool_rows * width, seed).reshape(pool_rows, width), tensor.type)
    times, rest = divmod(n_rows, pool_rows)
    together = max(1, min(times, _WRITE_BYTES // len(pool)))
    many = pool * together
    for _ in range(times // together):
        yield many
    yield pool * (times % together) + pool[: len(pool) // pool_rows * rest]


def _values(tensor: PlannedTensor, n: int, seed: int) -> Floats:
    if tensor.constant is not None:
        return np.full(n, tensor.constant, dtype=np.float32)
    return noise(n, seed=seed, name=tensor.name)


def noise(n: int, *, seed: int, name: str) -> Floats:
    """`n` nearly normal numbers with mean 0 and standard deviation 0.02, at most 3.5 deviations from the mean."""
    key = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], "little")
    words = np.random.Philox(key=key, counter=0).random_raw(n).astype("<u8", copy=False).view("<u2").reshape(n, 4)
    total = words[:, 0].astype(np.uint32)
    for column in range(1, 4):
        total += words[:, column]
    # The sums are below 2**24, so that they and their difference from the mean are exact as float32.
    return (total.astype(np.float32) - _SUM_MEAN) * (STANDARD_DEVIATION / _SUM_DEVIATION)


def _encode(rows: Floats, kind: str) -> bytes:
    own = _K_ENCODERS.get(kind)
    if own is not None:
        return own(rows.reshape(-1, 256)).tobytes()
    encoded = quants.quantize(rows, GGMLQuantizationType[kind])
    little = encoded.astype(encoded.dtype.newbyteorder("<"), copy=False)
    return bytes(little.tobytes())


def _over(values: Floats, scale: Floats) -> Floats:
    """`values / scale`, 0 where the scale is 0."""
    return np.divide(values, scale, out=np.zeros_like(values), where=scale != 0)


def _half(values: Floats) -> tuple[Blocks, Floats]:
    """As two bytes of float16, and as the float32 that a reader gets back."""
    half = values.astype("<f2")
    return half.view(np.uint8).reshape(len(values), 2), half.astype(np.float32)


def _scales_and_minima(blocks: Floats, levels: int) -> tuple[Blocks, Blocks]:
    """The heads of Q4_K and Q5_K blocks and the levels of their elements.

    Returns:
        d, dmin and the 6-bit scales and minima of eight groups, shape (n, 16); the levels, shape (n, 8, 32).
    """
    groups = blocks.reshape(-1, 8, 32)
    lowest = np.maximum(-groups.min(axis=2), np.float32(0))
    step = (groups.max(axis=2) + lowest) / np.float32(levels)
    d_bytes, d = _half(step.max(axis=1, keepdims=True) / np.float32(63))
    dmin_bytes, dmin = _half(lowest.max(axis=1, keepdims=True) / np.float32(63))
    scale = np.clip(np.rint(_over(step, np.broadcast_to(d, step.shape))), 0, 63).astype(np.uint8)
    minimum = np.clip(np.rint(_over(lowest, np.broadcast_to(dmin, step.shape))), 0, 63).astype(np.uint8)
    shifted = groups + (dmin * minimum.astype(np.float32))[:, :, None]
    steps = np.broadcast_to((d * scale.astype(np.float32))[:, :, None], groups.shape)
    level = np.clip(np.rint(_over(shifted, steps)), 0, levels).astype(np.uint8)
    low = scale[:, :4] | ((scale[:, 4:] >> 4) << 6)
    middle = minimum[:, :4] | ((minimum[:, 4:] >> 4) << 6)
    high = (scale[:, 4:] & 15) | ((minimum[:, 4:] & 15) << 4)
    return np.concatenate([d_bytes, dmin_bytes, low, middle, high], axis=1), level


def _nibbles(level: Blocks) -> Blocks:
    """Low four bits of eight groups of 32, two groups in each 32 bytes."""
    pairs = (level & 15).reshape(-1, 4, 2, 32)
    packed: Blocks = np.bitwise_or(pairs[:, :, 0], pairs[:, :, 1] << 4, dtype=np.uint8)
    return packed.reshape(-1, 128)


def _q4_k(blocks: Floats) -> Blocks:
    head, level = _scales_and_minima(blocks, 15)
    return np.concatenate([head, _nibbles(level)], axis=1)


def _q5_k(blocks: Floats) -> Blocks:
    head, level = _scales_and_minima(blocks, 31)
    fifth = np.zeros((len(blocks), 32), dtype=np.uint8)
    for group in range(8):
        fifth |= (level[:, group] >> 4) << group
    return np.concatenate([head, fifth, _nibbles(level)], axis=1)


def _q6_k(blocks: Floats) -> Blocks:
    groups = blocks.reshape(-1, 16, 16)
    step = np.abs(groups).max(axis=2) / np.float32(31)
    d_bytes, d = _half(step.max(axis=1, keepdims=True) / np.float32(127))
    scale = np.clip(np.rint(_over(step, np.broadcast_to(d, step.shape))), 0, 127).astype(np.int8)
    steps = np.broadcast_to((d * scale.astype(np.float32))[:, :, None], groups.shape)
    level = (np.clip(np.rint(_over(groups, steps)), -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = np.concatenate(
        [(level[:, :, 0] & 15) | ((level[:, :, 2] & 15) << 4), (level[:, :, 1] & 15) | ((level[:, :, 3] & 15) << 4)],
        axis=2,
    ).reshape(-1, 128)
    high = (level >> 4) << np.array([0, 2, 4, 6], dtype=np.uint8)[None, None, :, None]
    upper = np.bitwise_or.reduce(high, axis=2).reshape(-1, 64)
    return np.concatenate([low, upper, scale.view(np.uint8), d_bytes], axis=1, dtype=np.uint8)


_K_ENCODERS: Mapping[str, Callable[[Floats], Blocks]] = MappingProxyType({"Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k})
"""The gguf package reads these types and does not write them."""
