"""One entry of `cells` as a value: single values become lists, llama.cpp's several ways to name a test become one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.values.cell import PARAMETERS, Parameter, ParameterValue
from harness.values.matrix import CellGroup
from harness.values.measurement import BENCH, CONTEXT, LOAD, QUALITY, RANDOM

DEFAULT_TESTS = ((512, 0), (0, 128))
"""llama-bench's own."""

DEFAULT_REQUEST = (512, 64)
"""Tokens of prompt and generation, of measurements that always do both."""

QUALITY_CONTEXT = 512
"""Tokens of each chunk of the text, as in the tables that llama.cpp publishes."""

DEVICE_WORDS = ("default", "software", "each", "all")
"""Names of devices that mean something else than a part of a card's name."""

TOGETHER = "+"
"""Between the names of devices that are used together."""

_TEST = re.compile(r"(?:pp(?P<prompt>[0-9]+))?\+?(?:tg(?P<gen>[0-9]+))?")


def as_list(value: Any) -> list[Any]:
    """A value or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def device_name(value: Any) -> str:
    """How a matrix names a device, with the words that have a meaning in lower case."""
    text = str(value).strip()
    return text.lower() if text.lower() in DEVICE_WORDS else text


def seconds(text: str) -> int:
    """Of a time such as `10m`, `90s` or `1h`, as the schema has it."""
    return int(text[:-1].strip()) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def parse_group(index: int, entry: Mapping[str, Any]) -> CellGroup:
    """A valid entry, before crossing."""
    backend = str(entry["backend"])
    measurement = str(entry.get("measure", BENCH))
    return CellGroup(
        index=index,
        backend=backend,
        images=tuple(as_list(entry.get("image", backend))),
        models=tuple(as_list(entry["model"])),
        devices=tuple(device_name(device) for device in as_list(entry.get("device", "default"))),
        labels=tuple(as_list(entry.get("label", ""))),
        tests=_tests(entry) or DEFAULT_TESTS if measurement == BENCH else _requests(entry, measurement),
        depths=tuple(int(depth) for depth in as_list(entry.get("n_depth", 0))),
        params={
            name: tuple(_value(PARAMETERS[name], value) for value in as_list(entry[name]))
            for name in entry
            if name in PARAMETERS
        },
        timeout_s=float(entry["timeout"]) if "timeout" in entry else None,
        measurement=measurement,
        parallel=tuple(int(n) for n in as_list(entry.get("parallel", 1))),
        against=str(entry.get("against", "")),
        beside=tuple(str(name) for name in as_list(entry.get("beside", []))),
        beside_busy=entry.get("beside_load") == "busy",
        prompts=tuple(str(word) for word in as_list(entry.get("prompts", RANDOM))),
        draft=str(entry.get("draft", "")),
        cold=tuple(word == "cold" for word in as_list(entry.get("page_cache", "warm"))),
        sustained_s=tuple(seconds(text) for text in as_list(entry.get("sustained", "0s"))),
    )


def _requests(entry: Mapping[str, Any], measurement: str) -> tuple[tuple[int, int], ...]:
    """Prompt and generation together, crossed: other programs than llama-bench always do both. Loading does neither."""
    if measurement == LOAD:
        return ((0, 0),)
    if measurement == CONTEXT:
        # 0: as long as the model was trained for.
        return tuple((int(n), 0) for n in as_list(entry.get("n_prompt", 0)))
    if measurement == QUALITY:
        return tuple((int(n), 0) for n in as_list(entry.get("n_prompt", QUALITY_CONTEXT)))
    named = tuple(_test(name) for name in as_list(entry.get("tests", [])))
    prompts, generations = as_list(entry.get("n_prompt", [])), as_list(entry.get("n_gen", []))
    if named and not prompts and not generations:
        return named
    default_prompt, default_gen = DEFAULT_REQUEST
    return (*named, *((int(p), int(n)) for p in prompts or [default_prompt] for n in generations or [default_gen]))


def _tests(entry: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    named = [_test(name) for name in as_list(entry.get("tests", []))]
    prompts = [(int(n), 0) for n in as_list(entry.get("n_prompt", []))]
    generations = [(0, int(n)) for n in as_list(entry.get("n_gen", []))]
    both = [(int(pair[0]), int(pair[1])) for pair in entry.get("pg", [])]
    return (*named, *prompts, *generations, *both)


def _test(name: str) -> tuple[int, int]:
    match = _TEST.fullmatch(name)
    return (int(match["prompt"] or 0), int(match["gen"] or 0)) if match else (0, 0)


def _value(parameter: Parameter, value: ParameterValue) -> ParameterValue:
    # true and false are 1 and 0 for llama-bench; 512.0 is a whole number for JSON Schema.
    return int(value) if parameter.kind in ("int", "bool") or isinstance(value, (bool, float)) else value
