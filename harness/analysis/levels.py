"""The guide's levels as checks on each cell: use of the device, memory, time to the first token, speed over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from harness.analysis.guide import guide
from harness.analysis.results import CellResult, MachineResults
from harness.analysis.shares import on_processor
from harness.analysis.signs import Signs, signs
from harness.stats.digits import plain, significant
from harness.stats.intervals import counted_samples
from harness.stats.trend import Trend, trend
from harness.values.measurement import LATENCY
from harness.values.telemetry import ThrottleKind

FEWEST_SAMPLES = 8
"""Of a run, before its speed is said to fall or not to."""
MOST_PLACES = 60
"""Samples are put together in so many medians: pairs are compared with each other."""


class Grade(StrEnum):
    """How a figure stands. Between good and warning nothing has to be done, and nothing is promised."""

    GOOD = "good"
    BETWEEN = "in between"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One check of one cell.

    Attributes:
        check: `device use`, `memory`, `first token`, `speed over time`.
        found: the figure with what it is of.
        todo: what to do about a warning; empty otherwise.
    """

    check: str
    grade: Grade
    found: str
    todo: str = ""


def levels(result: CellResult, machine: MachineResults) -> tuple[Level, ...]:
    """The checks of a cell for which there is a figure."""
    seen = signs(result, machine.machine)
    found = (_use(result, seen), _memory(result, machine), _first_token(result), _over_time(result, seen))
    return tuple(level for level in found if level is not None)


def _use(result: CellResult, seen: Signs) -> Level | None:
    good, warning = guide().levels["device_use_percent"]
    processor = on_processor(result)
    percent = seen.busy_percent
    if processor:
        percent = None if seen.cpu_share is None else 100 * seen.cpu_share
    if percent is None:
        return None
    grade = Grade.GOOD if percent >= good else Grade.WARNING if percent < warning else Grade.BETWEEN
    of = f"its {seen.n_threads} threads computed for" if processor else "the device was busy for"
    return Level(
        check="device use",
        grade=grade,
        found=f"{of} {percent:.0f} % of the time",
        todo="See what limits it." if grade is Grade.WARNING else "",
    )


def _memory(result: CellResult, machine: MachineResults) -> Level | None:
    """Of a device its own memory, by everybody; of a processor what its own run held of the machine's.

    A container's charged memory says nothing: the page cache fills it up to its limit.
    """
    if on_processor(result):
        return _host_memory(result, machine)
    shares, told = [], []
    for run in result.observed:
        for trace, summary in zip(run.traces, run.summary.devices, strict=False):
            size = next((d.memory_bytes for d in machine.machine.devices if d.name == trace.subject), None)
            if trace.asked and size and summary.memory_max_bytes is not None:
                shares.append(100 * summary.memory_max_bytes / size)
                told.append(size)
    if not shares:
        return None
    percent = max(shares)
    return _memory_level(percent, f"{percent:.0f} % of {significant(told[0] / 1024**3, 3)} GiB were in use")


def _host_memory(result: CellResult, machine: MachineResults) -> Level | None:
    held = [run.summary.host.container_resident_max_bytes for run in result.observed if run.summary.host]
    known = [size for size in held if size is not None]
    if not known:
        return None
    size = machine.machine.memory_bytes
    percent = 100 * max(known) / size
    return _memory_level(
        percent, f"it held {significant(percent, 2)} % of the machine's {significant(size / 1024**3, 3)} GiB"
    )


def _memory_level(percent: float, found: str) -> Level:
    good, warning = guide().levels["memory_percent"]
    grade = Grade.GOOD if percent < good else Grade.WARNING if percent > warning else Grade.BETWEEN
    todo = "A longer context or another program will not fit." if grade is Grade.WARNING else ""
    return Level(check="memory", grade=grade, found=found, todo=todo)


def _first_token(result: CellResult) -> Level | None:
    found = result.metric("ttft_ms") if result.cell.test.measurement == LATENCY else None
    if found is None:
        return None
    good, warning = guide().levels["first_token_ms"]
    grade = Grade.GOOD if found.median < good else Grade.WARNING if found.median > warning else Grade.BETWEEN
    return Level(
        check="first token",
        grade=grade,
        found=f"{plain(found.median)} ms after the request",
        todo="Shorter prompts, a cached prefix, or faster prompt processing." if grade is Grade.WARNING else "",
    )


def _over_time(result: CellResult, seen: Signs) -> Level | None:
    drift = within_runs(result)
    if drift is None:
        return None
    fell = drift.drifts and drift.change > 0
    share = significant(100 * abs(drift.change), 2)
    change = f"{'slower' if drift.change > 0 else 'faster'} by {share} % from its first to its last"
    if not drift.drifts:
        change = "no steady change"
    return Level(
        check="speed over time",
        grade=Grade.WARNING if fell else Grade.GOOD,
        found=f"over {_lasts(result)}: {change}{_reason(seen) if fell else ''}",
        todo="See to cooling and power limits; short tests of this machine flatter it." if fell else "",
    )


def within_runs(result: CellResult) -> Trend | None:
    """How the time for a token changes within a run, at its median over runs; None where runs are short of samples.

    A run counts alone, so that a warmer day is no drift. The probability is of the median run.
    """
    if result.cell.test.measurement != "bench":
        return None
    found = [trend(_placed(counted_samples(run.samples_ns))) for run in result.runs]
    known = sorted((t for t in found if t is not None), key=lambda t: t.change)
    long = [run for run in result.runs if len(run.samples_ns) >= FEWEST_SAMPLES]
    return known[len(known) // 2] if known and len(long) == len(result.runs) else None


def _placed(samples: Sequence[int]) -> list[float]:
    size = -(-len(samples) // MOST_PLACES)
    return [median(samples[at : at + size]) for at in range(0, len(samples), size)]


def _lasts(result: CellResult) -> str:
    seconds = median(sum(run.samples_ns) for run in result.runs) / 1e9
    return f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.2g} s"  # noqa: PLR2004 - a minute


def _reason(seen: Signs) -> str:
    held = [
        f"{name} held clocks down for {100 * share:.0f} % of the time"
        for kind, name in (
            (ThrottleKind.THERMAL, "heat"),
            (ThrottleKind.HARDWARE, "the hardware"),
            (ThrottleKind.POWER, "the power limit"),
        )
        if (share := (seen.throttled or {}).get(kind, 0.0)) > 0.01  # noqa: PLR2004 - as the rule of validity
    ]
    return "; " + ", ".join(held) if held else "; no reason for lower clocks is known"
