"""`invoke whatif`: how fast would another device be? From data sheets and public scoreboards; nothing is run."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from harness.analysis.hardware import DataSheet, data_sheets
from harness.analysis.prediction import (
    ANCHOR_BYTES,
    COVERAGE,
    Prediction,
    Predictor,
    generation,
    point,
    prompt_processing,
)
from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.tables import columns
from harness.stats.digits import fixed, significant
from harness.values.backend import BACKENDS

HOURS_A_SECOND = 1 / 3600
WATTS_A_KILOWATT = 1000
MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What is predicted of one backend on one device; `refused` says why there is nothing.

    Attributes:
        joules_per_token: at the rated power, more than most runs draw: an upper bound; None where it is unknown.
        cost_per_million: of generated tokens at the price of a kilowatt-hour that was given, likewise.
    """

    device: str
    backend: str
    generation: Prediction | None = None
    prompt: Prediction | None = None
    joules_per_token: float | None = None
    cost_per_million: float | None = None
    refused: str = ""


def find_sheet(name: str) -> DataSheet:
    """The device that a person means: by key, by a reported name, or by a part of either.

    Raises:
        InputError: none, or several that differ.
    """
    sheets = data_sheets()
    wanted = name.strip().casefold()
    exact = [s for s in sheets.values() if wanted in {s.id, *(known.casefold() for known in s.names)}]
    words = "*".join(wanted.replace("-", " ").split())
    partly = [
        s
        for s in sheets.values()
        if any(fnmatchcase(text, f"*{words}*") for text in (s.id, *(known.casefold() for known in s.names)))
    ]
    # "rtx 4070" is the card of that name, and not the Ti that holds the same words.
    ending = [s for s in partly if any(fnmatchcase(t, f"*{words}") for t in (s.id, *(k.casefold() for k in s.names)))]
    found = exact or ending or partly
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(s.id for s in found[:8])
        raise InputError(f"{name!r} fits several devices: {several}", where="--gpu", remedy="Name one of them.")
    near = get_close_matches(wanted.replace(" ", "-"), list(sheets), n=3, cutoff=0.5)
    hint = (
        f"Did you mean {', '.join(near)}?" if near else "See harness/analysis/hardware.yaml for those that are known."
    )
    raise InputError(f"no data sheet here is of {name!r}", where="--gpu", remedy=hint)


def predict(sheet: DataSheet, *, price_per_kwh: float | None = None) -> tuple[WhatIf, ...]:
    """What each backend of the data would do on a device with Llama 2 7B Q4_0, flash attention off."""
    tg, pp = generation(), prompt_processing()
    backends = sorted({p.group.split("/")[0] for p in tg.data if p.group.split("/")[1] == sheet.vendor})
    if not backends:
        return (WhatIf(device=sheet.id, backend="", refused=f"no device of {sheet.vendor} is in the scoreboards"),)
    return tuple(_one(sheet, backend, tg, pp, price_per_kwh) for backend in backends)


def _one(sheet: DataSheet, backend: str, tg: Predictor, pp: Predictor, price: float | None) -> WhatIf:
    wanted = point(sheet, backend=backend, flash_attn=False)
    if wanted is None:
        why = "its data sheet here lacks the architecture's year or the FP32 rate"
        return WhatIf(device=sheet.id, backend=backend, refused=why)
    if refused := tg.refusal(wanted):
        return WhatIf(device=sheet.id, backend=backend, refused=refused)
    rate = tg.predict(wanted)
    power = None if "power_w" in sheet.doubtful else sheet.power_w
    joules = power / rate.tokens_per_s if power else None
    cost = None
    if joules is not None and price is not None:
        cost = joules * MILLION * HOURS_A_SECOND / WATTS_A_KILOWATT * price
    return WhatIf(
        device=sheet.id,
        backend=backend,
        generation=rate,
        prompt=None if pp.refusal(wanted) else pp.predict(wanted),
        joules_per_token=joules,
        cost_per_million=cost,
    )


def show_whatif(name: str, *, price: str = "", as_json: bool = False, display: Display | None = None) -> None:
    """Print what is predicted for a device.

    Raises:
        InputError: no such device, or the price is no number.
    """
    display = display or Display()
    sheet = find_sheet(name)
    predicted = predict(sheet, price_per_kwh=_price(price))
    if as_json:
        display.say(json.dumps([asdict(each) for each in predicted], indent=1))
        return
    memory = f"{sheet.memory_gib:g} GiB, " if sheet.memory_gib else ""
    doubt = f"; doubtful: {', '.join(sorted(sheet.doubtful))}" if sheet.doubtful else ""
    display.say(f"{sheet.id}: {memory}{sheet.bandwidth_gb_s:g} GB/s ({sheet.source}{doubt})")
    rows = [
        (
            BACKENDS[each.backend].title if each.backend in BACKENDS else each.backend,
            _shown(each.generation),
            _shown(each.prompt),
            f"at most {significant(each.joules_per_token, 2)}" if each.joules_per_token else "-",
            f"at most {significant(each.cost_per_million, 2)}" if each.cost_per_million else "-",
        )
        for each in predicted
        if not each.refused
    ]
    if rows:
        head = ("backend", "tg128, tokens/s", "pp512, tokens/s", "J a token", "cost of 1M tokens")
        display.say(columns(head if price else head[:-1], rows if price else [row[:-1] for row in rows]))
        display.say(
            f"Predicted, not measured: Llama 2 7B Q4_0 without flash attention, with intervals that cover "
            f"{100 * COVERAGE:.0f} % of devices left out. Weights alone: at most "
            f"{1e9 * sheet.bandwidth_gb_s / ANCHOR_BYTES:.0f} tokens/s. Energy is at the rated power. "
            "docs/whatif.md has the errors."
        )
    for each in predicted:
        if each.refused:
            display.say(f"{each.backend or sheet.id}: nothing is predicted: {each.refused}")


def _shown(found: Prediction | None) -> str:
    if found is None:
        return "outside the data"
    half = (found.high - found.low) / 2
    decimals = max(0, 1 - math.floor(math.log10(half)))
    low, middle, high = (fixed(value, decimals) for value in (found.low, found.tokens_per_s, found.high))
    return f"{middle} ({low} to {high})"


def _price(text: str) -> float | None:
    if not text:
        return None
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < MILLION:
        raise InputError(f"{text!r} is no price", where="--price", remedy="Write it like 0.30, for a kilowatt-hour.")
    return price
