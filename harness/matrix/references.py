"""Mistakes in a matrix file that a schema cannot see and that can be told without crossing anything.

The data may break the schema in other places: whatever has not the expected kind is passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import Problem
from harness.formats.document import Document, KeyPath
from harness.formats.schema_errors import items, show, suggestion
from harness.matrix.groups import DEVICE_WORDS, TOGETHER, as_list, device_name
from harness.values.backend import BACKENDS
from harness.values.matrix import ModelSource

_SHOWN_NAMES = 12


def check_references(document: Document, registry: Mapping[str, ModelSource]) -> list[Problem]:
    """Unknown models and images, values that stand twice, devices and parameters that a backend cannot have."""
    data = document.data if isinstance(document.data, dict) else {}
    own = _mapping(data.get("models"))
    problems = [
        document.problem(("models", name), f"{show(name)} is in the registry already; choose another name", at_key=True)
        for name in own
        if name in registry
    ]
    models = [*own, *registry]
    images = [*_mapping(data.get("images")), *BACKENDS]
    entries = data.get("cells")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict):
            path: KeyPath = ("cells", index)
            problems += _unknown(document, path, entry, "model", models)
            problems += _unknown(document, path, entry, "against", models)
            problems += _unknown(document, path, entry, "beside", models)
            problems += _unknown(document, path, entry, "draft", models)
            problems += _unknown(document, path, entry, "image", images)
            problems += _twice(document, path, entry)
            problems += _contradictions(document, path, entry)
    return problems


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _values(path: KeyPath, entry: Mapping[str, Any], key: str) -> Iterator[tuple[KeyPath, Any]]:
    value = entry.get(key, [])
    for index, one in enumerate(as_list(value)):
        yield ((*path, key, index) if isinstance(value, list) else (*path, key)), one


def _unknown(
    document: Document, path: KeyPath, entry: Mapping[str, Any], key: str, known: list[str]
) -> Iterator[Problem]:
    for place, name in _values(path, entry, key):
        if isinstance(name, str) and name and name not in known:
            hint = suggestion(name, known) or f" Known: {items(known[:_SHOWN_NAMES])}"
            hint += ", ..." if "Known" in hint and len(known) > _SHOWN_NAMES else ""
            kind = "image" if key == "image" else "model"
            home = (
                "`models` here nor in matrices/models.yaml" if kind == "model" else "`images` here nor a backend's name"
            )
            yield document.problem(place, f"{show(name)} is no {kind}: neither in {home}.{hint}")


def _twice(document: Document, path: KeyPath, entry: Mapping[str, Any]) -> Iterator[Problem]:
    for key in entry:
        seen: set[str] = set()
        for place, value in _values(path, entry, key):
            # By text: 1 and true are the same for llama-bench, and lists have no hash.
            text = str(int(value) if isinstance(value, bool) else value)
            if text in seen:
                yield document.problem(place, f"{text[:60]} stands twice in this list; remove one")
            seen.add(text)


def _not_together(device: str) -> str:
    """What is wrong with names joined by `+`; empty where nothing is."""
    parts = [part.strip() for part in device.split(TOGETHER)]
    words = [part for part in parts if part.lower() in DEVICE_WORDS]
    if not all(parts):
        return f'{show(device)} lacks a device beside a `+`; name one on each side, as in "0+1"'
    if words:
        return f'`{words[0]}` cannot be one of several; name each device, as in "0+1", or write `device: all`'
    twice = [part for index, part in enumerate(parts) if part.lower() in {p.lower() for p in parts[:index]}]
    return f"{show(device)} names {twice[0]} twice; name each device once" if twice else ""


def _contradictions(document: Document, path: KeyPath, entry: Mapping[str, Any]) -> Iterator[Problem]:
    backend = BACKENDS.get(entry["backend"]) if isinstance(entry.get("backend"), str) else None
    if backend is None:
        return
    for place, value in _values(path, entry, "device"):
        device = device_name(value)
        if not backend.is_gpu and device != "default":
            yield document.problem(place, f"{backend.name} has no devices to choose from; leave `device` out")
        elif device == "software" and backend.name != "vulkan":
            yield document.problem(place, f"only vulkan has a software device, {backend.name} has none")
        elif TOGETHER in device and (what := _not_together(device)):
            yield document.problem(place, what)
    if not backend.is_gpu:
        for place, layers in _values(path, entry, "n_gpu_layers"):
            if isinstance(layers, int) and layers > 0:
                yield document.problem(place, f"{backend.name} offloads no layers; leave `n_gpu_layers` out")
