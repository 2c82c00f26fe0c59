"""Where the work lay, by the `-v` log: layers, weights, KV cache, flash attention, CPU variant, graph.

What a row says was loaded or asked for is not what was used. These checks read what llama.cpp logged while it did it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.values.bench import LogFacts
from harness.values.cell import Cell, ParameterValue
from harness.values.failure import Reason
from harness.values.record import Check, Proof

# Token embeddings are read on the host and the rest computed on the device: one change between them, or one more
# each way. Every operation that the device does not have adds two.
MOST_SPLITS_OF_ONE_DEVICE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A check, and the reason of the failure where it is contradicted."""

    check: Check
    reason: Reason | None = None

    @property
    def contradicted(self) -> bool:
        """Whether the cell fails by it."""
        return self.check.proof is Proof.CONTRADICTED


def proven(name: str, evidence: str) -> Finding:
    """It holds."""
    return Finding(check=Check(name=name, proof=Proof.PROVEN, evidence=evidence))


def unobservable(name: str, evidence: str) -> Finding:
    """Nothing that was printed tells."""
    return Finding(check=Check(name=name, proof=Proof.UNOBSERVABLE, evidence=evidence))


def contradicted(name: str, evidence: str, reason: Reason) -> Finding:
    """It does not hold, and the cell has no number because of it."""
    return Finding(check=Check(name=name, proof=Proof.CONTRADICTED, evidence=evidence), reason=reason)


def findings(cell: Cell, log: LogFacts, *, device: str, is_gpu: bool) -> tuple[Finding, ...]:
    """What the log proves about one cell.

    Args:
        device: what was given as `-dev`; several are joined by a slash.
        is_gpu: whether the cell's backend computes on such a device.
    """
    devices = computing(cell, device) if is_gpu else ()
    common = (
        _weights(cell, log, devices),
        _kv_cache(cell, log, devices),
        _flash_attention(cell, log),
        _graph(cell, log, devices),
    )
    return (_layers(cell, log), *common) if is_gpu else (*common, _cpu_variant(log))


def computing(cell: Cell, device: str) -> tuple[str, ...]:
    """Those of the devices given as `-dev` that get weights, by split mode, main GPU and tensor split."""
    devices = tuple(device.split("/"))
    if cell.params.get("split_mode") == "none":
        main = _integer(cell.params, "main_gpu", 0)
        return devices[main : main + 1] or devices[:1]
    shares = str(cell.params.get("tensor_split", "")).split("/")
    without = {name for name, share in zip(devices, shares, strict=False) if re.fullmatch(r"0*\.?0+", share.strip())}
    return tuple(name for name in devices if name not in without) or devices


def on_host(buffer: str) -> bool:
    """Whether a buffer of this name lies in the host's memory: `CPU_Mapped`, `Vulkan_Host`."""
    return buffer.startswith(("CPU", "AMX", "BLAS")) or buffer.endswith("_Host")


def _layers(cell: Cell, log: LogFacts) -> Finding:
    if log.layers_offloaded is None or log.layers_total is None:
        return unobservable("layers", "the log does not say how many layers were offloaded")
    evidence = f"offloaded {log.layers_offloaded}/{log.layers_total} layers"
    asked = _integer(cell.params, "n_gpu_layers", 99)
    wanted = min(asked, log.layers_total) if asked >= 0 else log.layers_total
    if log.layers_offloaded == wanted:
        return proven("layers", evidence)
    return contradicted("layers", f"{evidence}, asked for {wanted}", Reason.WRONG_PARAMETERS)


def _weights(cell: Cell, log: LogFacts, devices: tuple[str, ...]) -> Finding:
    if not log.model_buffers:
        return unobservable("weights", "the log does not say where the weights lie")
    evidence = f"model buffers: {_sizes(log.model_buffers)}"
    foreign = _foreign(log.model_buffers, devices)
    if foreign:
        return contradicted("weights", f"{evidence}; {foreign} was not asked for", Reason.WRONG_DEVICE)
    if not devices or _integer(cell.params, "n_gpu_layers", 99) == 0:
        return proven("weights", evidence)
    empty = [name for name in devices if not _lies_on(log.model_buffers, name)]
    if not empty:
        return proven("weights", evidence)
    reason = (
        Reason.CPU_FALLBACK
        if all(on_host(name) for name, size in log.model_buffers.items() if size)
        else Reason.WRONG_DEVICE
    )
    return contradicted("weights", f"{evidence}; none on {', '.join(empty)}", reason)


def _kv_cache(cell: Cell, log: LogFacts, devices: tuple[str, ...]) -> Finding:
    if not log.kv_buffers:
        return unobservable("kv_cache", "the log does not say where the KV cache lies")
    evidence = f"KV buffers: {_sizes(log.kv_buffers)}"
    foreign = _foreign(log.kv_buffers, devices)
    if foreign:
        return contradicted("kv_cache", f"{evidence}; {foreign} was not asked for", Reason.WRONG_DEVICE)
    hosted = [name for name in log.kv_buffers if on_host(name)]
    if bool(cell.params.get("no_kv_offload", False)) or not devices:
        if len(hosted) == len(log.kv_buffers):
            return proven("kv_cache", evidence)
        return contradicted("kv_cache", f"{evidence}, asked for the host", Reason.WRONG_PARAMETERS)
    if _all_offloaded(cell, log) and hosted:
        return contradicted("kv_cache", f"{evidence}, asked for {'/'.join(devices)}", Reason.CPU_FALLBACK)
    return proven("kv_cache", evidence)


def _flash_attention(cell: Cell, log: LogFacts) -> Finding:
    asked = cell.params.get("flash_attn", 0)
    if log.flash_attn is None:
        return unobservable("flash_attention", "the log does not say whether flash attention was used")
    found = "on" if log.flash_attn else "off"
    if asked == "auto":
        return proven("flash_attention", f"auto chose {found}")
    if bool(asked) == log.flash_attn:
        return proven("flash_attention", found)
    return contradicted("flash_attention", f"{found}, asked for {asked}", Reason.WRONG_PARAMETERS)


def _graph(cell: Cell, log: LogFacts, devices: tuple[str, ...]) -> Finding:
    if log.graph_splits is None:
        return unobservable("graph", "the log does not say how the graph was split")
    evidence = f"graph splits: {log.graph_splits}"
    most = MOST_SPLITS_OF_ONE_DEVICE * len(devices) if devices else 1
    if log.graph_splits <= most:
        return proven("graph", evidence)
    if not devices:
        return unobservable("graph", f"{evidence}; a graph of the CPU alone has one")
    if _works_on_host_too(cell, log):
        return proven("graph", f"{evidence}, as asked: part of the work is the host's")
    return unobservable("graph", f"{evidence}: some operations went to the CPU, which flash attention can be one of")


def _cpu_variant(log: LogFacts) -> Finding:
    if log.cpu_variant:
        return proven("cpu_variant", log.cpu_variant)
    return unobservable("cpu_variant", "the build has one CPU variant, or its log does not name it")


def _works_on_host_too(cell: Cell, log: LogFacts) -> bool:
    moved = any(cell.params.get(name) for name in ("no_kv_offload", "n_cpu_moe", "tensor_buft_overrides"))
    return moved or not _all_offloaded(cell, log)


def _all_offloaded(cell: Cell, log: LogFacts) -> bool:
    asked = _integer(cell.params, "n_gpu_layers", 99)
    return asked < 0 or (log.layers_total is not None and asked >= log.layers_total)


def _lies_on(buffers: Mapping[str, int], device: str) -> bool:
    return any(size > 0 and _is_of(name, device) for name, size in buffers.items())


def _is_of(buffer: str, device: str) -> bool:
    """`Vulkan0`, and what split modes make of devices: `<device>_Split`, `<backend>_Split`, a meta device over all."""
    kind = device.rstrip("0123456789")
    return buffer == device or buffer.startswith((f"{device}_", f"{kind}_Split", "Meta"))


def _foreign(buffers: Mapping[str, int], devices: tuple[str, ...]) -> str:
    """Names of buffers that lie neither on the host nor on a device that was asked for."""
    return ", ".join(
        name
        for name, size in buffers.items()
        if size and not on_host(name) and not any(_is_of(name, d) for d in devices)
    )


def _integer(params: Mapping[str, ParameterValue], name: str, default: int) -> int:
    value = params.get(name, default)
    return value if isinstance(value, int) else default


def _sizes(buffers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size / 1024 / 1024:.2f} MiB" for name, size in buffers.items())
