"""The seams of the house. Each is a `Protocol`; who implements it stands in a literal dictionary beside the users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import BinaryIO, Protocol

from harness.values.backend import Backend
from harness.values.bench import LogFacts
from harness.values.cell import Cell
from harness.values.container import BindMount, ContainerExit, ContainerSpec, Passthrough
from harness.values.facts import Device, EngineFacts, ImageFacts, PowerRange
from harness.values.failure import Failure
from harness.values.measured import Asked, Heard
from harness.values.record import Outcome
from harness.values.telemetry import DeviceReading, Window


class Running(Protocol):
    """A started container, to be waited for exactly once. Removing it is part of waiting, in every case."""

    @property
    def container_id(self) -> str:
        """The engine's id of the container."""

    def wait(self, *, deadline_ns: int, cancel: Event) -> ContainerExit:
        """Wait for the end, at most to `deadline_ns` (monotonic clock) or until `cancel` is set; then kill in stages.

        Never raises for what the container or the engine does: that is in the `ContainerExit`.
        """


class Engine(Protocol):
    """A container engine."""

    @property
    def simulated(self) -> bool:
        """True where nothing real is run: what comes from it is marked and kept apart."""

    def facts(self) -> EngineFacts:
        """Version, isolation and devices of the engine.

        Raises:
            EngineError: it does not answer.
        """

    def image_id(self, ref: str) -> str | None:
        """The content id of an image that is present, by tag, digest or id; None where it is absent. Never pulls."""

    def inspect_image(self, ref: str) -> Mapping[str, object]:
        """The engine's own description of an image that is present."""

    def start(self, spec: ContainerSpec, *, on_line: Callable[[str, str], None] | None = None) -> Running:
        """Create and start a container. `on_line(stream, text)` is called for each line while it runs.

        A failure to create or start is told by `Running.wait`, whose `ContainerExit` then has an `error`.
        """

    def sweep(self, *, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Remove all containers with these labels, running or not; the names of those removed."""


class Probe(Protocol):
    """Looks at one device again and again while something runs on it. Used by one thread at a time."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Why fields of the reading have no value, by their name. What a look found is no longer in it."""

    @property
    def substitutes(self) -> Mapping[str, str]:
        """Fields that are had in another way than usual, and how: the memory of chips that share the host's."""

    def read(self) -> DeviceReading:
        """One look. Never raises, and never wakes a device that sleeps: what cannot be had is None."""

    def close(self) -> None:
        """Free what it uses. Never raises."""


class Vendor(Protocol):
    """Who makes a device: finds it, says what a container needs to see it, and looks at it while it works."""

    @property
    def name(self) -> str:
        """By which its devices and `Backend.vendors` know it."""

    def discover(self) -> tuple[Device, ...]:
        """The devices of this vendor, in a stable order; empty where there is none. Never raises, takes no lock."""

    def passthrough(self, devices: Sequence[Device], *, backend: Backend, engine: EngineFacts) -> Passthrough | Failure:
        """The least that makes exactly these devices visible to a container, or why the engine would not do it.

        Args:
            devices: of this vendor, at least one; what is expected of them comes back in the same order.
        """

    def telemetry(self, device: Device) -> Probe:
        """A probe of one device, as this vendor discovered it. Never raises: of what is gone it tells nothing."""

    def power_range(self, device: Device) -> PowerRange | str:
        """The power limit in force and those that can be set, or why none can. Never raises, changes nothing."""

    def set_power_limit(self, device: Device, watts: float) -> str:
        """Set the limit. Never raises.

        Returns:
            Why it could not be set; empty where it was.
        """


class Client(Protocol):
    """Talks to a server in a container while it runs. Made anew for each run."""

    def mounts(self) -> tuple[BindMount, ...]:
        """The folder that client and server share."""

    def user(self) -> str:
        """`uid:gid` that the server has to run as, so that this program can open its socket; empty for nobody's."""

    def talk(self, stop: Event) -> Heard:
        """Say everything, and return what was heard. Ends early when `stop` is set. Never raises."""

    def close(self) -> None:
        """Remove what was shared."""


class Measurement(Protocol):
    """What is run in a container and how its output is read. Knows no vendor and no engine. Reading is pure."""

    def argv(
        self, cells: Sequence[Cell], image: ImageFacts, *, passthrough: Passthrough, repetitions: int, verbose: bool
    ) -> tuple[str, ...] | Failure:
        """The process of a run for its cells; a failure that names what this build cannot do."""

    def client(self, cells: Sequence[Cell], *, repetitions: int, text: Path | None) -> Client | None:
        """Who talks to the process; None where it needs nobody. `text` is what prompts of text are made of."""

    def windows(
        self, cells: Sequence[Cell], ended: ContainerExit, heard: Heard | None, *, begin_ns: int | None
    ) -> tuple[Window, ...]:
        """Which part of the run is what, in the order of time, on the monotonic clock."""

    def judge(
        self, cells: Sequence[Cell], ended: ContainerExit, heard: Heard | None, asked: Asked
    ) -> tuple[Outcome, ...]:
        """Samples with their proofs, or a failure, for each cell in the order given."""

    def log(self, ended: ContainerExit, *, verbose: bool) -> LogFacts | None:
        """What its log says really happened; None where this run does not log it."""


class ImageStoreError(Exception):
    """The engine, or the registry behind it, refused something about an image. Callers add the remedy.

    Args:
        text: the words of the engine or registry.
        status: HTTP status of the engine's answer; None where the refusal came in the middle of a stream.
    """

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class ImageStore(Protocol):
    """The images of a container engine. Every method raises `EngineError` where the engine went away."""

    def inspect(self, ref: str) -> Mapping[str, object] | None:
        """The engine's own description of an image, by tag, digest or id; None where it is absent. Never pulls."""

    def build(
        self,
        context: BinaryIO,
        *,
        tag: str,
        build_args: Mapping[str, str],
        labels: Mapping[str, str],
        on_text: Callable[[str], None],
    ) -> str:
        """Build the `Dockerfile` of a tar stream; `on_text` gets the builder's output in pieces as they come.

        Returns:
            The content id.

        Raises:
            ImageStoreError: a step failed.
        """

    def pull(self, ref: str, *, idle_timeout_s: float, on_bytes: Callable[[int, int], None]) -> str:
        """Fetch an image from its registry; `on_bytes(done, total)` counts the layers seen so far.

        Args:
            ref: reference with a tag or a digest.
            idle_timeout_s: how long the registry may be silent.
            on_bytes: called as the download goes on.

        Returns:
            The content id.

        Raises:
            ImageStoreError: the registry refused, or cannot be reached.
        """

    def registry_digest(self, ref: str) -> str:
        """The digest that a tag has in its registry now. Nothing is pulled.

        Raises:
            ImageStoreError: the registry refused or cannot be reached, or this engine cannot ask it.
        """

    def import_tar(self, tar: Path, *, tag: str) -> str:
        """Make an image of one layer from a root file system; its content id."""

    def tag(self, image: str, tag: str) -> None:
        """Give a present image one more name."""

    def export(self, image: str, folder: str) -> Iterator[bytes]:
        """A folder of an image as a tar stream, in pieces. Nothing of the image is run.

        Raises:
            ImageStoreError: there is no such folder in it.
        """

    def names(self) -> tuple[str, ...]:
        """The names of the images that are present, with their tags."""

    def free_bytes(self) -> int | None:
        """Free space where the engine keeps its images; None where that cannot be seen from here."""
