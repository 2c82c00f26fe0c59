"""The figures behind a diagnosis, as sentences with what they are shares of."""

from __future__ import annotations

import math

from harness.analysis.results import CellResult
from harness.analysis.shares import COMPUTE_BOUND, MEMORY_BOUND, Shares
from harness.analysis.signs import Signs
from harness.stats.digits import plain, significant

OUTDONE = 1.1
"""Of the probe: a run that reads so much faster shows that the probe was held back by something."""
_MOST_DIGITS = 5


def gb(size: float | None) -> str:
    """Bytes as decimal gigabytes, as bandwidths are given."""
    if size is None:
        return "unknown"
    return f"{significant(size / 1e9, 3)} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"  # noqa: PLR2004 - below it MB


def percent(share: float, bound: float | None = None) -> str:
    """`84 %`; two digits below ten, and more where fewer would put it on, or beyond, the `bound` that it is held to."""
    shown = [plain(100 * share, digits) for digits in range(2, _MOST_DIGITS + 1)]
    side = 0 if bound is None else _side(100 * share, 100 * bound)
    kept = (text for text in shown if bound is None or _side(float(text), 100 * bound) == side)
    return f"{next(kept, shown[0])} %"


def _side(value: float, bound: float) -> int:
    """-1 below the bound, 1 above it, 0 on it as far as floating point tells."""
    return 0 if math.isclose(value, bound) else 1 if value > bound else -1


def figures(found: Shares, seen: Signs, result: CellResult) -> tuple[str, ...]:
    """What is read and computed for a token, at what share of what the hardware can; and how CPUs were used."""
    sentences = [_reading(found, result), _computing(found), _cpu_time(seen)]
    return tuple(sentence for sentence in sentences if sentence)


def _reading(found: Shares, result: CellResult) -> str:
    needs, rate = found.traffic, result.tokens_per_s
    if needs.weight_bytes is None or found.bytes_per_s is None or rate is None:
        return ""
    mixture = needs.active is not None and needs.active < 0.5  # noqa: PLR2004 - an embedding alone is less
    cache = "" if needs.cache_bytes is None else f" and {gb(needs.cache_bytes)} of KV cache"
    text = (
        f"A token reads {gb(needs.weight_bytes)} of weights{' (the active experts)' if mixture else ''}{cache}: at "
        f"{significant(rate, 3)} tokens/s {gb(found.bytes_per_s)} a second"
    )
    of = []
    if found.measured_bandwidth is not None and found.roof is not None:
        threads = f"{found.roof.n_threads} thread{'s' if found.roof.n_threads != 1 else ''}"
        outdone = found.measured_bandwidth > OUTDONE
        share = "more than" if outdone else f"{percent(found.measured_bandwidth, MEMORY_BOUND)} of"
        of.append(
            f"{share} the {gb(found.roof.read)} a second that a plain reader with {threads} "
            f"reached in the same container{', which something disturbed' if outdone else ''}"
        )
    if found.sheet_bandwidth is not None and found.sheet is not None:
        share = percent(found.sheet_bandwidth, MEMORY_BOUND)
        of.append(f"{share} of the data sheet's {found.sheet.bandwidth_gb_s:g} GB a second")
    unknown = "" if needs.cache_bytes is not None else " The KV cache is not in it: the header does not tell its size."
    return text + (", " + " and ".join(of) if of else "") + "." + unknown


def _computing(found: Shares) -> str:
    if found.arithmetic is None or found.operations_per_s is None or found.peak is None:
        return ""
    return (
        f"It computes {significant(found.operations_per_s / 1e9, 3)} billion operations a second, "
        f"{percent(found.arithmetic, COMPUTE_BOUND)} of {significant(found.peak / 1e9, 3)} billion {found.peak_name}."
    )


def _cpu_time(seen: Signs) -> str:
    if seen.cpus_used is None or seen.n_threads is None:
        return ""
    others = f"; other programs {seen.foreign_cpus:.2f}" if seen.foreign_cpus is not None else ""
    return f"The container used {seen.cpus_used:.2f} CPUs with {seen.n_threads} threads{others}."
