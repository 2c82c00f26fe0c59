"""The facts of one start, put together once everything is prepared and before the first run."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from harness import __version__
from harness.flows.prepare import Prepared
from harness.flows.read_matrix import Plan
from harness.flows.run_once import utc_now
from harness.flows.source_version import source_version
from harness.flows.workspace import CHECKOUT
from harness.store.sessions import Session
from harness.values.facts import EngineFacts, ImageFacts, MachineFacts, ModelFacts
from harness.values.plan import Group


def new_session(
    session_id: str,
    plan: Plan,
    *,
    machine: MachineFacts,
    engine: EngineFacts,
    prepared: Prepared,
    groups: Iterable[Group],
) -> Session:
    """What was known before the first run."""
    matrix = plan.matrix
    return Session(
        id=session_id,
        started_utc=utc_now(),
        harness_version=__version__,
        harness_source=source_version(CHECKOUT),
        harness_python=platform.python_version(),
        harness_lock_sha256=_sha256(CHECKOUT / "requirements.lock"),
        command=("invoke", *sys.argv[1:]),
        matrix=matrix.name,
        title=matrix.title,
        notes=matrix.notes,
        matrix_sha256=matrix.sha256,
        lock_sha256=plan.lock_sha256,
        preset=matrix.preset.name,
        rounds=matrix.preset.rounds,
        repetitions=matrix.preset.repetitions,
        screening=matrix.preset.screening,
        seed=matrix.seed,
        machine=machine,
        engine=engine,
        images=tuple(found for found in prepared.images.values() if isinstance(found, ImageFacts)),
        models=tuple(found for found in prepared.models.values() if isinstance(found, ModelFacts)),
        cells=plan.cells,
        keys={cell.id: group.key for group in groups for cell in group.cells},
        until=matrix.preset.until,
        price_per_kwh=matrix.price_per_kwh,
    )


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
