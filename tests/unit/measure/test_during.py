"""The proof while it runs. The row and the log of the run are right throughout: only the device tells the truth."""

from dataclasses import replace

import pytest

from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Phase, Reason
from harness.values.record import DURING, Proof
from harness.values.telemetry import DeviceSummary, Telemetry, Trace, Window, WindowSummary

GIB = 1024**3
MIB = 1024**2
CELL = "cuda/model/pp32"
NVML_SILENT = "NVML: Not Supported"


def card(name="NVIDIA GeForce RTX 4090", pci="0000:01:00.0", **changes):
    return Trace(subject=name, pci=pci, **changes)


def summary(growth=4 * GIB + 300 * MIB, mean=97.0, most=100.0, **changes):
    return DeviceSummary(
        readings=30,
        memory_growth_bytes=growth,
        utilization_mean_percent=mean,
        utilization_max_percent=most,
        **changes,
    )


def telemetry(*pairs, seconds=3.0, cell=CELL):
    pairs = pairs or ((card(), summary()),)
    window = Window(name=cell, begin_ns=0, end_ns=round(seconds * 1e9))
    return Telemetry(
        interval_ms=100,
        devices=tuple(trace for trace, _ in pairs),
        windows=(WindowSummary(window=window, devices=tuple(s for _, s in pairs)),),
    )


@pytest.fixture
def run(judging, cell):
    """A run on a GPU whose row and log say that 4 GiB of weights lie on it."""
    cells = (cell(32, backend="cuda"), cell(0, 8, backend="cuda"))
    passthrough = Passthrough(expected=(ExpectedDevice(name="CUDA0", names=("NVIDIA GeForce RTX 4090",)),))
    made = judging("vulkan-b11312/good-software-v", cells, passthrough=passthrough, backend="cuda")
    row = {"gpu_info": "NVIDIA GeForce RTX 4090", "backends": ("CUDA",), "devices": "CUDA0", "model_size": 5 * GIB}
    log = {
        "devices": {"CUDA0": "NVIDIA GeForce RTX 4090"},
        "model_buffers": {"CPU_Mapped": GIB, "CUDA0": 4 * GIB},
        "kv_buffers": {"CUDA0": MIB},
    }
    made = replace(made, model=replace(made.model, size_bytes=6 * GIB))

    def judge(seen, *, buffers=None, params=None, **changes):
        logged = log | ({"model_buffers": buffers} if buffers else {})
        if params:
            asked = tuple(replace(c, params={**c.params, **params}) for c in cells)
            return replace(made, cells=asked).outcomes(row=row, log=logged, telemetry=seen, **changes)[0]
        return made.outcomes(row=row, log=logged, telemetry=seen, **changes)[0]

    return judge


def proofs(outcome):
    return {check.name: check.proof for check in outcome.checks if check.name in DURING}


def others(outcome):
    return {check.proof for check in outcome.checks if check.name not in DURING}


def evidence(outcome, name):
    return next(check.evidence for check in outcome.checks if check.name == name)


def test_memory_grew_by_the_weights_and_the_card_was_busy(run):
    outcome = run(telemetry())
    assert outcome.ok
    assert set(proofs(outcome).values()) == {Proof.PROVEN}
    assert evidence(outcome, "device_memory") == "grew by 4396 MiB, 4096 MiB of weights by its log"
    assert evidence(outcome, "device_busy") == "utilisation 97 % over 3.0 s"


def test_only_this_proof_catches_a_run_that_the_card_never_saw(run):
    # What is printed is all right: backend, device, layers, buffers. The card neither took the model nor worked.
    outcome = run(telemetry((card(), summary(growth=0, mean=0.4, most=2.0))))
    assert others(outcome) == {Proof.PROVEN}
    assert set(proofs(outcome).values()) == {Proof.CONTRADICTED}
    assert outcome.samples_ns == ()
    assert outcome.row is not None
    assert (outcome.failure.phase, outcome.failure.reason) == (Phase.PROOF, Reason.CPU_FALLBACK)


def test_memory_alone_catches_it(run):
    outcome = run(telemetry((card(), summary(growth=MIB))))
    assert proofs(outcome) == {"device_memory": Proof.CONTRADICTED, "device_busy": Proof.PROVEN}
    assert outcome.failure.reason is Reason.CPU_FALLBACK


def test_being_idle_alone_catches_it(run):
    # The context of the backend and the weights are there, and the CPU computes.
    outcome = run(telemetry((card(), summary(mean=0.0, most=3.0))))
    assert proofs(outcome) == {"device_memory": Proof.PROVEN, "device_busy": Proof.CONTRADICTED}
    assert outcome.failure.reason is Reason.CPU_FALLBACK


def test_another_card_did_it(run):
    # Twins: their names are equal, so nothing that llama.cpp prints tells them apart.
    asked = (card(), summary(growth=0, mean=0.0, most=0.0))
    other = (card(pci="0000:41:00.0", asked=False), summary())
    outcome = run(telemetry(asked, other))
    assert others(outcome) == {Proof.PROVEN}
    assert set(proofs(outcome).values()) == {Proof.CONTRADICTED}
    assert outcome.failure.reason is Reason.WRONG_DEVICE
    assert "NVIDIA GeForce RTX 4090 at 0000:41:00.0 grew instead" in evidence(outcome, "device_memory")
    assert "at 0000:41:00.0 was busy instead" in evidence(outcome, "device_busy")


def test_another_card_at_work_is_no_excuse_and_no_fault(run):
    other = (card(pci="0000:41:00.0", asked=False), summary())
    assert set(proofs(run(telemetry((card(), summary()), other))).values()) == {Proof.PROVEN}


@pytest.mark.parametrize(
    ("growth", "proof"),
    [
        (round(0.9 * 4 * GIB) + 1, Proof.PROVEN),
        (round(0.9 * 4 * GIB) - 1, Proof.UNOBSERVABLE),
        (round(0.45 * 4 * GIB) + 1, Proof.UNOBSERVABLE),
        (round(0.45 * 4 * GIB) - 1, Proof.CONTRADICTED),
        (-MIB, Proof.CONTRADICTED),
    ],
)
def test_the_bounds_of_growth(run, growth, proof):
    assert proofs(run(telemetry((card(), summary(growth=growth)))))["device_memory"] is proof


@pytest.mark.parametrize(
    ("mean", "most", "proof"),
    [
        (10.0, 30.0, Proof.PROVEN),
        (9.9, 30.0, Proof.UNOBSERVABLE),
        (1.0, 3.1, Proof.UNOBSERVABLE),
        (1.0, 3.0, Proof.CONTRADICTED),
    ],
)
def test_the_bounds_of_being_busy(run, mean, most, proof):
    assert proofs(run(telemetry((card(), summary(mean=mean, most=most)))))["device_busy"] is proof


def test_what_the_processes_of_the_container_hold_counts_before_the_growth(run):
    # Another program took 5 GiB meanwhile; ours took nothing.
    outcome = run(telemetry((card(), summary(growth=5 * GIB, own_memory_bytes=10 * MIB))))
    assert proofs(outcome)["device_memory"] is Proof.CONTRADICTED
    # Another program gave 4 GiB back meanwhile.
    outcome = run(telemetry((card(), summary(growth=300 * MIB, own_memory_bytes=4 * GIB))))
    assert proofs(outcome)["device_memory"] is Proof.PROVEN


def test_without_a_log_the_size_and_the_layers_say_how_much(run):
    # Half of the size is enough then, since embeddings stay on the host.
    seen = telemetry((card(), summary(growth=round(2.6 * GIB))))
    outcome = run(seen, verbose=False)
    assert proofs(outcome)["device_memory"] is Proof.PROVEN
    assert evidence(outcome, "device_memory").endswith("5120 MiB of weights by its size and layers")
    outcome = run(telemetry((card(), summary(growth=GIB))), verbose=False)
    assert proofs(outcome)["device_memory"] is Proof.CONTRADICTED


def test_a_test_below_two_seconds_shows_nothing(run):
    outcome = run(telemetry((card(), summary(mean=0.0, most=0.0)), seconds=1.9))
    assert outcome.ok
    assert proofs(outcome)["device_busy"] is Proof.UNOBSERVABLE
    assert "1.90 s" in evidence(outcome, "device_busy")


def test_a_card_that_does_not_tell_is_not_passed(run):
    silent = card(missing={"utilization_percent": NVML_SILENT, "memory_used_bytes": NVML_SILENT})
    outcome = run(telemetry((silent, summary(growth=None, mean=None, most=None))))
    assert outcome.ok
    assert set(proofs(outcome).values()) == {Proof.UNOBSERVABLE}
    assert evidence(outcome, "device_busy") == evidence(outcome, "device_memory") == NVML_SILENT


def test_a_small_model_shows_nothing_by_its_memory(run):
    outcome = run(telemetry((card(), summary(growth=0))), buffers={"CPU_Mapped": MIB, "CUDA0": 63 * MIB})
    assert outcome.ok
    assert proofs(outcome) == {"device_memory": Proof.UNOBSERVABLE, "device_busy": Proof.PROVEN}


def test_the_host_s_memory_is_moved_by_others(run):
    unified = card(name="NVIDIA GB10", substitutes={"memory_used_bytes": "the host's memory in use"})
    outcome = run(telemetry((unified, summary(growth=0))))
    assert outcome.ok
    assert proofs(outcome)["device_memory"] is Proof.UNOBSERVABLE
    outcome = run(telemetry((unified, summary())))
    assert proofs(outcome)["device_memory"] is Proof.PROVEN


def test_of_two_cards_each_has_to_hold_a_part_and_to_work(run):
    first, second = card(), card(pci="0000:41:00.0")
    half = summary(growth=2 * GIB + 300 * MIB)
    assert set(proofs(run(telemetry((first, half), (second, half)))).values()) == {Proof.PROVEN}
    idle = summary(growth=0, mean=0.0, most=0.0)
    outcome = run(telemetry((first, summary()), (second, idle)))
    assert proofs(outcome) == {"device_memory": Proof.CONTRADICTED, "device_busy": Proof.CONTRADICTED}
    assert outcome.failure.reason is Reason.WRONG_DEVICE


@pytest.mark.parametrize("params", [{"split_mode": "none"}, {"tensor_split": "1,0"}, {"tensor_split": "0/3"}])
def test_a_split_that_leaves_a_card_nothing_asks_nothing_of_it(run, params):
    idle = summary(growth=0, mean=0.0, most=0.0)
    outcome = run(telemetry((card(), idle), (card(pci="0000:41:00.0"), summary())), params=params)
    assert set(proofs(outcome).values()) == {Proof.PROVEN}


def test_without_telemetry_nothing_is_proven(run):
    for seen in (None, Telemetry(interval_ms=100, problem="telemetry could not start")):
        outcome = run(seen)
        assert outcome.ok
        assert set(proofs(outcome).values()) == {Proof.UNOBSERVABLE}


def test_a_software_device_has_nothing_to_be_seen(software):
    for outcome in software.outcomes(telemetry=telemetry()):
        assert set(proofs(outcome).values()) == {Proof.UNOBSERVABLE}


def test_a_cpu_has_no_such_checks(gemma_on_cpu):
    assert proofs(gemma_on_cpu.outcomes(telemetry=telemetry())[0]) == {}
