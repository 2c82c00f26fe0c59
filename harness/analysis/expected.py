"""A cell against what the guide promises of its card: below, within or above, and what physics says of the promise."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.guide import Promise, guide
from harness.analysis.hardware import data_sheet_of
from harness.analysis.results import CellResult
from harness.values.measurement import LATENCY


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One cell that a promise is about.

    Attributes:
        unit: `tokens/s` or `ms`.
        promised: in words.
        verdict: `below`, `within` or `above` what is promised; `within or ...` where its interval reaches both.
        kept: whether that is as good as promised or better; None where the interval leaves it open.
    """

    promise: Promise
    value: float
    unit: str
    promised: str
    verdict: str
    kept: bool | None


def promise_of(result: CellResult) -> Promise | None:
    """The promise about this cell's card, size and quantization; None where the guide says nothing."""
    model = result.model
    if model is None or model.n_params is None or result.n_devices > 1 or result.software:
        return None
    sheet = data_sheet_of(result.device)
    for promise in guide().promises:
        low, high = promise.params
        if promise.sheet is sheet and promise.quantization == model.file_type and low <= model.n_params <= high:
            return promise
    return None


def expected(result: CellResult) -> Expected | None:
    """Generation at an empty context, or the time to the first token, against the promise; None for other cells."""
    promise = promise_of(result)
    if promise is None or result.cell.test.n_depth:
        return None
    if result.cell.test.kind == "tg":
        return _rate(result, promise)
    return _first_token(result, promise) if result.cell.test.measurement == LATENCY else None


def _rate(result: CellResult, promise: Promise) -> Expected | None:
    rate, interval = result.tokens_per_s, result.interval
    if rate is None:
        return None
    low, high = promise.tokens_per_s
    ends = (rate, rate) if interval is None else (interval.low, interval.high)
    places = sorted({_place(end, low, high) for end in ends}, key=("below", "within", "above").index)
    verdict = " or ".join(places)
    return Expected(
        promise=promise,
        value=rate,
        unit="tokens/s",
        promised=f"{low:g} to {high:g} tokens/s",
        verdict=verdict,
        kept=None if len(places) > 1 and "below" in places else "below" not in places,
    )


def _place(value: float, low: float, high: float) -> str:
    return "below" if value < low else "above" if value > high else "within"


def _first_token(result: CellResult, promise: Promise) -> Expected | None:
    found = result.metric("ttft_ms")
    if found is None or promise.first_token_ms is None or result.cell.test.n_parallel > 1:
        return None
    most = promise.first_token_ms
    ends = (found.median, found.median) if found.interval is None else (found.interval.low, found.interval.high)
    kept = ends[1] < most if (ends[0] < most) == (ends[1] < most) else None
    return Expected(
        promise=promise,
        value=found.median,
        unit="ms",
        promised=f"under {most:g} ms",
        verdict="within" if kept else "within or above" if kept is None else "above",
        kept=kept,
    )
