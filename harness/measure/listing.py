"""The proof before: the container that is to measure lists the device that is to be measured. Pure.

llama-bench exits with 0 and lists `(none)` where it found no device: with the backend's library loaded where there is
a driver and no device, without it where there is no driver. Both are told here, before any model is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.formats import llama_log
from harness.formats.device_list import ListedDevice, read_device_list
from harness.formats.signatures.signature import GIVE_DEVICE
from harness.measure.device_match import SeenDevice, compare
from harness.measure.diagnosis import cleaned, decisive, diagnose
from harness.measure.parameters import knows
from harness.values.backend import Backend
from harness.values.bench import LogFacts
from harness.values.container import ContainerExit, Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Check, Proof

CHECK = "device_listed"
OPTION = "--list-devices"

_REFUSED = re.compile(rf"(?:invalid parameter for|unknown) argument: {OPTION}")

_NAME_ANOTHER = "Name the device in the matrix by its index or PCI address; `invoke doctor` lists what there is."
_NO_LIBRARY = (
    "Its libraries need those of the driver, which the engine has to bring into the container: install the vendor's"
    " container toolkit, or use an image that is built for this backend; `invoke doctor` tells which part is missing."
)
_OPEN_IT = (
    "The node's group or mode has changed since the device was looked at, or the engine was not given its group: start "
    "again, and see `ls -ln /dev/kfd /dev/dri` and `invoke doctor`."
)
_NEITHER = "the image lists no device, and does not say why"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The devices were listed, or the build cannot list any.

    Attributes:
        check: what was shown; unobservable where the build has no such option or nothing tells devices apart.
        passthrough: with each device under the name that the list has for it.
    """

    check: Check
    passthrough: Passthrough


def listing_argv(image: ImageFacts) -> tuple[str, ...] | None:
    """The process that lists the devices; None where this build cannot."""
    if not knows(image.flags, OPTION):
        return None
    return (f"{image.binary_dir.rstrip('/')}/llama-bench", OPTION)


def not_listed(passthrough: Passthrough) -> Listed:
    """What is known of a build that cannot list devices: nothing."""
    check = Check(name=CHECK, proof=Proof.UNOBSERVABLE, evidence=f"this build has no {OPTION}")
    return Listed(check=check, passthrough=passthrough)


def judge_listing(
    ended: ContainerExit, *, passthrough: Passthrough, backend: Backend, closed: Sequence[str] = ()
) -> Listed | Failure:
    """Whether a container lists what it was given.

    Args:
        ended: how the container ended that was asked for its devices.
        passthrough: with what is expected of each device; at least one.
        backend: whose devices they are.
        closed: nodes that the container was given and may not open, for people.
    """
    if ended.exit_code and any(_REFUSED.search(line.text) for line in ended.stderr):
        return not_listed(passthrough)  # its --help could not be read
    if ended.error or ended.exit_code != 0 or ended.timed_out or ended.cancelled:
        return diagnose(ended, backend=backend.name)
    listed = [
        device
        for device in read_device_list(line.text for line in ended.stdout)
        if device.name.startswith(backend.device_prefix or "")
    ]
    said = llama_log.read(line.text for line in ended.stderr)
    if not listed:
        return _none(ended, said, backend, passthrough, closed)
    seen = {device.name: _seen(device, said) for device in listed}
    names = _assigned(passthrough, seen)
    if names is None:
        return _another(passthrough, seen)
    expected = tuple(replace(device, name=name) for device, name in zip(passthrough.expected, names, strict=True))
    found = [compare(device, seen[device.name]) for device in expected]
    proof = Proof.UNOBSERVABLE if Proof.UNOBSERVABLE in {proof for proof, _ in found} else Proof.PROVEN
    evidence = "; ".join(f"{device.name} {text}" for device, (_, text) in zip(expected, found, strict=True))
    check = Check(name=CHECK, proof=proof, evidence=cleaned(evidence))
    return Listed(check=check, passthrough=replace(passthrough, expected=expected))


def _seen(device: ListedDevice, said: LogFacts) -> SeenDevice:
    return SeenDevice(
        text=device.description,
        detail=said.device_details.get(device.name, ""),
        memory_bytes=device.memory_bytes,
    )


def _assigned(passthrough: Passthrough, seen: dict[str, SeenDevice]) -> tuple[str, ...] | None:
    """A name of the list for each expected device: its own where that fits, else another that does.

    The Vulkan loader numbers devices as it likes: where several were asked for, the one that was expected as Vulkan0
    can stand there as Vulkan1. None where a device is left without a name.
    """
    return next(_assignments(passthrough, seen, ()), None)


def _assignments(
    passthrough: Passthrough, seen: dict[str, SeenDevice], taken: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """Every way to give each device a name that does not contradict it, the expected names first."""
    if len(taken) == len(passthrough.expected):
        yield taken
        return
    device = passthrough.expected[len(taken)]
    for name in sorted(seen, key=lambda name: name != device.name):
        if name not in taken and compare(device, seen[name])[0] is not Proof.CONTRADICTED:
            yield from _assignments(passthrough, seen, (*taken, name))


def _none(
    ended: ContainerExit, said: LogFacts, backend: Backend, passthrough: Passthrough, closed: Sequence[str]
) -> Failure:
    lines = [line.text for line in ended.stderr]
    found = decisive(lines)
    loaded = said.libraries.get(backend.registry_name)
    if closed and loaded and (found is None or found[0].reason is Reason.NO_DEVICE):
        groups = ", ".join(map(str, passthrough.groups)) or "none"
        detail = f"the container may not open {' and '.join(closed)}; its groups are {groups}"
        return _failure(Reason.PERMISSION, detail, _OPEN_IT)
    if found is not None:
        signature, line = found
        return _failure(signature.reason, line, signature.remedy)
    if said.libraries and not loaded:
        detail = f"the {backend.title} backend was not loaded in the container ({_names(said.libraries)} was)"
        return _failure(Reason.NO_DEVICE, detail, _NO_LIBRARY)
    if loaded:
        detail = f"the {backend.title} backend was loaded in the container and found no device"
        return _failure(Reason.NO_DEVICE, detail, GIVE_DEVICE)
    return _failure(Reason.NO_DEVICE, _NEITHER, GIVE_DEVICE)


def _another(passthrough: Passthrough, seen: dict[str, SeenDevice]) -> Failure:
    """There are devices, but not those that were asked for."""
    against = [
        text
        for device in passthrough.expected
        if device.name in seen
        for proof, text in (compare(device, seen[device.name]),)
        if proof is Proof.CONTRADICTED
    ]
    there = "; ".join(f"{name}: {device.text}" for name, device in seen.items())
    missing = [device.name for device in passthrough.expected if device.name not in seen]
    if against:
        what = "; ".join(against)
    elif missing:
        what = f"{', '.join(missing)} is not listed"
    else:
        what = "they are not the ones asked for"
    return _failure(Reason.WRONG_DEVICE, f"{what} (the container lists {there})", _NAME_ANOTHER)


def _failure(reason: Reason, detail: str, remedy: str) -> Failure:
    return Failure(phase=Phase.PREPARE, reason=reason, detail=cleaned(detail), remedy=remedy)


def _names(libraries: Iterable[str]) -> str:
    return ", ".join(libraries)
