"""What `invoke matrix` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from harness.flows.strategy import RoundsBy


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """What the user asked for on the command line; and `rounds_by`, of a flow that knows better than the preset."""

    file: str
    fresh: bool = False
    only: tuple[str, ...] = ()
    machine: str = ""
    strict: bool = False
    gate_wait_s: float = 300.0
    retry_failed: bool = False
    budget_s: float | None = None
    price_per_kwh: float | None = None
    locked: bool = False
    set_power_limit: bool = False
    only_stale: bool = False
    rounds_by: RoundsBy | None = None
