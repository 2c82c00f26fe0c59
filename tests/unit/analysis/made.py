"""Results of one cell as the tests of diagnoses make them up: on the processor, and simulated on a card."""

from dataclasses import MISSING, fields, replace

from harness.analysis.observed import Observed
from harness.analysis.results import CellResult, RunValue
from harness.values.bench import LogFacts
from harness.values.cell import Cell, Test
from harness.values.roof import Roof
from harness.values.telemetry import DeviceSummary, HostSummary, Trace, Window, WindowSummary

TG = Test(n_gen=10)
S = 10**9
GB = 10**9
ROOF = Roof(
    n_threads=4,
    read_bytes_per_s=(20 * GB,),
    best_read_bytes_per_s=20 * GB,
    fp32_flops_per_s=(200 * GB,),
    int8_ops_per_s=(400 * GB,),
    int8_kernel="avx2",
)
QUIET = HostSummary(
    readings=100,
    cpu_busy=0.5,
    cpu_steal=0.0,
    own_cpu=0.0,
    container_cpu_ns=40 * S,
    container_cpus=8,
    container_throttled_ns=0,
    container_major_faults=0,
    container_refaults=0,
)
"""Ten seconds of four threads on eight CPUs, of which four cores are."""


class Facts:
    machine, cpu_cores, cpu_threads = "box", 4, 8


class Session:
    def __init__(self, *roofs):
        self.id, self.roofs = "s", roofs


class Machine:
    """As much of a machine's results as a diagnosis reads."""

    machine = Facts()

    def __init__(self, *roofs):
        self.latest = Session(*(roofs or (ROOF,)))
        self.sessions = (self.latest,)


class Model:
    """1 GB of weights, 1 G of them multiplied."""

    file_type, architecture, n_layers = "Q8_0", "llama", 31
    size_bytes = bytes_per_token = GB
    weights_multiplied, output_weights = GB, 0
    cache_k = cache_v = 1000
    attention_window = None
    synthetic = False


def made(
    *, rate=15.0, test=TG, host=QUIET, backend="cpu", device=None, params=None, model=Model, **changes
) -> CellResult:
    """A cell that reads 15 GB/s of 20 with four threads on four cores."""
    cell = Cell(id="x", backend=backend, image=backend, model="m", test=test, params={"n_threads": 4, **(params or {})})
    run = RunValue(round=1, session="s", record="r", ns_per_token=1e9 / rate, samples_ns=(1,), gate_passed=True)
    summary = WindowSummary(
        window=Window(name="x", begin_ns=0, end_ns=10 * S), devices=(device or DeviceSummary(readings=1),), host=host
    )
    empty = {field.name: None for field in fields(CellResult) if field.default is MISSING}
    known = {
        "cell": cell,
        "model": model,
        "device": "Some CPU",
        "runs": (run,),
        "failures": (),
        "observed": (Observed(round=1, traces=(Trace(subject="d"),), summary=summary),),
    }
    return CellResult(**{**empty, "software": False, "rounds_planned": 1, "checks": (), **known, **changes})


BUSY = DeviceSummary(readings=100, utilization_mean_percent=97, power_mean_w=300, pcie_generation=4, pcie_width=16)
CARD = {"backend": "vulkan", "device": BUSY, "params": {"n_gpu_layers": 99}}
LAYERS = LogFacts(layers_offloaded=32, layers_total=32)
HALF = LogFacts(layers_offloaded=16, layers_total=32)


def on_card(name="NVIDIA GeForce RTX 4090", *, throttled=None, **changes) -> CellResult:
    known = {"rate": 800.0, **CARD, "log": LAYERS, **changes}
    if throttled:
        known["device"] = replace(known["device"], throttled=throttled)
    return replace(made(**known), device=name)
