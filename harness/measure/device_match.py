"""Is the device that llama.cpp speaks of the one that was asked for? Pure: what it prints against what is expected."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice
from harness.values.record import Proof

MEMORY_SHARES = (0.8, 1.25)
"""Of its memory by NVML or sysfs, what a backend may tell. Drivers keep a part (3 % have been seen), and Vulkan adds up
heaps; cards of one name differ by a third and more."""

_SOFTWARE = re.compile(r"llvmpipe|lavapipe|swiftshader|softpipe", re.IGNORECASE)
_MARKS_OF_MAKERS = re.compile(r"\((?:r|tm|c)\)|®|™", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)*\)")
_MAKERS = re.compile(rf"^(?:{'|'.join(sorted({v for b in BACKENDS.values() for v in b.vendors}))}) ")

_NAMES_OF_MANY = frozenset({"", "gpu", "graphics", "radeon"})
"""What is left of the names of devices that a driver does not know: `AMD Radeon Graphics`. They prove nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDevice:
    """A device as llama.cpp printed it.

    Attributes:
        text: its description: `AMD Radeon RX 7900 XTX (RADV NAVI31)`.
        detail: what the backend said of it at its start; empty where it said nothing.
        pci: None where it does not tell.
        memory_bytes: in all, as listed; None where it was not listed.
    """

    text: str
    detail: str = ""
    pci: str | None = None
    memory_bytes: int | None = None


def is_software(description: str) -> bool:
    """Whether a device description is of one that computes on the CPU, such as Mesa's llvmpipe."""
    return bool(_SOFTWARE.search(description))


def normalised(name: str) -> str:
    """A name without makers and their marks, brackets, case and the word Graphics, so that drivers' names compare."""
    plain = _MARKS_OF_MAKERS.sub("", name)
    plain = _BRACKETS.sub(" ", plain)
    plain = " ".join(plain.casefold().split())
    return _MAKERS.sub("", plain).removesuffix(" graphics")


def compare(expected: ExpectedDevice, seen: SeenDevice) -> tuple[Proof, str]:
    """Whether it is this device, with the evidence in words.

    One thing that differs contradicts. Proven is it by a whole name that all drivers agree upon, by its PCI address or
    by its architecture; a maker's name alone leaves it unobservable.
    """
    for judge in (_software, _place, _architecture, _memory, _name):
        if against := judge(expected, seen):
            return Proof.CONTRADICTED, against
    shown = [
        word
        for word, holds in (
            ("its name", _is_named(expected, seen) and normalised(seen.text) not in _NAMES_OF_MANY),
            (f"PCI address {seen.pci}", expected.pci is not None and seen.pci == expected.pci),
            (" ".join(_found_marks(expected, seen)), bool(_found_marks(expected, seen))),
            ("a software device, as asked for", expected.software),
        )
        if holds
    ]
    if shown:
        return Proof.PROVEN, f"{seen.text}: {', '.join(shown)}"
    wanted = expected.names[0] if expected.names else "the one asked for"
    return Proof.UNOBSERVABLE, f"{seen.text}; nothing printed tells whether it is {wanted}"


def _software(expected: ExpectedDevice, seen: SeenDevice) -> str:
    if is_software(seen.text) == expected.software:
        return ""
    return f"{seen.text}, asked for {'a software device' if expected.software else _asked(expected)}"


def _place(expected: ExpectedDevice, seen: SeenDevice) -> str:
    if seen.pci is None or expected.pci is None or seen.pci == expected.pci:
        return ""
    return f"{seen.text} at {seen.pci}, asked for the one at {expected.pci}"


def _found_marks(expected: ExpectedDevice, seen: SeenDevice) -> tuple[str, ...]:
    """The architectures that are printed, as they stand there."""
    if not expected.marks or not expected.mark_pattern:
        return ()
    found = re.findall(expected.mark_pattern, f"{seen.text}\n{seen.detail}", re.IGNORECASE)
    return tuple(dict.fromkeys(found))


def _architecture(expected: ExpectedDevice, seen: SeenDevice) -> str:
    own = {mark.casefold() for mark in expected.marks}
    others = [mark for mark in _found_marks(expected, seen) if mark.casefold() not in own]
    return f"{seen.text} is {others[0]}, {_asked(expected)} is {expected.marks[0]}" if others else ""


def _memory(expected: ExpectedDevice, seen: SeenDevice) -> str:
    if expected.memory_bytes is None or seen.memory_bytes is None or expected.software:
        return ""
    least, most = (share * expected.memory_bytes for share in MEMORY_SHARES)
    if least <= seen.memory_bytes <= most:
        return ""
    mib = 1024 * 1024
    return f"{seen.text} with {seen.memory_bytes // mib} MiB, {_asked(expected)} has {expected.memory_bytes // mib} MiB"


def _is_named(expected: ExpectedDevice, seen: SeenDevice) -> bool:
    return any(normalised(name) == normalised(seen.text) for name in expected.names)


def _name(expected: ExpectedDevice, seen: SeenDevice) -> str:
    if _is_named(expected, seen) or (expected.exact and not expected.names):
        return ""
    if expected.exact:
        return f"{seen.text}, expected {_asked(expected)}"
    made_by_another = expected.maker.casefold() not in f"{seen.text} {seen.detail}".casefold()
    # "Radeon 8060S Graphics (RADV GFX1151)" holds no maker: the chip's name tells it.
    return f"{seen.text}, expected {expected.maker}" if made_by_another and not _found_marks(expected, seen) else ""


def _asked(expected: ExpectedDevice) -> str:
    return expected.names[0] if expected.names else expected.maker or expected.name
