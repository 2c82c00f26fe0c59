"""What has an effect outside of the reports is noted in the journal before it is done.

So a start that died tells what it was about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from harness.artifacts.answers import Probe
from harness.values.protocols import ImageStore

Journal = Callable[[str, Mapping[str, object]], None]


class JournalledImages:
    """An image store that notes what it is about to make or fetch."""

    def __init__(self, images: ImageStore, journal: Journal) -> None:
        self._images = images
        self._journal = journal

    def inspect(self, ref: str) -> Mapping[str, object] | None:
        """See `ImageStore.inspect`."""
        return self._images.inspect(ref)

    def build(
        self,
        context: BinaryIO,
        *,
        tag: str,
        build_args: Mapping[str, str],
        labels: Mapping[str, str],
        on_text: Callable[[str], None],
    ) -> str:
        """See `ImageStore.build`."""
        self._journal("building", {"image": tag})
        return self._images.build(context, tag=tag, build_args=build_args, labels=labels, on_text=on_text)

    def pull(self, ref: str, *, idle_timeout_s: float, on_bytes: Callable[[int, int], None]) -> str:
        """See `ImageStore.pull`."""
        self._journal("pulling", {"image": ref})
        return self._images.pull(ref, idle_timeout_s=idle_timeout_s, on_bytes=on_bytes)

    def registry_digest(self, ref: str) -> str:
        """See `ImageStore.registry_digest`."""
        return self._images.registry_digest(ref)

    def import_tar(self, tar: Path, *, tag: str) -> str:
        """See `ImageStore.import_tar`."""
        self._journal("importing", {"image": tag})
        return self._images.import_tar(tar, tag=tag)

    def tag(self, image: str, tag: str) -> None:
        """See `ImageStore.tag`."""
        self._journal("tagging", {"image": image, "tag": tag})
        self._images.tag(image, tag)

    def export(self, image: str, folder: str) -> Iterator[bytes]:
        """See `ImageStore.export`."""
        self._journal("reading image", {"image": image, "folder": folder})
        yield from self._images.export(image, folder)

    def names(self) -> tuple[str, ...]:
        """See `ImageStore.names`."""
        return self._images.names()

    def free_bytes(self) -> int | None:
        """See `ImageStore.free_bytes`."""
        return self._images.free_bytes()


def journalled_probe(probe: Probe, journal: Journal) -> Probe:
    """A probe that notes the container that it is about to start."""

    def ask(image: str, argv: tuple[str, ...]) -> tuple[int | None, str, str]:
        journal("probing", {"image": image, "argv": list(argv)})
        return probe(image, argv)

    return ask
