"""A real container for each image that is present, and for each card: does llama-bench start, and see the card?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Event

from harness.engine.running import run
from harness.flows.checkup.cards import Pair, handed_over
from harness.flows.checkup.engine import Answering
from harness.flows.engines import PROBE_LABELS, PROBE_MEMORY_BYTES, PROBE_TIMEOUT_S
from harness.formats.signatures.signature import GIVE_DEVICE
from harness.machine.vendors.nodes import closed_nodes
from harness.measure.diagnosis import diagnose
from harness.measure.listing import judge_listing
from harness.values.container import ContainerExit, ContainerSpec, Passthrough
from harness.values.failure import Failure
from harness.values.finding import Finding, green, red, yellow
from harness.values.matrix import ImageSource
from harness.values.record import Proof

NOT_SEEN = (
    "The container started and its llama.cpp found no such card: see that the image was built for this backend and "
    "card (docs/images.md), and the way by which the engine hands it over."
)


def probe_image(source: ImageSource, image: str, answering: Answering) -> Finding:
    """Whether the image has a llama-bench that starts, without any device."""
    ended = _list_devices(source, image, Passthrough(), answering)
    if ended.exit_code == 0 and not ended.error:
        return green("llama_bench", f"{source.binary_dir}/llama-bench starts", subject=source.name)
    failure = diagnose(ended)
    return red("llama_bench", failure.detail, subject=source.name, todo=failure.remedy, reason=failure.reason)


def probe_cards(found: tuple[Pair, ...], source: ImageSource, image: str, answering: Answering) -> Iterator[Finding]:
    """Whether a container of this image sees each card, under the name and as the card that it should be."""
    for pair in found:
        if pair.image != source.name or not pair.backend.is_gpu:
            continue
        asked = handed_over(pair, answering.facts)
        if isinstance(asked, Failure):
            continue  # told already
        yield _seen(pair, asked, _list_devices(source, image, asked, answering))


def _seen(pair: Pair, asked: Passthrough, ended: ContainerExit) -> Finding:
    told = judge_listing(ended, passthrough=asked, backend=pair.backend, closed=closed_nodes(asked))
    if isinstance(told, Failure):
        # What sends people to the doctor is no answer here.
        todo = NOT_SEEN if told.remedy in {"", GIVE_DEVICE} else told.remedy
        return red("container", told.detail, subject=pair.title, todo=todo, reason=told.reason)
    if told.check.proof is Proof.PROVEN:
        return green("container", f"a container sees it: {told.check.evidence}", subject=pair.title)
    todo = "It is there, and nothing that it prints tells it from another card of its maker."
    return yellow("container", told.check.evidence, subject=pair.title, todo=todo)


def _list_devices(source: ImageSource, image: str, asked: Passthrough, answering: Answering) -> ContainerExit:
    spec = ContainerSpec(
        name=f"lbh-doctor-{os.getpid()}-{os.urandom(4).hex()}",
        image=image,
        argv=(f"{source.binary_dir}/llama-bench", "--list-devices"),
        labels=PROBE_LABELS,
        environment=asked.environment,
        passthrough=asked,
        memory_bytes=PROBE_MEMORY_BYTES,
    )
    return run(answering.engine, spec, timeout_s=PROBE_TIMEOUT_S, cancel=Event())
