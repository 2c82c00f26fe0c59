"""What a stub of llama-bench is told: its build, the cards that it may see, how fast it is, and how it fails.

Script(backend="cpu", build_number=11000, tg=50.0)                             # a build for `invoke bisect`
Script(backend="cuda", devices=(card,), faults=(Fault(kind="hang", at="tg128"),))
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from harness.formats.gguf_types import TENSOR_TYPES
from harness.values.backend import BACKENDS

LIBRARIES = {"cuda": "libggml-cuda.so", "rocm": "libggml-hip.so", "vulkan": "libggml-vulkan.so"}

CONTAINER_FAULTS = {
    "no-library": "the backend's library does not load: the list is empty and `backends` says CPU",
    "driver": "the driver refuses, for the reason in `value`: nothing is listed",
    "fallback": "the devices are listed, but the benchmark computes on the CPU: `gpu_info` is empty",
    "host-weights": "the log says that the weights lie on the host",
    "other-device": "rows name the device in `value`",
    "host-memory": "all that is printed is right, but the memory of the card does not grow",
    "idle": "all that is printed is right, but the card is never busy",
    "load-out-of-memory": "the model does not load; the log says `value`",
    "context-out-of-memory": "the test's context cannot be made; the log says `value`",
    "abort": "SIGABRT after printing `value`",
    "killed": "SIGKILL, as by the kernel when memory runs out",
    "hang": "nothing happens any more",
    "garbage": "half a row",
    "slow": "`value` times as slow",
}
"""Kinds of faults, with what they look like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        kind: of `CONTAINER_FAULTS`.
        at: the test, such as `tg128` or `pp512@d4096`; `*` for all, and for what is not bound to a test.
        value: a factor or a text, as the kind says.
    """

    kind: str
    at: str = "*"
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StubDevice:
    """A card as a backend shows it in a container.

    Attributes:
        nodes: device nodes that have to be open to the process, or it does not see the card.
        name: its description.
        banner: what the backend says of it when it is loaded.
        pci: as the `-v` log has it.
        mib: memory in all.
        card: its number among the made-up cards of the host.
    """

    nodes: tuple[str, ...]
    name: str
    banner: str
    pci: str = "unknown id"
    mib: int = 24576
    card: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A stub of one build for one backend.

    Attributes:
        pp, tg: tokens a second in an empty context. 0: from `flops` and `bytes_per_s` and the model's size.
        bytes_per_s, flops: of the card.
        within, between: relative noise of a repetition and of a run, as standard deviations.
        load_s: seconds that loading takes.
        rig: three characters that name the rig whose cards follow it.
    """

    backend: str
    build_number: int = 11312
    build_commit: str = "0c1e57098"
    devices: tuple[StubDevice, ...] = ()
    pp: float = 0.0
    tg: float = 0.0
    bytes_per_s: float = 50e9
    flops: float = 1e12
    within: float = 0.003
    between: float = 0.005
    load_s: float = 0.1
    rig: str = "rig"
    faults: tuple[Fault, ...] = ()

    def text(self) -> str:
        """As the stub reads it.

        Raises:
            ValueError: an unknown fault, or text that would break a line.
        """
        backend = BACKENDS[self.backend]
        lines: list[tuple[object, ...]] = [
            ("build", self.build_number, self.build_commit),
            ("backend", backend.registry_name, backend.device_prefix or "", LIBRARIES.get(self.backend, "")),
            ("rig", self.rig),
            ("rates", self.pp, self.tg),
            ("card", self.bytes_per_s, self.flops),
            ("noise", self.within, self.between),
            ("load", self.load_s),
        ]
        lines += [("device", ",".join(d.nodes), d.name, d.banner, d.pci, d.mib, d.card) for d in self.devices]
        for fault in self.faults:
            if fault.kind not in CONTAINER_FAULTS:
                raise ValueError(f"{fault.kind!r} is not one of {', '.join(CONTAINER_FAULTS)}")
            lines.append(("fault", fault.kind, fault.at, fault.value.replace("\n", "\\n")))
        lines += [("type", number, kind.block, kind.size_bytes) for number, kind in TENSOR_TYPES.items()]
        if any("\t" in str(word) or "\n" in str(word) for line in lines for word in line):
            raise ValueError("a tab or a line feed in a word of the script")
        return "".join("\t".join(map(str, line)) + "\n" for line in lines)

    @property
    def sha256(self) -> str:
        """Names the script."""
        return hashlib.sha256(self.text().encode()).hexdigest()
