"""Is a generation rate possible at all? A token reads the weights once, and no device reads faster than its memory.

Advice for the reader of a report: it neither ranks nor rejects anything. The KV cache, which is read too, is not
counted, so that the share is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.analysis.hardware import DataSheet, data_sheet_of
from harness.analysis.results import CellResult

TOO_FAST = 0.95
"""Above this share of the data sheet's bandwidth a rate is not to be believed: of 111 results of llama.cpp's public
scoreboards (7B Q4_0) whose devices have a data sheet here, one is above 0.84, of a device that is mislabelled."""
TOO_SLOW = 0.15
"""Below it a discrete GPU is not what computed: the lowest share of those results is 0.16, of discrete cards 0.30."""
CACHE_BYTES = 1_000_000_000
"""Weights of less than this may lie in a cache, which is faster than the memory, or take less time than starting the
kernels: nothing follows from their rate."""

_ALL_LAYERS = 99


class Verdict(StrEnum):
    """What the share says."""

    PLAUSIBLE = "plausible"
    TOO_FAST = "too fast"
    TOO_SLOW = "too slow"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plausibility:
    """One cell that generates text.

    Attributes:
        sheet: of the device; None where it is in no data sheet here.
        bytes_per_s: weights read in a second; None where that is not known.
        share: of the bandwidth; None where either is not known.
        reason: why it is not observable, or what may be wrong.
    """

    verdict: Verdict
    sheet: DataSheet | None = None
    bytes_per_s: float | None = None
    share: float | None = None
    reason: str = ""


def plausibility(result: CellResult) -> Plausibility | None:
    """Compare a cell's generation rate with what its device's memory can deliver; None for other tests."""
    rate = result.tokens_per_s
    if rate is None or result.cell.test.n_prompt or not result.cell.test.n_gen:
        return None
    bytes_per_token = result.model.bytes_per_token if result.model else None
    reason = _unobservable(result, bytes_per_token)
    sheet = None if reason else data_sheet_of(result.device)
    if not reason and sheet is None:
        reason = "no data sheet of this device here"
    if not reason and sheet and "bandwidth_gb_s" in sheet.doubtful:
        reason = "the bandwidth of this device is doubtful"
    if reason or sheet is None or bytes_per_token is None:
        return Plausibility(verdict=Verdict.UNOBSERVABLE, sheet=sheet, reason=reason)
    bytes_per_s = rate * bytes_per_token
    least, most = sheet.bandwidths_bytes_per_s
    verdict, text = _verdict(result, sheet, at_least=bytes_per_s / most, at_most=bytes_per_s / least)
    share = bytes_per_s / (1e9 * sheet.bandwidth_gb_s)
    return Plausibility(verdict=verdict, sheet=sheet, bytes_per_s=bytes_per_s, share=share, reason=text)


def _verdict(result: CellResult, sheet: DataSheet, *, at_least: float, at_most: float) -> tuple[Verdict, str]:
    if at_least > TOO_FAST:
        return Verdict.TOO_FAST, "implausible: wrong device, wrong model or wrong data sheet"
    discrete = sheet.vendor != "cpu" and not sheet.shared_memory
    # Behind a long context the cache is a large part of what is read, and it is not counted here.
    if discrete and at_most < TOO_SLOW and not result.cell.test.n_depth:
        return Verdict.TOO_SLOW, "very slow for this card: computed elsewhere, throttled, or weights beyond its memory"
    return Verdict.PLAUSIBLE, ""


def _unobservable(result: CellResult, bytes_per_token: int | None) -> str:
    if result.software:
        return "a device in software"
    if result.n_devices > 1:
        return "several devices share the weights"
    if bytes_per_token is None:
        return "bytes read for a token are not known"
    if bytes_per_token < CACHE_BYTES:
        return "the weights may lie in a cache"
    if not _in_one_memory(result):
        return "the weights lie in several memories"
    return ""


def _in_one_memory(result: CellResult) -> bool:
    params = result.cell.params
    if result.cell.backend == "cpu":
        return True
    split = {"tensor_split", "tensor_buft_overrides", "n_cpu_moe"} & params.keys()
    log = result.log
    if log is not None and log.layers_total is not None:
        return not split and log.layers_offloaded == log.layers_total
    return not split and int(params.get("n_gpu_layers", _ALL_LAYERS)) >= _ALL_LAYERS
