"""The printable ids of cells.

    backend[:image][@device]/model/test[@dDEPTH][/mark,mark...][#label]

    vulkan/gemma3-270m-q4_k_m/tg128@d4096/fa1
    vulkan@software/synthetic-17m-q4_0/pp16
    vulkan:official@1/synthetic-7b-q4_0/pp512/ub1024,fa1#a

Image, device, depth and label are shown where they are not the default, and a mark stands for every parameter that
the matrix sets to something else than the default. Ids depend on the file alone, never on the machine, but for
`device: each`, which stands there as the place of each device.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from harness.values.cell import PARAMETERS, ParameterValue, Test

_UNFIT = re.compile(r"[^A-Za-z0-9._+=:-]+")
_LONGEST = 24


def default_params(backend: str, given: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """What the harness passes where the matrix is silent; depends on `given` for the micro-batch only."""
    params = {p.name: own for p in PARAMETERS.values() if (own := p.default_on(backend)) is not None}
    # A micro-batch is a part of the batch: llama.cpp would cut it down in silence and still print the larger number.
    params["n_ubatch"] = min(int(params["n_ubatch"]), int(given.get("n_batch", params["n_batch"])))
    return params


def cell_id(
    *,
    backend: str,
    image: str,
    device: str,
    model: str,
    test: Test,
    given: Mapping[str, ParameterValue],
    label: str = "",
    beside: tuple[str, ...] = (),
    beside_busy: bool = False,
) -> str:
    """The id of a cell, with `given` the parameters that the matrix sets."""
    defaults = default_params(backend, given)
    where = backend
    where += f":{image}" if image != backend else ""
    where += f"@{device_mark(device)}" if device != "default" else ""
    marks = [
        f"{parameter.short}{_mark(given[name])}"
        for name, parameter in PARAMETERS.items()
        if name in given and given[name] != defaults.get(name)
    ]
    if beside:
        marks.append(f"beside={'+'.join(beside)}" + (":busy" if beside_busy else ""))
    parts = [where, model, test.name] + ([",".join(marks)] if marks else [])
    return "/".join(parts) + (f"#{label}" if label else "")


def device_mark(name: str) -> str:
    """How a cell id shows what its matrix calls a device."""
    return _UNFIT.sub("_", name.strip("*? ")) or "any"


def _mark(value: ParameterValue) -> str:
    text = str(int(value) if isinstance(value, bool) else value)
    slug = _UNFIT.sub("_", text.replace("/", ":"))
    if slug.replace(":", "/") == text and len(slug) <= _LONGEST:
        return slug
    # Patterns of tensor names look alike once they are cut and cleaned: a part of their hash keeps them apart.
    return f"{slug[:_LONGEST]}~{hashlib.sha256(text.encode()).hexdigest()[:6]}"
