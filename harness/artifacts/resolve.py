"""From what a matrix calls an image to what can be had again: its digest in a registry, or its content id here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.artifacts.build_log import Progress
from harness.artifacts.pull import LOCAL_PREFIX, classify_refusal, digest_of, ensure_pulled, parse_reference
from harness.values.matrix import ImageSource
from harness.values.protocols import ImageStore, ImageStoreError


def resolve_image(
    source: ImageSource,
    *,
    store: ImageStore,
    say: Callable[[str], None],
    progress: Progress,
    sleep: Callable[[float], None],
) -> ImageSource:
    """The image with the digest that its tag has now. As it was where it is built here, or lies in no registry.

    The registry is asked first, since the image that is here may be an older one of the same tag.

    Raises:
        InputError: the reference is malformed.
        ArtifactError: it is neither here nor can it be pulled.
    """
    if source.build:
        return source
    reference = parse_reference(source.ref)
    if reference.digest:
        return replace(source, digest=reference.digest)
    described = store.inspect(reference.pullable)
    here = digest_of(described, source.ref) if described is not None else None
    if not reference.repository.startswith(LOCAL_PREFIX):
        try:
            digest = store.registry_digest(reference.pullable)
        except ImageStoreError as error:
            if described is not None:
                what = classify_refusal(error.text, error.status).what
                say(f"{source.ref}: {what}; what is locked is the image that is here")
        else:
            if here and here != digest:
                say(f"{source.ref}: the tag has moved since it was pulled; the new image is locked")
            return replace(source, digest=digest)
    if described is None:
        # Some engines cannot ask a registry without pulling; and its refusal is then told in full.
        described = ensure_pulled(source.ref, store=store, say=say, progress=progress, sleep=sleep)
        here = digest_of(described, source.ref)
    return replace(source, digest=here or "")
