"""How fast would another device be? A small physical model of generation and prompt processing, fitted to scoreboards.

Generating a token takes the time to read the weights plus a time that does not depend on them (starting kernels, what
runs on few threads):

    t = bytes / (efficiency x bandwidth) + overhead

Prompt processing takes operations over the peak that the device has for them, times an efficiency. Efficiencies and
overheads have one value a backend and vendor, drawn towards a common one where there are few devices; the overhead
falls with the year of the architecture until 2022, and differs for memory of stacked dies. All on the log scale, with
weights that make outliers count less and a device that was posted often count once.

Intervals are jackknife+ (Barber, Candes, Ramdas, Tibshirani, Annals of Statistics 49, 2021) over devices left out one
at a time: no shape of the errors is assumed. Architectures that are far from the others' have wider ones of their own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from harness.analysis.hardware import DataSheet
from harness.analysis.scoreboard import Score, scoreboard

ANCHOR_BYTES = 3.76e9
"""Weights of Llama 2 7B Q4_0 that are read for a token: its file less token embeddings, of which one row is read."""
ANCHOR_LAYERS = 32
COVERAGE = 0.9

INTRODUCED = MappingProxyType(
    {
        "Pascal": 2016,
        "Volta": 2017,
        "Turing": 2018,
        "Ampere": 2020,
        "Ada": 2022,
        "Hopper": 2022,
        "Blackwell": 2025,
        "GCN5.1": 2018,
        "CDNA1": 2020,
        "CDNA2": 2021,
        "CDNA3": 2023,
        "RDNA1": 2019,
        "RDNA2": 2020,
        "RDNA3": 2022,
        "RDNA3.5": 2024,
        "RDNA4": 2025,
        "Xe-HPG": 2022,
        "Xe2": 2024,
        "M1": 2020,
        "M2": 2022,
        "M3": 2023,
        "M4": 2024,
    }
)
"""Year in which the first device of an architecture was sold."""
SETTLED = 2022
"""Year from which the overhead is taken to stay as it is: what a kernel waits for to start has not become shorter with
each generation since, and a line through the years before would promise that it goes on."""
STACKED_GB_S = 1300
STACKED = frozenset({"Pascal sm_60", "Volta sm_70", "Ampere sm_80", "Hopper sm_90", "Blackwell sm_100"})
"""Architectures with stacked memory (HBM): much bandwidth, a lower clock, and a longer way to it."""
UNLIKE = frozenset({"Pascal", "Volta", "RDNA1", "Xe-HPG", "Xe2", "GCN5.1"})
"""Architectures without the instructions or the kernels that the others have: their errors are counted apart."""
REACH = 1.6
"""How far beyond the devices of the data, as a factor on bandwidth and on compute, a prediction is still given."""

Array = Any  # numpy's arrays are not typed here


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A rate with the interval that covers nine of ten devices.

    Attributes:
        tokens_per_s: the estimate; low, high: the interval.
        basis: devices of the same backend and vendor that it rests on.
    """

    tokens_per_s: float
    low: float
    high: float
    basis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What the model sees of one line: logarithms of bandwidth (GB/s) and compute (TFLOPS), and what sort it is."""

    device: str
    group: str
    family: str
    bandwidth: float
    compute: float
    year: float
    stacked: bool
    flash_attn: bool
    unlike: bool
    rate: float = 0.0


def point(
    sheet: DataSheet,
    *,
    backend: str,
    flash_attn: bool,
    bandwidth_gb_s: float | None = None,
    compute_share: float = 1.0,
    rate: float = 0.0,
) -> Point | None:
    """A device as the model sees it; None where its data sheet lacks what is needed."""
    architecture = sheet.architecture.split()[0]
    # Quantized kernels follow the plain FP32 rate better than the matrix units' peaks, whose counts differ by product.
    compute = sheet.fp32_tflops
    if architecture not in INTRODUCED or compute is None:
        return None
    return Point(
        device=sheet.id,
        group=f"{backend}/{sheet.vendor}",
        family=architecture,
        bandwidth=math.log(bandwidth_gb_s or sheet.bandwidth_gb_s),
        compute=math.log(compute * compute_share),
        year=(min(INTRODUCED[architecture], SETTLED) - 2021) / 4,
        stacked=sheet.architecture in STACKED,
        flash_attn=flash_attn,
        unlike=architecture in UNLIKE,
        rate=rate,
    )


def points(scores: Iterable[Score], rate: Callable[[Score], float | None]) -> tuple[Point, ...]:
    """The lines of the scoreboards that can be used, in order.

    Args:
        rate: which of the two rates; lines that lack it are left out.
    """
    found = []
    for score in scores:
        value = rate(score)
        # Vulkan through a translation to another API is no backend that anybody would buy a device for.
        if value is None or score.sheet is None or (score.backend, score.sheet.vendor) == ("vulkan", "apple"):
            continue
        made = point(
            score.sheet,
            backend=score.backend,
            flash_attn=score.flash_attn,
            bandwidth_gb_s=score.bandwidth_gb_s,
            compute_share=score.compute_share,
            rate=value,
        )
        if made is not None:
            found.append(made)
    return tuple(found)


class Table:
    """Points as columns, which is what formulas work on."""

    def __init__(self, data: Sequence[Point], groups: Sequence[str]) -> None:
        place = {group: index for index, group in enumerate(groups)}
        # A group that was not in the data takes the place behind the last, where nothing is added.
        self.group = np.array([place.get(p.group, len(groups)) for p in data])
        self.bandwidth = np.array([p.bandwidth for p in data])
        self.compute = np.array([p.compute for p in data]) - 3.8
        self.year = np.array([p.year for p in data])
        self.stacked = np.array([float(p.stacked) for p in data])
        self.flash_attn = np.array([float(p.flash_attn) for p in data])


class Law:
    """One formula for the log of the seconds that a token takes, with normal priors on its parameters.

    Args:
        groups: backends with vendors that have parameters of their own.
    """

    def __init__(self, groups: Sequence[str]) -> None:
        self.groups = tuple(groups)
        self.mean, self.deviation = self._priors()

    def _priors(self) -> tuple[Array, Array]:
        raise NotImplementedError

    def log_seconds(self, parameters: Array, table: Table) -> Array:
        """Natural logarithm of the seconds for a token, one a row of the table."""
        raise NotImplementedError

    @staticmethod
    def _own(parameters: Array, table: Table) -> Array:
        """What each row's group adds to what all have in common."""
        return np.append(parameters, 0.0)[table.group]


class Generation(Law):
    """Weights over bandwidth, plus an overhead; see the module."""

    def __init__(
        self, groups: Sequence[str], *, weights_bytes: float = ANCHOR_BYTES, layers: int = ANCHOR_LAYERS
    ) -> None:
        super().__init__(groups)
        self.weights_gb = weights_bytes / 1e9
        self.layers = layers / ANCHOR_LAYERS

    def _priors(self) -> tuple[Array, Array]:
        n = len(self.groups)
        # efficiency; its own; log of the overhead in ms; its own; year, stacked memory, compute; flash attention
        mean = [-0.15, *[0.0] * n, 0.9, *[0.0] * n, -0.5, 0.3, -0.2, -0.05]
        deviation = [0.1, *[0.1] * n, 1.0, *[0.8] * n, 0.5, 0.5, 0.4, 0.1]
        return np.array(mean), np.array(deviation)

    def log_seconds(self, parameters: Array, table: Table) -> Array:
        """Natural logarithm of the seconds for a token, one a row of the table."""
        n = len(self.groups)
        efficiency = parameters[0] + self._own(parameters[1 : n + 1], table)
        year, stacked, compute, flash = parameters[2 * n + 2 :]
        overhead = parameters[n + 1] + self._own(parameters[n + 2 : 2 * n + 2], table)
        overhead = overhead + year * table.year + stacked * table.stacked + compute * table.compute
        read_s = self.weights_gb / np.exp(table.bandwidth + efficiency)
        return np.log(read_s + self.layers * np.exp(overhead) / 1000) + flash * table.flash_attn


class PromptProcessing(Law):
    """Operations over the peak, as a power law of it."""

    def _priors(self) -> tuple[Array, Array]:
        n = len(self.groups)
        # efficiency; its own; compute, year, bandwidth, stacked memory; flash attention
        mean = [-8.0, *[0.0] * n, -0.8, -0.2, -0.15, 0.0, -0.1]
        deviation = [2.0, *[1.0] * n, 0.3, 0.3, 0.3, 0.5, 0.1]
        return np.array(mean), np.array(deviation)

    def log_seconds(self, parameters: Array, table: Table) -> Array:
        """Natural logarithm of the seconds for a token, one a row of the table."""
        n = len(self.groups)
        compute, year, bandwidth, stacked, flash = parameters[n + 1 :]
        base = parameters[0] + self._own(parameters[1 : n + 1], table) + compute * table.compute + year * table.year
        base = base + stacked * table.stacked + bandwidth * (table.bandwidth - 6.3)
        return base + flash * table.flash_attn


def fit(
    law: Law, data: Sequence[Point], *, start: Array | None = None, scatter: float = 0.08, steps: int = 30
) -> Array:
    """The parameters of greatest posterior density, by Gauss-Newton with weights of a t distribution.

    Args:
        start: parameters to begin with; the priors' means where left out.
        scatter: typical error on the log scale; larger ones count less and less.
    """
    table = Table(data, law.groups)
    wanted = -np.log(np.array([p.rate for p in data]))
    posted = Counter(p.device for p in data)
    once = np.array([1 / math.sqrt(posted[p.device]) for p in data])
    parameters = (law.mean if start is None else start).copy()
    for _ in range(steps):
        now = law.log_seconds(parameters, table)
        error = wanted - now
        weight = once / np.sqrt(1 + (error / scatter) ** 2 / 4)
        slopes = np.empty((len(data), len(parameters)))
        for index in range(len(parameters)):
            moved = parameters.copy()
            moved[index] += 1e-4
            slopes[:, index] = (law.log_seconds(moved, table) - now) / 1e-4
        left = np.vstack([slopes * (weight / scatter)[:, None], np.diag(1 / law.deviation)])
        right = np.concatenate([weight * error / scatter, (law.mean - parameters) / law.deviation])
        step = np.linalg.lstsq(left, right, rcond=None)[0]
        parameters = parameters + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-3:  # noqa: PLR2004 - far below any error
            break
    return parameters


class Predictor:
    """A law fitted to all devices, and to all but each: what a prediction and its interval need.

    Args:
        law: makes the formula from the groups in the data.
        data: lines of the scoreboards.
    """

    def __init__(self, law: Callable[[Sequence[str]], Law], data: Sequence[Point]) -> None:
        self.data = tuple(data)
        self.law = law(sorted({p.group for p in data}))
        self.parameters = fit(self.law, self.data)
        self.without: list[tuple[Array, tuple[tuple[float, bool], ...]]] = []
        for device in sorted({p.device for p in data}):
            kept = [p for p in self.data if p.device != device]
            left_out = [p for p in self.data if p.device == device]
            parameters = fit(self.law, kept, start=self.parameters)
            guessed = -self.law.log_seconds(parameters, Table(left_out, self.law.groups))
            errors = tuple((abs(math.log(p.rate) - float(g)), p.unlike) for p, g in zip(left_out, guessed, strict=True))
            self.without.append((parameters, errors))

    def refusal(self, wanted: Point) -> str:
        """Why nothing is predicted for this device; empty where something is."""
        alike = [p for p in self.data if p.group == wanted.group]
        if not alike:
            return f"no device of {wanted.group} is in the data"
        for what, value in (("bandwidth", wanted.bandwidth), ("compute", wanted.compute)):
            known = [getattr(p, what) for p in self.data]
            if not min(known) - math.log(REACH) <= value <= max(known) + math.log(REACH):
                return f"its {what} lies outside the data"
        return ""

    def predict(self, wanted: Point, *, law: Law | None = None, coverage: float = COVERAGE) -> Prediction:
        """The rate of a device that is not refused.

        Args:
            law: the same formula for another model (other weights, other layers); that of the data where left out.
        """
        law = law or self.law
        table = Table([wanted], law.groups)
        estimate = -float(law.log_seconds(self.parameters, table)[0])
        lows, highs, weights = [], [], []
        for parameters, errors in self.without:
            guess = -float(law.log_seconds(parameters, table)[0])
            for error, unlike in errors:
                if unlike == wanted.unlike:
                    lows.append(guess - error)
                    highs.append(guess + error)
                    weights.append(1 / len(errors))
        beyond = (1 - coverage) / 2
        low, high = _quantile(lows, weights, beyond), -_quantile([-h for h in highs], weights, beyond)
        basis = len({p.device for p in self.data if p.group == wanted.group})
        return Prediction(
            tokens_per_s=math.exp(estimate),
            low=math.exp(min(low, estimate)),
            high=math.exp(max(high, estimate)),
            basis=basis,
        )


def _quantile(values: Sequence[float], weights: Sequence[float], share: float) -> float:
    """The value below which a share of the weight lies, one device more counted at the far end."""
    order = sorted(zip(values, weights, strict=True))
    limit = share * (sum(weights) + 1)
    total = 0.0
    for value, weight in order:
        total += weight
        if total >= limit:
            return value
    return order[-1][0]


def generation(data: Iterable[Score] | None = None) -> Predictor:
    """Predicts tg128 of the anchor model from the scoreboards."""
    return Predictor(Generation, points(scoreboard() if data is None else data, lambda score: score.tg128))


def prompt_processing(data: Iterable[Score] | None = None) -> Predictor:
    """Predicts pp512 of the anchor model from the scoreboards."""
    return Predictor(PromptProcessing, points(scoreboard() if data is None else data, lambda score: score.pp512))
