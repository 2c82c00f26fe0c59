"""Power limits of cards for the time of a run. What was in force is written down before anything is changed.

A limit outlives the process that set it. So the old one is on disk first, and whoever starts next and holds the
machine's lock puts it back, however the process before it died.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import MachineError
from harness.formats.strict_json import JsonError, loads
from harness.machine.vendors import VENDORS
from harness.store.files import make_folder, write_whole
from harness.values.facts import Device
from harness.values.failure import Failure, Phase, Reason
from harness.values.protocols import Vendor
from harness.values.record import Check, Proof

NAME = "power-limits.json"
TOLERANCE_W = 1.0
"""Drivers round to whole watts and less."""
MOST_W = 1e6
"""Far above any card: what is more, or less than nothing, was not written by the harness."""
OPTION = "--set-power-limit"


class PowerLimits:
    """Sets and puts back, one run at a time.

    Args:
        state: folder of what has to survive a crash.
        allowed: whether the user said that limits may be changed.
    """

    def __init__(self, state: Path, *, allowed: bool, vendors: Mapping[str, Vendor] = VENDORS) -> None:
        self._file = state / NAME
        self._allowed = allowed
        self._vendors = vendors

    def refusal(self, devices: Sequence[Device], watts: float) -> Failure | None:
        """Why a cell with this limit cannot be run; None where it can. Changes nothing."""
        if not self._allowed:
            return _refused("limits are changed only where that is asked for", f"Add {OPTION} to the command.")
        for device in devices:
            found = self._vendors[device.vendor].power_range(device)
            if isinstance(found, str):
                return _refused(f"{device.name}: {found}", "Leave power_limit_w out, or see to that.")
            if not found.least_w - TOLERANCE_W <= watts <= found.most_w + TOLERANCE_W:
                text = f"{device.name}: {watts:g} W is outside of {found.least_w:g} to {found.most_w:g} W"
                return _refused(text, "Choose a limit that its driver takes.")
        return None

    @contextmanager
    def during(self, devices: Sequence[Device], watts: float) -> Iterator[Callable[[], Check | Failure]]:
        """Hold these devices to a limit until the block is left, then put back what was in force.

        Yields:
            Says, when called at the end of the run, whether the limit was in force: a check, or a failure.
        """
        problem = self._begin(devices, watts)
        try:
            yield lambda: problem or self._held(devices, watts)
        finally:
            # Of other cards the next start tells: they may not be there.
            places = [_place_of(device) for device in devices]
            told = [_told(entry, found) for entry, found in self._put_back() if found and _place(entry) in places]
            if told:
                raise MachineError(
                    "; ".join(told),
                    where="power limit",
                    remedy="Put it back by hand, with the tool of its driver; the next start tries too.",
                )

    def restore(self) -> tuple[str, ...]:
        """Put back what an earlier run, or an earlier start, found in force; what was done, for people.

        Raises:
            MachineError: what was written down cannot be read.
        """
        return tuple(_told(entry, problem) for entry, problem in self._put_back())

    def _put_back(self) -> list[tuple[dict[str, Any], str]]:
        """Each entry of the note with why its limit could not be put back; those stay in it."""
        noted = self._noted()
        if not noted:
            return []
        present = [device for vendor in self._vendors.values() for device in vendor.discover()]
        found = [(entry, self._problem(entry, present)) for entry in noted]
        if kept := [entry for entry, problem in found if problem]:
            write_whole(self._file, json.dumps(kept).encode())
        else:
            self._file.unlink(missing_ok=True)
        return found

    def _problem(self, entry: Mapping[str, Any], present: Sequence[Device]) -> str:
        """Put one limit back. Returns why that cannot be; empty where it is in force."""
        device = next((device for device in present if _place_of(device) == _place(entry)), None)
        if device is None:
            return "it is not there"
        watts = float(entry["watts"])
        return "" if self._in_force(device, watts) else self._vendors[device.vendor].set_power_limit(device, watts)

    def _noted(self) -> list[dict[str, Any]]:
        """What was in force, for each device whose limit was not put back yet.

        Raises:
            MachineError: the file cannot be read, or holds something else.
        """
        try:
            found = loads(self._file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from error
        except JsonError as error:
            raise self._unusable(f"is damaged: {error}") from error
        if not isinstance(found, list) or not all(_is_entry(entry) for entry in found):
            raise self._unusable("is damaged: a list of cards with the watts that were in force is expected")
        return found

    def _unusable(self, what: str) -> MachineError:
        return MachineError(
            what,
            where=str(self._file),
            remedy="A card may still be under a limit that a killed start left: see with the tool of its driver, put "
            "that right by hand, and remove the file.",
        )

    def _begin(self, devices: Sequence[Device], watts: float) -> Failure | None:
        ranges = [(device, self._vendors[device.vendor].power_range(device)) for device in devices]
        for device, found in ranges:
            if isinstance(found, str):
                return _refused(f"{device.name}: {found}", "See to that, and start again.")
        make_folder(self._file.parent)
        before = self._noted()
        # What stands there was in force first: a start was killed since, or the card was not there meanwhile.
        places = [_place(entry) for entry in before]
        before += [
            {"vendor": d.vendor, "pci": d.pci, "name": d.name, "watts": found.now_w}
            for d, found in ranges
            if not isinstance(found, str) and _place_of(d) not in places
        ]
        write_whole(self._file, json.dumps(before).encode())
        for device in devices:
            if problem := self._vendors[device.vendor].set_power_limit(device, watts):
                return _refused(f"{device.name}: {problem}", "See to that, and start again.")
        return None

    def _in_force(self, device: Device, watts: float) -> bool:
        found = self._vendors[device.vendor].power_range(device)
        return not isinstance(found, str) and abs(found.now_w - watts) <= TOLERANCE_W

    def _held(self, devices: Sequence[Device], watts: float) -> Check | Failure:
        for device in devices:
            found = self._vendors[device.vendor].power_range(device)
            if isinstance(found, str) or abs(found.now_w - watts) > TOLERANCE_W:
                now = found if isinstance(found, str) else f"{found.now_w:g} W at the end"
                return _refused(f"{device.name}: {now}, asked for {watts:g} W", "Let nothing else set power limits.")
        return Check(name="power_limit", proof=Proof.PROVEN, evidence=f"{watts:g} W in force at the end of the run")


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    vendor, pci, name, watts = (entry.get(key) for key in ("vendor", "pci", "name", "watts"))
    texts = isinstance(vendor, str) and isinstance(pci, str | None) and isinstance(name, str)
    return texts and isinstance(watts, int | float) and not isinstance(watts, bool) and 0 <= watts <= MOST_W


def _place(entry: Mapping[str, object]) -> tuple[object, object, object]:
    return entry.get("vendor"), entry.get("pci"), entry.get("name")


def _place_of(device: Device) -> tuple[object, object, object]:
    return device.vendor, device.pci, device.name


def _told(entry: Mapping[str, Any], problem: str) -> str:
    return f"{entry['name']}: power limit of {entry['watts']:g} W " + (problem or "is in force again")


def _refused(detail: str, remedy: str) -> Failure:
    return Failure(phase=Phase.PREPARE, reason=Reason.POWER_LIMIT, detail=detail[:300], remedy=remedy)
