"""What all probes have in common: every field is asked by itself, and one that fails costs the others nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from harness.values.telemetry import DEVICE_FIELDS, DeviceReading

SLOW_EVERY_NS = 1_000_000_000
"""Fields that are slow to ask, or change seldom, are asked at most this often and keep their value between."""


class MissingError(Exception):
    """A field cannot be had.

    Args:
        reason: for people.
        for_good: it will not come: the field is not asked again.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


class FieldProbe:
    """A probe made of one getter a field.

    Args:
        getters: by the field's name: gives the value or raises `MissingError`.
        missing: why there is no getter for the others; the rest gets a general reason.
        slow: fields that are asked once a second only.
        asleep: why nothing may be asked just now (a suspended card would be woken); None where it may.
        close: frees what the getters use.
        clock: monotonic, in ns.
    """

    def __init__(
        self,
        getters: Mapping[str, Callable[[], Any]],
        *,
        missing: Mapping[str, str] | None = None,
        slow: frozenset[str] = frozenset(),
        asleep: Callable[[], str | None] = lambda: None,
        close: Callable[[], object] = lambda: None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._getters = dict(getters)
        self._missing = {name: "the driver does not tell" for name in DEVICE_FIELDS if name not in getters}
        self._missing |= missing or {}
        self._substitutes: dict[str, str] = {}
        self._slow = slow
        self._kept: dict[str, Any] = {}
        self._kept_at_ns: int | None = None
        self._asleep = asleep
        self._close = close
        self._clock = clock

    @property
    def missing(self) -> Mapping[str, str]:
        """Why a field had no value when it was last asked."""
        return dict(self._missing)

    @property
    def substitutes(self) -> Mapping[str, str]:
        """Fields that are had in another way than usual, and how."""
        return dict(self._substitutes)

    def substitute(self, field: str, how: str) -> None:
        """Say that a field is had in another way than usual."""
        self._substitutes[field] = how

    def read(self) -> DeviceReading:
        """Ask for everything once. Never raises: what fails is None, and `missing` says why."""
        at_ns = self._clock()
        if not self._getters:
            return DeviceReading(at_ns=at_ns)
        if why := self._asleep():
            self._missing |= dict.fromkeys(self._getters, why)
            return DeviceReading(at_ns=at_ns)
        values: dict[str, Any] = {}
        refresh = self._kept_at_ns is None or at_ns - self._kept_at_ns >= SLOW_EVERY_NS
        if refresh:
            self._kept_at_ns = at_ns
        for name, getter in list(self._getters.items()):
            if name in self._slow and not refresh:
                values[name] = self._kept.get(name)
                continue
            values[name] = self._ask(name, getter)
            if name in self._slow:
                self._kept[name] = values[name]
        return DeviceReading(at_ns=at_ns, **values)

    def _ask(self, name: str, getter: Callable[[], Any]) -> Any:
        try:
            value = getter()
        except MissingError as error:
            self._missing[name] = error.reason
            if error.for_good:
                del self._getters[name]
            return None
        except Exception as error:  # noqa: BLE001 - a driver's surprise must not cost the run
            self._missing[name] = f"{type(error).__name__}: {error}"[:200]
            return None
        self._missing.pop(name, None)
        return value

    def close(self) -> None:
        """Free what the getters use. Never raises."""
        with suppress(Exception):
            self._close()


def blind(reason: str) -> FieldProbe:
    """A probe of a device of which nothing can be told."""
    return FieldProbe({}, missing=dict.fromkeys(DEVICE_FIELDS, reason))
