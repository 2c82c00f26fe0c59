"""What limits each cell: a tree that asks for the plainest cause first, and says which measurement decided.

The order matters. What is outside of llama.cpp (no memory, a quota, other programs, heat) makes every figure below it
meaningless, so it is asked first; bandwidth and arithmetic come last. The bounds stand where they are used, with their
reasons; docs/bottleneck.md says how often they are right about planted causes.
"""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.bottleneck.device import on_device
from harness.analysis.bottleneck.outside import from_outside
from harness.analysis.bottleneck.processor import on_cpu
from harness.analysis.bottleneck.roofline import roofline
from harness.analysis.bottleneck.seen import Seen
from harness.analysis.bottleneck.without_number import without_number
from harness.analysis.limit_words import figures
from harness.analysis.results import CellResult, MachineResults
from harness.analysis.shares import on_processor, shares
from harness.analysis.signs import signs
from harness.values.limit import Diagnosis


def diagnose(result: CellResult, machine: MachineResults) -> Diagnosis | None:
    """What limits this cell; None where it has neither a number nor a failure that says why, and for mixed tests."""
    if result.cell.test.kind not in {"pp", "tg"}:
        return None
    seen = Seen(result=result, machine=machine, signs=signs(result, machine.machine), shares=shares(result, machine))
    if not result.runs:
        return without_number(seen)
    found = from_outside(seen) or (on_cpu(seen) if on_processor(result) else on_device(seen)) or roofline(seen)
    return replace(found, figures=figures(seen.shares, seen.signs, result))
