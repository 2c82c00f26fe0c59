"""What a base model thinks of the text, as a file: made once for each image, device and setting, and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from harness.artifacts.models import MODEL_PATH
from harness.engine.running import run
from harness.flows.engines import probe_labels
from harness.flows.listing import cache_mounts, container_environment
from harness.measure.diagnosis import diagnose
from harness.measure.quality import LOGITS_PATH, TEXT_PATH, base_argv
from harness.values.backend import BACKENDS
from harness.values.cell import Cell
from harness.values.container import BindMount, ContainerSpec, Passthrough
from harness.values.facts import ImageFacts, ModelFacts
from harness.values.failure import Failure, Phase, Reason
from harness.values.protocols import Engine

TIMEOUT_S = 3600.0
_ENDING = ".logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitsMaker:
    """Makes the logits of base models, where they are not there yet.

    Args:
        text: the file that every model reads.
        memory_bytes: limit of the containers, that of the runs.
        cancel: ends a container at once.
        journal: told of each container before it is created.
        lock: that is held, a label of the containers; empty where none is.
    """

    engine: Engine
    text: Path
    cache: Path
    memory_bytes: int
    cancel: Event = field(default_factory=Event)
    journal: Callable[[str, Mapping[str, object]], None] = lambda _event, _fields: None
    lock: str = ""

    def logits(self, cell: Cell, base: ModelFacts, *, passthrough: Passthrough, image: ImageFacts) -> Path | Failure:
        """The logits of `base` under the setting of a cell, or why they cannot be had."""
        argv = base_argv(cell, image, passthrough=passthrough)
        if isinstance(argv, Failure):
            return argv
        folder = self.cache / "logits"
        path = folder / f"{self._name(argv, base, image)}{_ENDING}"
        if path.is_file():
            return path
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder, prefix=".making-"))
        try:
            return self._make(argv, base, scratch, path, passthrough=passthrough, image=image, backend=cell.backend)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _name(self, argv: tuple[str, ...], base: ModelFacts, image: ImageFacts) -> str:
        text = hashlib.sha256(self.text.read_bytes()).hexdigest()
        identity = json.dumps([argv, base.sha256, image.id, text])
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    def _make(
        self,
        argv: tuple[str, ...],
        base: ModelFacts,
        scratch: Path,
        path: Path,
        *,
        passthrough: Passthrough,
        image: ImageFacts,
        backend: str,
    ) -> Path | Failure:
        made = scratch / Path(LOGITS_PATH).name
        # The container's user is nobody's: it can write this one file.
        made.touch()
        made.chmod(0o666)
        spec = ContainerSpec(
            name=f"lbh-logits-{os.getpid()}-{os.urandom(4).hex()}",
            image=image.id,
            argv=argv,
            labels=probe_labels(self.lock),
            environment=container_environment(BACKENDS[backend], passthrough),
            mounts=(
                BindMount(source=base.path, target=MODEL_PATH),
                BindMount(source=self.text, target=TEXT_PATH),
                BindMount(source=made, target=LOGITS_PATH, read_only=False),
                *cache_mounts(BACKENDS[backend], image, kernel_caches=self.cache / "kernels"),
            ),
            passthrough=passthrough,
            memory_bytes=self.memory_bytes,
        )
        self.journal("logits", {"image": image.id, "model": base.sha256, "argv": list(argv), "container": spec.name})
        ended = run(self.engine, spec, timeout_s=TIMEOUT_S, cancel=self.cancel)
        if ended.exit_code != 0 or not made.stat().st_size:
            failure = diagnose(ended, backend=backend)
            reason = Reason.MODEL if failure.reason is Reason.MISSING_ROWS else failure.reason
            detail = f"the logits of {base.name} could not be made: {failure.detail}"[:300]
            return Failure(phase=Phase.PREPARE, reason=reason, detail=detail, remedy=failure.remedy)
        made.chmod(0o644)
        made.replace(path)
        return path
