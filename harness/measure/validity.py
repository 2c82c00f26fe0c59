"""Rules by which a run is invalid, declared before and never by looking at its result. It is kept, and not counted.

A limit of power is shown and is no such rule: it is how many cards normally work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.measure.windows import is_timed
from harness.values.cell import Cell
from harness.values.measurement import MEASUREMENTS
from harness.values.record import Violation
from harness.values.telemetry import DeviceSummary, HostSummary, Telemetry, ThrottleKind, WindowSummary

MOST_THROTTLED = 0.01
"""Share of the timed readings in which heat or the hardware may have held the clocks down."""

MOST_SWAPPED_BYTES = 1024 * 1024
"""Moved between memory and swap by anything while samples were taken: less is not felt."""

MOST_MAJOR_FAULTS = 100
"""Of the container while samples were taken. A page of a library that is first used then is one; weights that are read
from disk again are thousands a second."""

MOST_REFAULTS = 4096
"""Pages of the container that were dropped and read again while samples were taken: 16 MiB. Libraries that are used
for the first time after others pressed for memory are a few (2.9 MiB were seen of Mesa); a model that does not stay in
memory is that much a second and more."""

_KINDS = {ThrottleKind.THERMAL: "thermal_slowdown", ThrottleKind.HARDWARE: "hardware_slowdown"}


def violations(telemetry: Telemetry | None, cells: Sequence[Cell] = ()) -> tuple[Violation, ...]:
    """Every rule that a run broke; empty where none was, and where nothing was seen that could tell.

    Args:
        cells: those of the run. What a model's quality is does not depend on how long it took to find out, and its
            program reads a gigabyte of the base's logits: the rules are for what is timed.
    """
    untimed = {cell.id for cell in cells if not MEASUREMENTS[cell.test.measurement].timed}
    timed = [
        summary
        for summary in (telemetry.windows if telemetry else ())
        if is_timed(summary.window) and summary.window.name not in untimed
    ]
    if telemetry is None or not timed:
        return ()
    found: list[Violation] = []
    for index, trace in enumerate(telemetry.devices):
        if trace.asked:
            found += _device(trace.subject, [summary.devices[index] for summary in timed])
    return (*found, *_host(timed))


def _device(name: str, summaries: Sequence[DeviceSummary]) -> Iterator[Violation]:
    told = [(s.throttled, s.readings) for s in summaries if s.throttled is not None]
    readings = sum(count for _, count in told)
    for kind, rule in _KINDS.items():
        share = sum(throttled.get(kind, 0.0) * count for throttled, count in told) / readings if readings else 0.0
        if share > MOST_THROTTLED:
            yield Violation(rule=rule, evidence=f"{name}: in {100 * share:.1f} % of {readings} timed readings")
    foreign = max((s.foreign_processes or 0 for s in summaries), default=0)
    if foreign:
        yield Violation(rule="foreign_process", evidence=f"{name}: {foreign} other processes computed on it")


def _host(timed: Sequence[WindowSummary]) -> Iterator[Violation]:
    rules: tuple[tuple[str, Callable[[HostSummary], int | None], int, str], ...] = (
        ("swap", lambda host: host.swap_bytes, MOST_SWAPPED_BYTES, "bytes moved to or from swap"),
        ("major_faults", lambda host: host.container_major_faults, MOST_MAJOR_FAULTS, "pages read from disk"),
        ("refaults", lambda host: host.container_refaults, MOST_REFAULTS, "pages dropped from memory and read again"),
    )
    hosts = [summary.host for summary in timed if summary.host is not None]
    for rule, field, limit, words in rules:
        total = sum(field(host) or 0 for host in hosts)
        if total > limit:
            yield Violation(rule=rule, evidence=f"{total} {words} while samples were taken, more than {limit}")
