"""The probe of the processor: its argv, and what its one line says. Pure; the program is `images/probe/probe.c`."""

from __future__ import annotations

from harness.formats.strict_json import JsonError, loads
from harness.values.container import ContainerExit
from harness.values.roof import Roof

PROGRAM = "/probe"
PASSES = 5
PASS_MS = 60
"""A second in all: five passes each of reading, of 32-bit and of 8-bit products, and filling the buffer."""
BUFFER_MIB = 512
"""Of desktop and single-die server caches the largest hold a quarter of it. Where a processor has more, what is read
from its cache makes the roof too high, never too low."""

_RATES = ("read_bytes_per_s", "fp32_flops_per_s", "int8_ops_per_s")


def roof_argv(n_threads: int) -> tuple[str, ...]:
    """The process in the container."""
    options = {"--threads": n_threads, "--mib": BUFFER_MIB, "--passes": PASSES, "--ms": PASS_MS}
    return (PROGRAM, *(word for name, value in options.items() for word in (name, str(value))))


def read_roof(ended: ContainerExit, *, n_threads: int, image: str) -> Roof:
    """What the probe said; a roof with a problem where it said nothing that can be used."""
    lines = [line.text for line in ended.stdout if line.text.startswith("{")]
    if ended.error or ended.exit_code != 0 or not lines:
        said = ended.error or " ".join(line.text for line in ended.stderr) or f"it ended with {ended.exit_code}"
        return Roof(n_threads=n_threads, image=image, problem=f"the probe did not run: {said}"[:300])
    try:
        data = loads(lines[-1].encode())
    except JsonError as error:
        return Roof(n_threads=n_threads, image=image, problem=f"the probe's answer cannot be read: {error}"[:300])
    found = data if isinstance(data, dict) else {}
    read, fp32, int8 = (_rates(found.get(name)) for name in _RATES)
    if not read:
        return Roof(n_threads=n_threads, image=image, problem="the probe's answer has no reading rates")
    buffer_bytes = found.get("buffer_bytes")
    return Roof(
        n_threads=n_threads,
        read_bytes_per_s=read,
        fp32_flops_per_s=fp32,
        int8_ops_per_s=int8,
        fp32_kernel=str(found.get("fp32_kernel", "")),
        int8_kernel=str(found.get("int8_kernel", "")),
        buffer_bytes=buffer_bytes if isinstance(buffer_bytes, int) else None,
        image=image,
    )


def _rates(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(isinstance(rate, int) and rate > 0 for rate in value):
        return ()
    return tuple(value)
