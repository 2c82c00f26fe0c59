"""What all runs of one start have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.flows.gatekeeper import Gate
from harness.flows.prepare import Prepared
from harness.machine.power_limit import PowerLimits
from harness.machine.watch import Watch
from harness.values.protocols import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all runs of one start have in common.

    Attributes:
        session_sha256: hash of the session's facts, which each record repeats.
        power: sets the power limits that cells ask for; None where none may.
        lock: the folder of the lock that is held, which all containers of runs carry as a label.
        identities: of the model files by their keys, taken when their hashes were checked.
    """

    matrix: str
    matrix_sha256: str
    machine: str
    session: str
    session_sha256: str = ""
    repetitions: int
    memory_bytes: int
    kernel_caches: Path
    prepared: Prepared
    identities: Mapping[str, str | None] = field(default_factory=dict)
    engine: Engine
    gate: Gate
    journal: Callable[[str, Mapping[str, object]], None]
    lock: str = ""
    strict: bool = False
    simulated: bool = False
    watch: Watch | None = None
    power: PowerLimits | None = None
