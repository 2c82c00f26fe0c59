"""Causes of cells that compute on a GPU: heat, layers that stayed behind, a host that does not keep up, power."""

from __future__ import annotations

from harness.analysis.bottleneck.seen import COOLER, Seen, cpus
from harness.analysis.limit_words import percent
from harness.analysis.shares import layers_on_host
from harness.values.limit import Diagnosis, Limit
from harness.values.telemetry import ThrottleKind

IDLE = 50.0
"""Percent of the time below which a device is badly used, as the guide has it."""
THROTTLED = 0.01
POWER_CAPPED = 0.5
"""Share of the time: short touches of a power limit are how many cards normally work."""
_LANE_BYTES_PER_S = {1: 0.25e9, 2: 0.5e9, 3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.56e9}


def on_device(seen: Seen) -> Diagnosis | None:
    """Causes of cells that compute on a GPU."""
    signs_ = seen.signs
    throttled = signs_.throttled or {}
    hot = max(throttled.get(ThrottleKind.THERMAL, 0.0), throttled.get(ThrottleKind.HARDWARE, 0.0))
    if hot > THROTTLED:
        return Diagnosis(
            limit=Limit.THERMAL,
            decided_by="the driver's reasons for lower clocks",
            because=f"heat or the hardware's protection held clocks down for {percent(hot, THROTTLED)} of the time",
            todo=COOLER,
        )
    on_host = layers_on_host(seen.result)
    if on_host:
        return _offloaded(seen, on_host)
    capped = throttled.get(ThrottleKind.POWER, 0.0)
    if signs_.busy_percent is not None and signs_.busy_percent < IDLE:
        return Diagnosis(
            limit=Limit.HOST,
            decided_by="utilisation of the device",
            because=f"the device was busy for {percent(signs_.busy_percent / 100, IDLE / 100)} of the time, and "
            f"the container used {cpus(signs_.cpus_used)} CPUs",
            todo="Try flash attention, larger batches and a faster core for the host's thread; see that nothing is "
            "left on the CPU.",
        )
    if capped > POWER_CAPPED:
        watts = f" at {signs_.power_w:.0f} W" if signs_.power_w is not None else ""
        return Diagnosis(
            limit=Limit.POWER,
            decided_by="the driver's reasons for lower clocks",
            because=f"the power limit held clocks down for {percent(capped, POWER_CAPPED)} of the time{watts}",
            todo="Raise the power limit where cooling allows it; for joules a token it may be right where it is.",
        )
    return None


def _offloaded(seen: Seen, on_host: float) -> Diagnosis:
    """Some layers are on the CPU: while generating its memory decides, for prompts the way to the device."""
    model, link = seen.result.model, seen.signs.link
    part = f"{percent(on_host)} of the layers are on the host"
    todo = "Put more layers on the device (n_gpu_layers), with a smaller quantization or cache if they do not fit."
    rate, test = seen.result.tokens_per_s, seen.result.cell.test
    if not seen.generating and model is not None and link is not None and rate and link[0] in _LANE_BYTES_PER_S:
        batches = -(-test.n_prompt // int(seen.result.cell.params.get("n_ubatch", 512)))
        travels = batches * on_host * model.size_bytes / (_LANE_BYTES_PER_S[link[0]] * link[1])
        share = travels / (test.n_prompt / rate)
        if share > IDLE / 100:
            return Diagnosis(
                limit=Limit.PCIE,
                decided_by="the link, and the weights that have to pass it",
                because=f"{part}; to bring them over PCIe {link[0]}.0 x{link[1]} takes "
                f"{percent(min(share, 1.0), IDLE / 100)} of the time of a prompt",
                todo=f"{todo} Larger micro-batches (n_ubatch) bring them less often.",
            )
    roof = seen.shares.machine_roof
    floor = ""
    if seen.generating and model is not None and model.bytes_per_token and roof is not None and roof.read and rate:
        least_s = on_host * model.bytes_per_token / roof.read
        floor = f"; reading them takes the host's memory at least {1e3 * least_s:.1f} of {1e3 / rate:.1f} ms a token"
    return Diagnosis(
        limit=Limit.OFFLOAD, decided_by="layers that the log puts on the CPU", because=f"{part}{floor}", todo=todo
    )
