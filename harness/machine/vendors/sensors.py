"""Small files of sysfs that hold one value: read, or missing with the reason."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.machine.vendors.pci import entries, read_text
from harness.machine.vendors.probing import MissingError


def required(path: Path) -> str:
    """The text of a file.

    Raises:
        MissingError: for good where it is absent or closed; for now where the driver does not answer.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"there is no {path.name}", for_good=True) from None
    except PermissionError:
        raise MissingError(f"{path.name} may not be read", for_good=True) from None
    except OSError as error:
        # EBUSY, ENODATA, EOPNOTSUPP: the card does not have it, or not just now.
        raise MissingError(f"{path.name}: {os.strerror(error.errno or 0)}") from None
    if not text:
        raise MissingError(f"{path.name} is empty")
    return text


def integer(path: Path) -> int:
    """The integer in a file, decimal or with `0x`.

    Raises:
        MissingError: there is none.
    """
    text = required(path)
    try:
        return int(text, 0)
    except ValueError:
        raise MissingError(f"{path.name} holds no number: {text[:40]!r}") from None


class Hwmon:
    """The sensors of one driver, by the labels that it gives them: their numbers differ between cards.

    Args:
        folder: that has the `hwmon*` folders.
        name: the driver's, as in the file `name`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._found: Path | None = None
        self._labels: dict[tuple[str, str], Path] = {}

    def _sensor(self) -> Path:
        # Looked for again while it is absent: a card that slept had none.
        if self._found is None or not self._found.exists():
            self._labels.clear()
            named = (path for path in entries(self._folder, "hwmon*") if read_text(path / "name") == self._name)
            self._found = next(named, None)
        if self._found is None:
            raise MissingError(f"the driver has no sensors called {self._name}")
        return self._found

    def first(self, *names: str) -> int:
        """The integer of the first of these files that has one.

        Raises:
            MissingError: none has.
        """
        sensor = self._sensor()
        for name in names:
            try:
                return integer(sensor / name)
            except MissingError:
                continue
        raise MissingError(f"there is no {' or '.join(names)}")

    def labelled(self, kind: str, *labels: str) -> int:
        """The integer of the first sensor of a kind (`temp`, `freq`, `energy`) that has one of these labels.

        Raises:
            MissingError: there is no such sensor, or it does not answer.
        """
        sensor = self._sensor()
        for label in labels:
            if (kind, label) not in self._labels:
                for file in entries(sensor, f"{kind}*_label"):
                    if text := read_text(file):
                        self._labels.setdefault((kind, text), file.with_name(re.sub("_label$", "_input", file.name)))
            if found := self._labels.get((kind, label)):
                return integer(found)
        raise MissingError(f"there is no {kind} sensor called {' or '.join(labels)}")
