"""Was a number reproduced? What may be held against what, and the interval that a good reproduction lies in.

The runs of one start scatter less than those of two days: temperatures, other programs, addresses, page placement and
a restart move all runs of a start together, and no number of rounds within one start can see that. So the interval is
the one of Welch's t for the two starts, widened by what is taken for the scatter from start to start. That is one
percent, the drift that the protocol's simulations use, since a single start cannot tell it; it is written into the
reproduction, so that it can be judged with better knowledge later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.analysis.results import CellResult
from harness.stats.students_t import two_sided_quantile
from harness.stats.verdicts import MOST_PERCENT, ratio_of
from harness.stats.welch import compare_apart
from harness.store.reproductions import Conclusion, ReproducedCell
from harness.values.facts import Device, ImageFacts, MachineFacts, ModelFacts

DAY_SD = 0.01
"""Standard deviation from one start to another, as a share of the rate."""
WIDEST = 0.25
"""An interval wider than this would call a quarter of the speed gone *reproduced*: then nothing is said."""

_MANY = 1e6
"""Degrees of freedom of a normal distribution."""
_CONFIDENCE = 0.95


def device_reasons(
    result: CellResult, then: MachineFacts, now: MachineFacts, title: str, devices: Sequence[Device]
) -> tuple[list[str], list[str]]:
    """Why another device forbids the comparison, and what is only to be remarked.

    Args:
        title: what the cell would run on here, as records name it. devices: each of them.
    """
    if title != result.device:
        return [f"device: {result.device} then, {title} here"], []
    if all(device.kind in {"gpu", "integrated"} for device in devices):
        forbidden, remarks = [], []
        for device in devices:
            before = next((known for known in then.devices if known.name == device.name), None)
            if before is not None and before.memory_bytes != device.memory_bytes:
                forbidden.append(
                    f"memory of the device: {before.memory_bytes} bytes then, {device.memory_bytes} bytes here"
                )
            elif before is not None and before.driver != device.driver:
                remarks.append(f"driver of {device.name}: {before.driver} then, {device.driver} here")
        return forbidden, list(dict.fromkeys(remarks))
    reasons = [
        f"{name}: {a} then, {b} here"
        for name, a, b in (
            ("processor", then.cpu_model, now.cpu_model),
            ("physical cores", then.cpu_cores, now.cpu_cores),
            ("usable threads", then.cpu_threads, now.cpu_threads),
        )
        if a != b
    ]
    return reasons, []


def image_reasons(then: ImageFacts | None, now: ImageFacts) -> tuple[list[str], list[str]]:
    """Why another image forbids the comparison, and what is only to be remarked."""
    if then is None:
        return ["image: that of the original is not known"], []
    if then.id == now.id or (then.digest is not None and then.digest == now.digest):
        return [], []
    if then.binaries and then.binaries == now.binaries:
        return [], [f"image {now.name}: another content id, the same programs and libraries byte for byte"]
    build = tuple(f"b{image.build_number} ({image.build_commit})" for image in (then, now))
    if build[0] != build[1]:
        return [f"build: {build[0]} then, {build[1]} here"], []
    if then.recipe_sha256 is not None and then.recipe_sha256 == now.recipe_sha256:
        return [], [f"image {now.name}: built here from the same recipe; {_binaries(then, now)}"]
    what = "recipe" if then.recipe_sha256 and now.recipe_sha256 else "image"
    then_hash, now_hash = (image.recipe_sha256 or image.digest or image.id for image in (then, now))
    if what == "recipe" and then.base and now.base and then.base != now.base:
        what, then_hash, now_hash = "base image", then.base, now.base
    return [f"{what}: {_short(then_hash)} then, {_short(now_hash)} here, of the same build {build[0]}"], []


def _binaries(then: ImageFacts, now: ImageFacts) -> str:
    if not then.binaries or not now.binaries:
        return "whether its programs are the same bytes is not known"
    names = {**then.binaries, **now.binaries}
    other = [name for name in names if then.binaries.get(name) != now.binaries.get(name)]
    return f"{len(other)} of {len(names)} programs and libraries are other bytes ({', '.join(other[:3])})"


def model_reasons(then: ModelFacts | None, now: ModelFacts) -> tuple[list[str], list[str]]:
    """Why another model forbids the comparison, and what is only to be remarked."""
    if then is None:
        return ["model: that of the original is not known"], []
    if then.sha256 == now.sha256:
        return [], []
    if then.tensors_sha256 is not None and then.tensors_sha256 == now.tensors_sha256:
        return [], [f"model {now.name}: another file with the same tensors"]
    return [f"model: SHA-256 {_short(then.sha256)} then, {_short(now.sha256)} here"], []


def unfit(result: CellResult) -> list[str]:
    """Why the original itself has nothing that could be reproduced."""
    if result.simulated:
        return ["the original is simulated"]
    if result.failures and not result.runs:
        return [f"the original has no number: {result.failures[0][1].reason}"]
    if not result.runs:
        what = "has no valid run" if result.invalid else "was not measured: no counted run of it is recorded"
        return [f"the original {what}"]
    if result.screening or len(result.runs) < 2:  # noqa: PLR2004 - one run has no scatter
        return ["the original is screening: one round has no interval"]
    return []


def judge(
    cell: str, first: Sequence[float], second: Sequence[float], *, cells: int, day_sd: float = DAY_SD
) -> ReproducedCell:
    """Whether the second start shows what the first did.

    Args:
        first, second: run values in ns per token, of the original and of the reproduction.
        cells: how many are judged together: their intervals hold all at once with 95 % (Bonferroni).
    """
    base = {"cell": cell, "first_ns_per_token": tuple(first), "second_ns_per_token": tuple(second)}
    compared = compare_apart(first, second, confidence=1 - (1 - _CONFIDENCE) / max(1, cells))
    if compared is None:
        reason = f"{len(second)} runs have a number, and two are needed"
        return ReproducedCell(**base, conclusion=Conclusion.INCONCLUSIVE, reasons=(reason,))  # type: ignore[arg-type]
    of_days = two_sided_quantile(compared.confidence, _MANY) * math.sqrt(2) * math.log1p(day_sd)
    reach = math.hypot(compared.half_width, of_days)
    if reach > math.log1p(WIDEST):
        conclusion = Conclusion.INCONCLUSIVE
        passing = 100 * (ratio_of(reach) - 1)
        wide = f"+-{passing:.0f} %" if passing <= MOST_PERCENT else f"more than +-{MOST_PERCENT} %"
        reasons: tuple[str, ...] = (f"the runs scatter so much that {wide} would pass",)
    else:
        conclusion = Conclusion.REPRODUCED if abs(compared.log_ratio) <= reach else Conclusion.NOT_REPRODUCED
        reasons = ()
    return ReproducedCell(
        **base,  # type: ignore[arg-type]  # fields by name
        conclusion=conclusion,
        reasons=reasons,
        ratio=compared.ratio,
        low=math.exp(-reach),
        high=ratio_of(reach),
    )


def overall(cells: Iterable[ReproducedCell]) -> Conclusion:
    """What all cells say together: one that is not reproduced decides; those that cannot be compared do not count."""
    conclusions = {cell.conclusion for cell in cells}
    for decisive in (Conclusion.NOT_REPRODUCED, Conclusion.INCONCLUSIVE, Conclusion.REPRODUCED):
        if decisive in conclusions:
            return decisive
    return Conclusion.NOT_COMPARABLE


def in_words(cell: ReproducedCell) -> str:
    """`reproduced: +0.4 % (within -2.9 to +3.0 %)`, `not comparable: device: ...`."""
    if cell.reasons or cell.ratio is None or cell.low is None or cell.high is None:
        return f"{cell.conclusion}: {'; '.join(cell.reasons)}" if cell.reasons else str(cell.conclusion)
    low, ratio, high = (100 * (value - 1) for value in (cell.low, cell.ratio, cell.high))
    where = "within" if cell.conclusion is Conclusion.REPRODUCED else "expected within"
    return f"{cell.conclusion}: {ratio:+.1f} % ({where} {low:+.1f} to {high:+.1f} %)"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
