"""An engine that runs nothing: scripted ends, for tests of flows and dry runs. What comes from it is `simulated`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Event
from typing import Final

from harness.errors import ArtifactError
from harness.values.container import ContainerExit, ContainerSpec, Line
from harness.values.facts import EngineFacts
from harness.values.failure import Reason
from harness.values.protocols import Running

_TERMINATED: Final = 143

REPLAY_FACTS: Final = EngineFacts(name="Replay", version="1", api_version="", host="replay://")


def scripted(
    stdout: str = "",
    stderr: str = "",
    *,
    exit_code: int | None = 0,
    started_ns: int = 0,
    duration_ns: int = 1_000_000_000,
) -> ContainerExit:
    """An end with this output, its lines spread evenly over the duration; `dataclasses.replace` varies the rest."""

    def lines(text: str) -> tuple[Line, ...]:
        parts = text.splitlines()
        return tuple(
            Line(at_ns=started_ns + duration_ns * (index + 1) // (len(parts) + 1), text=part)
            for index, part in enumerate(parts)
        )

    return ContainerExit(
        exit_code=exit_code,
        container_id="replayed",
        stdout=lines(stdout),
        stderr=lines(stderr),
        stdout_bytes=len(stdout.encode()),
        stderr_bytes=len(stderr.encode()),
        started_ns=started_ns,
        ended_ns=started_ns + duration_ns,
    )


class ReplayEngine:
    """Implements `harness.values.protocols.Engine` from scripted ends.

    Args:
        exits: one end for each container in the order of their start, or a function of the spec.
        images: descriptions of the images that are present, by every reference that may be asked for; each holds `Id`.
        facts: what `facts()` returns.

    Attributes:
        started: the specs of all containers, in order.
        swept: the labels of all sweeps, in order.
        leftovers: names that the next sweep says it removed.
    """

    def __init__(
        self,
        exits: Iterable[ContainerExit] | Callable[[ContainerSpec], ContainerExit] = (),
        *,
        images: Mapping[str, Mapping[str, object]] | None = None,
        facts: EngineFacts = REPLAY_FACTS,
    ) -> None:
        self._next = exits if callable(exits) else _in_order(exits)
        self._images = dict(images or {})
        self._facts = facts
        self.started: list[ContainerSpec] = []
        self.swept: list[Mapping[str, str]] = []
        self.leftovers: tuple[str, ...] = ()

    @property
    def simulated(self) -> bool:
        """True: nothing runs."""
        return True

    def facts(self) -> EngineFacts:
        """The facts that it was made with."""
        return self._facts

    def image_id(self, ref: str) -> str | None:
        """The `Id` of a scripted image; None where there is none."""
        image = self._images.get(ref)
        return None if image is None else str(image["Id"])

    def inspect_image(self, ref: str) -> Mapping[str, object]:
        """The scripted description.

        Raises:
            ArtifactError: there is none.
        """
        try:
            return self._images[ref]
        except KeyError:
            raise ArtifactError("the image is not present", where=ref, reason=Reason.IMAGE.value) from None

    def start(self, spec: ContainerSpec, *, on_line: Callable[[str, str], None] | None = None) -> Running:
        """Note the spec; its end comes from the script.

        Raises:
            LookupError: the script has no further end.
        """
        self.started.append(spec)
        return _Replayed(self._next(spec), on_line)

    def sweep(self, *, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Note the labels; `leftovers` are gone."""
        self.swept.append(dict(labels))
        removed, self.leftovers = self.leftovers, ()
        return removed


class _Replayed:
    """One scripted end. Its lines are told when it is waited for, in the order of their stamps."""

    def __init__(self, outcome: ContainerExit, on_line: Callable[[str, str], None] | None) -> None:
        self._outcome = outcome
        self._on_line = on_line

    @property
    def container_id(self) -> str:
        return self._outcome.container_id

    def wait(self, *, deadline_ns: int, cancel: Event) -> ContainerExit:  # noqa: ARG002 - a script ends when it says
        if cancel.is_set() and not self._outcome.error:
            return replace(
                self._outcome,
                exit_code=_TERMINATED,
                cancelled=True,
                kill_stage="term",
                stdout=(),
                stderr=(),
                stdout_bytes=0,
                stderr_bytes=0,
            )
        if self._on_line is not None:
            told = [("stdout", line) for line in self._outcome.stdout]
            told += [("stderr", line) for line in self._outcome.stderr]
            for stream, line in sorted(told, key=lambda item: item[1].at_ns):
                self._on_line(stream, line.text)
        return self._outcome


def _in_order(exits: Iterable[ContainerExit]) -> Callable[[ContainerSpec], ContainerExit]:
    left = iter(exits)

    def following(spec: ContainerSpec) -> ContainerExit:
        try:
            return next(left)
        except StopIteration:
            msg = f"no end is scripted for {spec.name}: {' '.join(spec.argv)}"
            raise LookupError(msg) from None

    return following
