"""What searches for the largest context found: what fits, what was too much and why, and what `fit` would have said."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.fit.predict import largest_context
from harness.analysis.memory import cell_context, cpu_kind
from harness.analysis.results import CellResult, MachineResults
from harness.values.backend import BACKENDS
from harness.values.failure import Reason
from harness.values.measurement import CONTEXT
from harness.values.record import Outcome, Record

_TOO_MUCH = frozenset({Reason.OOM_DEVICE, Reason.OOM_HOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLimit:
    """The end of one search.

    Attributes:
        fits: tokens of the largest context that ran; None where none did.
        too_much: tokens of the least that did not; None where the search ended at its own limit.
        why: the reason of that one: out of memory, or `paging` where it ran but its weights did not stay in memory.
        tried: contexts that were tried, in the order of trying.
        memory_bytes: that there was: of the container on a CPU, of the device on a GPU; None where it is not known.
        predicted: tokens that `fit` gives this memory, as llama-server would hold them; None where it cannot say.
    """

    result: CellResult
    fits: int | None
    too_much: int | None
    why: str
    tried: tuple[int, ...]
    memory_bytes: int | None
    predicted: int | None


def context_limits(machine: MachineResults) -> tuple[ContextLimit, ...]:
    """Every search of a machine that has a record."""
    searches = [result for result in machine.cells if result.cell.test.measurement == CONTEXT]
    return tuple(limit for result in searches if (limit := _limit(result, machine)) is not None)


def _limit(result: CellResult, machine: MachineResults) -> ContextLimit | None:
    trials = _trials(result, machine)
    if not trials:
        return None
    good = [tokens for tokens, record, outcome in trials if outcome.ok and not record.invalid]
    fits = result.cell.test.n_prompt if result.runs else max(good, default=None)
    above = [trial for trial in trials if trial[0] > (fits or 0) and _too_much(trial[1], trial[2])]
    worst = min(above, key=lambda trial: trial[0], default=None)
    memory = _memory(result, machine, trials[-1][1])
    return ContextLimit(
        result=result,
        fits=fits,
        too_much=worst[0] if worst else None,
        why=str(worst[2].failure.reason if worst[2].failure else "paging") if worst else "",
        tried=tuple(dict.fromkeys(tokens for tokens, _, _ in trials)),
        memory_bytes=memory,
        predicted=_predicted(result, machine, memory),
    )


def _trials(result: CellResult, machine: MachineResults) -> list[tuple[int, Record, Outcome]]:
    key = next((s.keys[result.cell.id] for s in reversed(machine.sessions) if result.cell.id in s.keys), None)
    return [
        (cell.test.n_prompt, record, outcome)
        for record in machine.records
        if record.run.key == key
        for cell, outcome in zip(record.run.cells, record.outcomes, strict=False)
        if cell.planned_id == result.cell.id and cell.id != result.cell.id
    ]


def _too_much(record: Record, outcome: Outcome) -> bool:
    return outcome.failure.reason in _TOO_MUCH if outcome.failure else bool(record.invalid)


def _memory(result: CellResult, machine: MachineResults, record: Record) -> int | None:
    if not BACKENDS[result.cell.backend].is_gpu:
        limit = record.container.get("memory_bytes")
        return limit if isinstance(limit, int) else None
    known = [d.memory_bytes for d in machine.machine.devices if d.name == result.device and d.memory_bytes]
    return known[0] if known and result.n_devices == 1 else None


def _predicted(result: CellResult, machine: MachineResults, memory: int | None) -> int | None:
    shape = result.model.shape if result.model else None
    if shape is None or memory is None:
        return None
    return largest_context(
        shape,
        cell_context(result.cell),
        memory,
        backend=result.cell.backend,
        cpu=cpu_kind(machine.machine.cpu_flags),
    )
