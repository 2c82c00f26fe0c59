"""Which llama.cpp sources `images/` pins: the one that everything is built from, and others beside it, by build."""

from __future__ import annotations

import difflib
from pathlib import Path

from harness.artifacts.llama_source import LlamaPin, read_pin
from harness.errors import InputError
from harness.values.image_names import build_order

PIN_FILE = "llama.cpp.yaml"
SOURCES = "sources"
"""Folder of the others: `b6110.yaml` pins build 6110."""


def sources_in(images: Path) -> tuple[str, ...]:
    """Names that `source:` can have, the oldest build first."""
    names = (path.stem for path in (images / SOURCES).glob("*.yaml"))
    return tuple(sorted(names, key=build_order))


def read_source(name: str, images: Path) -> LlamaPin:
    """The pin of a source; of the one that everything is built from where the name is empty.

    Raises:
        InputError: there is none of this name, it cannot be read, or it pins another build than its name says.
    """
    if not name:
        return read_pin(images / PIN_FILE)
    path = images / SOURCES / f"{name}.yaml"
    known = sources_in(images)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f". Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{name!r} is not one of {', '.join(known) or '(none)'}{meant}",
            where="source",
            remedy=f"name a file of {images.name}/{SOURCES}/ without its ending, or add one: {images.name}/README.md",
        )
    pin = read_pin(path)
    if f"b{pin.build_number}" != name:
        raise InputError(
            f"it pins build {pin.build_number}, so its name has to be b{pin.build_number}.yaml", where=str(path)
        )
    return pin
