"""What llama.cpp logs while it loads a model and makes a context (stderr of `llama-bench -v`), from 2024 to now.

llama-bench makes one context a test, and loads the model again where a test needs it. Buffers of one name within one
load or context are added up (a cache for sliding windows is a second cache); between loads and contexts the largest
counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.values.bench import LogFacts

MAX_WARNINGS = 50
_MAX_LINE_CHARS = 1024
_SHOWN_CHARS = 300
_MIB = 1024 * 1024
_LARGEST_MIB = 1e12

_LIBRARY = re.compile(r"load_backend: loaded (\S+) backend from (.+?)\s*$")
_CPU_VARIANT = re.compile(r"ggml-cpu-([A-Za-z0-9_.+-]+?)\.(?:so|dll|dylib)\b")
_DEVICE = re.compile(r"using device (\S+) \((.*)\) - \d+ MiB free")
_DEVICE_ID = re.compile(r"^(.*)\) \((unknown id|[0-9A-Fa-f:.]+)$")
_PCI = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)
# `ggml_..._init: found 1 ... devices (...):`, then a line for each; Vulkan has it in one line.
_FOUND = re.compile(r"_init: found \d+ (\S+) devices")
_FOUND_DEVICE = re.compile(r"^\s*Device (\d+): (\S.*)$")
_VULKAN_DEVICE = re.compile(r"^ggml_vulkan: (\d+) = (\S.*?) \| ")
_OFFLOADED = re.compile(r"offloaded (\d{1,9})/(\d{1,9}) layers to GPU")
_BUFFER = re.compile(r": +(\S.*?) +(model|KV|RS|compute) buffer size += +([\d.]+) MiB")
# Until the end of 2024 the word "model" was not there.
_OLD_MODEL_BUFFER = re.compile(r"llm_load_tensors: +(\S+) +buffer size += +([\d.]+) MiB")
_LOAD_BEGINS = re.compile(r"(?:load_tensors|llm_load_tensors): (?:loading model tensors|ggml ctx size)")
_N_CTX = re.compile(
    r"\b(?:llama_context|llama_new_context_with_model|llama_init_from_model): +n_ctx += +(\d{1,18})\s*$"
)
_FLASH_ATTN = re.compile(
    r"\b(?:llama_context|llama_new_context_with_model|llama_init_from_model): +flash_attn += +(\w+)\s*$"
)
_FLASH_RESOLVED = re.compile(
    r"Flash Attention (?:was auto, set to )?(enabled|disabled)\s*$"
    r"|Flash Attention .*(set to disabled)|flash_attn .*(forcing off)|(enabling) flash_attn"
)
_GRAPH_LINE = re.compile(r"\bgraph(?: \([^)]*\))?: nodes = |\bgraph splits = ")
_SPLITS = re.compile(r"\bsplits += +(\d{1,18})(?: / (\d{1,18}))?(?: \(with [^)]*\), (\d{1,18}))?")

_WARNINGS = re.compile(
    r"^warning: "  # llama-bench itself: asserts, debug build, sanitizer
    r"|^ggml_\w+_init: failed to initialize "
    r"|ggml_vulkan: No devices found"
    r"|Device type is CPU"
    r"|not supported, set to disabled"
    r"|is assigned to device \S+ but"
    r"|forcing off"
    r"|no usable GPU found"
    r"|load_backend: failed|failed to load \S+\.so"
    r"|mmap is not (?:supported|available)"
    r"|tensor overrides to CPU are used with mmap"
    r"|retrying without pipeline parallelism"
    r"|possible training context overflow"
)
_NOT_A_RELEASE_BUILD = re.compile(r"warning: (?:asserts enabled|debug build|sanitizer enabled)")


@dataclass(slots=True)
class _Buffers:
    """Bytes by buffer name: added up within one scope, the largest between scopes."""

    best: dict[str, int] = field(default_factory=dict)
    current: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        for name, size in self.current.items():
            self.best[name] = max(size, self.best.get(name, 0))
        self.current.clear()

    def add(self, name: str, size: int) -> None:
        self.current[name] = self.current.get(name, 0) + size

    def largest(self) -> dict[str, int]:
        self.begin()
        return self.best


def read(lines: Iterable[str]) -> LogFacts:
    """Read the log. Never raises for what the lines say; what they do not say stays None or empty.

    Args:
        lines: of stderr, in order. Without `-v` most facts are missing, but the warnings are there.
    """
    reading = _Reading()
    for line in lines:
        reading.line(line[:_MAX_LINE_CHARS].rstrip("\r\n"))
    return reading.facts()


def not_a_release_build(warnings: Iterable[str]) -> str | None:
    """The line that says that llama-bench is a debug build, or has asserts or a sanitizer; None where none does."""
    return next((line for line in warnings if _NOT_A_RELEASE_BUILD.search(line)), None)


class _Reading:
    """The state of reading one log."""

    def __init__(self) -> None:
        self.libraries: dict[str, str] = {}
        self.cpu_variant: str | None = None
        self.devices: dict[str, str] = {}
        self.device_pci: dict[str, str] = {}
        self.device_details: dict[str, str] = {}
        self.found_prefix = ""
        self.layers: tuple[int, int] | None = None
        self.model = _Buffers()
        self.kv = _Buffers()
        self.compute: dict[str, int] = {}
        self.flash: list[bool | None] = []
        self.splits: int | None = None
        self.n_ctx: int | None = None
        self.warnings: dict[str, None] = {}

    def line(self, text: str) -> None:
        if _WARNINGS.search(text) and len(self.warnings) < MAX_WARNINGS:
            self.warnings[text.strip()[:_SHOWN_CHARS]] = None
        if not (self._at_start(text) or self._at_load(text)):
            self._at_context(text)

    def _at_start(self, text: str) -> bool:
        if match := _LIBRARY.search(text):
            file = re.split(r"[/\\]", match[2])[-1]
            self.libraries[match[1]] = file
            if variant := _CPU_VARIANT.search(file):
                self.cpu_variant = variant[1]
        elif match := _DEVICE.search(text):
            described = _DEVICE_ID.match(match[2])
            self.devices[match[1]] = described[1] if described else match[2]
            if described and (address := _PCI.fullmatch(described[2])):
                self.device_pci[match[1]] = f"{int(address[1], 16):04x}:{address[2].lower()}"
        else:
            return self._found(text)
        return True

    def _found(self, text: str) -> bool:
        """What a backend says of its devices when it is loaded, with or without `-v`."""
        if match := _FOUND.search(text):
            self.found_prefix = match[1]
        elif self.found_prefix and (match := _FOUND_DEVICE.match(text)):
            self.device_details[f"{self.found_prefix}{match[1]}"] = match[2][:_SHOWN_CHARS]
        elif match := _VULKAN_DEVICE.match(text):
            self.device_details[f"Vulkan{match[1]}"] = match[2][:_SHOWN_CHARS]
        else:
            return False
        return True

    def _at_load(self, text: str) -> bool:
        if _LOAD_BEGINS.search(text):
            self.model.begin()
        elif match := _OFFLOADED.search(text):
            self.layers = (int(match[1]), int(match[2]))
        elif match := _BUFFER.search(text):
            self._buffer(match[1], match[2], _number(match[3]))
        elif match := _OLD_MODEL_BUFFER.search(text):
            self._buffer(match[1], "model", _number(match[2]))
        else:
            return False
        return True

    def _buffer(self, name: str, kind: str, mib: float | None) -> None:
        if mib is None:
            return
        size = round(mib * _MIB)
        if kind == "model":
            self.model.add(name, size)
        elif kind == "compute":
            self.compute[name] = max(size, self.compute.get(name, 0))
        else:  # a recurrent state is what such models have in the place of a KV cache
            self.kv.add(name, size)

    def _at_context(self, text: str) -> None:
        if match := _N_CTX.search(text):
            self.kv.begin()
            self.n_ctx = max(int(match[1]), self.n_ctx or 0)
        elif match := _FLASH_ATTN.search(text):
            self.flash.append({"1": True, "enabled": True, "0": False, "disabled": False}.get(match[1]))
        elif match := _FLASH_RESOLVED.search(text):
            self._resolve(enabled=match[1] == "enabled" or match[4] is not None)
        elif _GRAPH_LINE.search(text) and (match := _SPLITS.search(text)):
            self.splits = max(self.splits or 0, *(int(number) for number in match.groups() if number))

    def _resolve(self, *, enabled: bool) -> None:
        """What `auto` became, or what a model or a cache type forced.

        What is forced is said before the context says `flash_attn = `, and then the context says it too; so only
        the choice for `auto`, said afterwards, has to be put in here.
        """
        if self.flash and self.flash[-1] is None:
            self.flash[-1] = enabled

    def facts(self) -> LogFacts:
        flash = set(self.flash)
        if flash >= {True, False}:
            self.warnings["flash attention differs between the contexts of this run"] = None
        return LogFacts(
            libraries=self.libraries,
            cpu_variant=self.cpu_variant,
            devices=self.devices,
            device_pci=self.device_pci,
            device_details=self.device_details,
            layers_offloaded=self.layers[0] if self.layers else None,
            layers_total=self.layers[1] if self.layers else None,
            model_buffers=self.model.largest(),
            kv_buffers=self.kv.largest(),
            compute_buffers=self.compute,
            flash_attn=flash.pop() if len(flash) == 1 else None,
            graph_splits=self.splits,
            n_ctx=self.n_ctx,
            warnings=tuple(self.warnings),
        )


def _number(text: str) -> float | None:
    """The number that a text holds; None for `1.2.3` and for sizes that no machine has."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number < _LARGEST_MIB else None
