"""What failures look like: texts of llama.cpp, its backends, drivers and container engines, with the reason of each.

A file for each of those who say them: a new backend or vendor adds its own and a line here. In order of decisiveness
(`Rank`): the first signature that any line matches names the reason.
"""

from __future__ import annotations

from harness.formats.signatures import amd, engines, ggml_cuda, ggml_vulkan, llama_cpp, nvidia
from harness.formats.signatures.signature import Signature


def _by_rank(*parts: tuple[Signature, ...]) -> tuple[Signature, ...]:
    """Most decisive first; within a rank in the order given."""
    return tuple(sorted((signature for part in parts for signature in part), key=lambda signature: signature.rank))


LOG_SIGNATURES = _by_rank(nvidia.LOG, amd.LOG, ggml_cuda.LOG, ggml_vulkan.LOG, llama_cpp.LOG)
"""Lines of standard error."""

ENGINE_SIGNATURES = _by_rank(nvidia.ENGINE, amd.ENGINE, engines.ENGINE)
"""Words of a container engine that could not create or start a container."""


def remedy_of(text: str) -> str:
    """What to do where an engine says this; empty for words that nobody knows."""
    return next((signature.remedy for signature in ENGINE_SIGNATURES if signature.pattern.search(text)), "")
