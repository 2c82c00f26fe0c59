"""Energy for a token: net of idle power, prompt and generation apart, or why it is not known.

Of the devices that computed alone: for a GPU its board, for a processor its packages as RAPL counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from harness.analysis.observed import Observed
from harness.analysis.results import CellResult, MachineResults
from harness.analysis.shares import on_processor
from harness.analysis.signs import signs
from harness.values.measurement import BENCH
from harness.values.telemetry import DeviceSummary, Trace

SHORTEST_S = 5
"""Below it no energy is summed up: power is averaged by drivers and comes late (`measure/summaries.py`)."""
OTHERS = 0.1
"""Share of the machine's CPUs in use by others from which a processor's energy is not the cell's alone."""
_J_PER_KWH = 3.6e6
_MILLION = 1e6


class Validity(StrEnum):
    """Why there is a figure, or none."""

    VALID = "valid"
    UNSEEN = "unseen"
    """There is no telemetry of its timed part."""
    UNTIMED = "untimed"
    """More is in its window than its samples: a depth was filled."""
    TOO_SHORT = "too_short"
    NO_SENSOR = "no_sensor"
    """A device tells neither energy nor power."""
    NO_IDLE = "no_idle"
    """Its idle power is not known."""
    OTHERS = "others"
    """Other programs used the processor meanwhile, and its counter is everybody's."""
    BELOW_IDLE = "below_idle"
    """No more than idle power was used: the sensor is too coarse for this, or idle was not idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEnergy:
    """Of one cell: medians over its counted runs.

    Attributes:
        net_j, gross_j: for a token, without and with idle power; None where it is not valid.
        reason: why there is none; empty where there is.
    """

    validity: Validity
    net_j: float | None = None
    gross_j: float | None = None
    reason: str = ""

    @property
    def tokens_per_j(self) -> float | None:
        """Net of idle power."""
        return 1 / self.net_j if self.net_j else None

    @property
    def kwh_per_million(self) -> float | None:
        """For a million tokens, net of idle power."""
        return None if self.net_j is None else self.net_j * _MILLION / _J_PER_KWH

    def cost_per_million(self, price_per_kwh: float) -> tuple[float, float] | None:
        """Of a million tokens, without and with idle power, in the currency of the price."""
        if self.net_j is None or self.gross_j is None:
            return None
        step = price_per_kwh * _MILLION / _J_PER_KWH
        return self.net_j * step, self.gross_j * step


def token_energy(result: CellResult, machine: MachineResults) -> TokenEnergy | None:
    """The energy of a cell; None for what is no test of llama-bench's or has no number, and for mixed tests."""
    if result.cell.test.measurement != BENCH or result.cell.test.kind == "pg" or not result.runs:
        return None
    why = _spoiled(result, machine)
    if why is not None:
        return why
    net = _per_token(result, lambda summary: summary.net_energy_j)
    gross = _per_token(result, lambda summary: summary.energy_j)
    if net is None:
        return _unknown(result, gross)
    if net <= 0:
        return TokenEnergy(validity=Validity.BELOW_IDLE, reason="no more than its idle power was seen")
    return TokenEnergy(validity=Validity.VALID, net_j=net, gross_j=gross)


def _spoiled(result: CellResult, machine: MachineResults) -> TokenEnergy | None:
    """Why a figure, if there is one, would not be of its tokens."""
    if not result.observed or not any(_asked(run) for run in result.observed):
        return TokenEnergy(validity=Validity.UNSEEN, reason="no device was looked at meanwhile")
    if any(run.summary.window.untimed for run in result.observed):
        return TokenEnergy(validity=Validity.UNTIMED, reason="the filling of its depth is in the window too")
    foreign = signs(result, machine.machine).foreign_cpus
    if on_processor(result) and foreign is not None and foreign > OTHERS * machine.machine.cpu_threads:
        reason = f"other programs used {foreign:.2f} CPUs meanwhile, and the counter is everybody's"
        return TokenEnergy(validity=Validity.OTHERS, reason=reason)
    return None


def _unknown(result: CellResult, gross: float | None) -> TokenEnergy:
    missing = _missing(result)
    if missing:
        return TokenEnergy(validity=Validity.NO_SENSOR, reason=missing)
    lasted_s = min(run.summary.window.end_ns - run.summary.window.begin_ns for run in result.observed) / 1e9
    if lasted_s < SHORTEST_S:
        reason = f"the test lasted {lasted_s:.1f} s; {SHORTEST_S} are needed: more repetitions or tokens, or sustained"
        return TokenEnergy(validity=Validity.TOO_SHORT, reason=reason)
    if gross is None:
        return TokenEnergy(validity=Validity.NO_SENSOR, reason="a device did not tell in some window")
    return TokenEnergy(validity=Validity.NO_IDLE, reason="the device was not looked at before the container")


def _asked(run: Observed) -> list[tuple[Trace, DeviceSummary]]:
    return [(trace, s) for trace, s in zip(run.traces, run.summary.devices, strict=False) if trace.asked]


def _missing(result: CellResult) -> str:
    """Why a device tells neither energy nor power; empty where all tell one of them."""
    for run in result.observed:
        for trace, summary in _asked(run):
            if "energy_j" in trace.missing and "power_w" in trace.missing and summary.energy_j is None:
                return f"{trace.subject}: {trace.missing['energy_j']}"
    return ""


def _per_token(result: CellResult, of: Callable[[DeviceSummary], float | None]) -> float | None:
    """The median over runs of all devices' joules for a token; runs in which one of them does not tell are left out."""
    tokens = {run.round: len(run.samples_ns) * result.cell.test.n_tokens for run in result.runs}
    found = []
    for run in result.observed:
        joules = [of(summary) for _, summary in _asked(run)]
        known = [value for value in joules if value is not None]
        if known and len(known) == len(joules) and tokens.get(run.round):
            found.append(sum(known) / tokens[run.round])
    return median(found) if found else None
