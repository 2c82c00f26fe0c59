"""Each proof has a test in which it alone catches the fault: one thing is broken, and one check is contradicted."""

from dataclasses import replace

import pytest

from harness.formats import llama_bench
from harness.measure.device_match import is_software
from harness.measure.proof import judge, ran_on_software
from harness.values.bench import LogFacts
from harness.values.container import ExpectedDevice, Line, Passthrough
from harness.values.failure import Phase, Reason
from harness.values.record import Proof

CUDA = Passthrough(
    expected=(ExpectedDevice(name="CUDA0", names=("NVIDIA GeForce RTX 4090",), exact=True, pci="0000:01:00.0"),)
)
VULKAN = Passthrough(expected=(ExpectedDevice(name="Vulkan0"),))
SOFTWARE = Passthrough(expected=(ExpectedDevice(name="Vulkan0", software=True),))
MIB = 1024 * 1024


def contradicted(outcome):
    return [check.name for check in outcome.checks if check.proof is Proof.CONTRADICTED]


def caught(outcome, check, reason):
    assert contradicted(outcome) == [check]
    assert outcome.samples_ns == ()
    assert outcome.row is not None
    assert (outcome.failure.phase, outcome.failure.reason) == (Phase.PROOF, reason)
    assert outcome.failure.detail.startswith(f"{check}: ")
    return True


def not_proven(outcome):
    """The names of the checks that are not proven; without telemetry what it would prove is among them."""
    return [check.name for check in outcome.checks if check.proof is not Proof.PROVEN]


SEEN_WHILE_IT_RUNS = ["device_memory", "device_busy"]


@pytest.fixture
def cuda(judging, cell):
    """A run on a GPU, made of the software device's by its names: what llama.cpp prints differs in nothing else."""
    cells = (cell(32, backend="cuda"), cell(0, 8, backend="cuda"))
    made = judging("vulkan-b11312/good-software-v", cells, passthrough=CUDA, backend="cuda")
    row = {"gpu_info": "NVIDIA GeForce RTX 4090", "backends": ("CUDA",), "devices": "CUDA0"}
    log = {
        "devices": {"CUDA0": "NVIDIA GeForce RTX 4090"},
        "model_buffers": {"CPU_Mapped": MIB, "CUDA0": 9 * MIB},
        "kv_buffers": {"CUDA0": MIB},
    }

    def first(*, row_changes=None, log_changes=None, **changes):
        return made.outcomes(row=row | (row_changes or {}), log=log | (log_changes or {}), **changes)[0]

    return first


def test_a_good_run_on_the_cpu_is_proven(gemma_on_cpu):
    for outcome in gemma_on_cpu.outcomes():
        assert outcome.ok
        assert {check.proof for check in outcome.checks} == {Proof.PROVEN}
        assert len(outcome.samples_ns) == 2
    names = [check.name for check in gemma_on_cpu.outcomes()[0].checks]
    assert names == [
        "release_build", "samples", "rates", "device", "parameters", "build", "model",
        "weights", "kv_cache", "flash_attention", "graph", "cpu_variant",
    ]  # fmt: skip


def test_a_good_run_on_the_software_device_is_proven(software):
    for outcome in software.outcomes():
        assert outcome.ok
        assert not_proven(outcome) == SEEN_WHILE_IT_RUNS


def test_a_good_run_on_a_gpu_is_proven(cuda):
    outcome = cuda()
    assert outcome.ok
    assert not_proven(outcome) == SEEN_WHILE_IT_RUNS


def test_without_the_log_its_checks_are_left_out(gemma_on_cpu):
    (outcome, _) = gemma_on_cpu.outcomes(verbose=False)
    assert outcome.ok
    assert {check.proof for check in outcome.checks} == {Proof.PROVEN}
    assert "weights" not in [check.name for check in outcome.checks]


def test_too_few_samples(gemma_on_cpu):
    assert caught(gemma_on_cpu.outcomes(repetitions=5)[0], "samples", Reason.MISSING_ROWS)


def test_too_many_samples(gemma_on_cpu):
    assert caught(gemma_on_cpu.outcomes(repetitions=1)[0], "samples", Reason.INCONSISTENT)


def test_a_sample_that_is_no_duration(gemma_on_cpu):
    outcome = gemma_on_cpu.outcomes(row={"samples_ns": (0, 5)})[0]
    assert "samples" in contradicted(outcome)
    assert outcome.failure.reason is Reason.INCONSISTENT


def test_a_printed_rate_that_the_samples_do_not_give(gemma_on_cpu):
    honest = gemma_on_cpu.outcomes()[0].row["avg_ts"]
    assert caught(gemma_on_cpu.outcomes(row={"avg_ts": honest * 1.0002})[0], "rates", Reason.INCONSISTENT)
    assert gemma_on_cpu.outcomes(row={"avg_ts": honest * 1.00005})[0].ok


def test_printed_sample_rates_that_the_samples_do_not_give(gemma_on_cpu):
    raw = gemma_on_cpu.outcomes()[0].row
    assert caught(
        gemma_on_cpu.outcomes(row={"raw": {**raw, "samples_ts": [1.0, 2.0]}})[0], "rates", Reason.INCONSISTENT
    )
    assert caught(gemma_on_cpu.outcomes(row={"raw": {**raw, "samples_ts": [1.0]}})[0], "rates", Reason.INCONSISTENT)


@pytest.mark.parametrize(
    "changes", [{"n_batch": 64}, {"flash_attn": True}, {"load_mode": "none"}, {"type_v": "q8_0"}, {"n_threads": 4}]
)
def test_other_parameters_than_asked_for(gemma_on_cpu, changes):
    outcome = gemma_on_cpu.outcomes(row={"raw": {**gemma_on_cpu.outcomes()[0].row, **changes}})[0]
    assert caught(outcome, "parameters", Reason.WRONG_PARAMETERS)
    assert next(iter(changes)) in outcome.failure.detail


def test_another_build_than_the_images(gemma_on_cpu, image_facts):
    for image in (image_facts(build_number=11311), image_facts(build_commit="deadbeef")):
        assert caught(gemma_on_cpu.outcomes(image=image)[0], "build", Reason.INCONSISTENT)


def test_builds_shorten_the_commit_differently(gemma_on_cpu, image_facts):
    assert gemma_on_cpu.outcomes(image=image_facts(build_commit="0c1e570985ab1234"))[0].ok
    (check,) = (
        check
        for check in gemma_on_cpu.outcomes(image=image_facts(build_number=None, build_commit=None))[0].checks
        if check.name == "build"
    )
    assert check.proof is Proof.UNOBSERVABLE


def test_another_model(gemma_on_cpu):
    other = replace(gemma_on_cpu.model, n_params=300_000_000)
    assert caught(gemma_on_cpu.outcomes(model=other)[0], "model", Reason.INCONSISTENT)
    smaller = replace(gemma_on_cpu.model, size_bytes=1_000_000)
    assert caught(gemma_on_cpu.outcomes(model=smaller)[0], "model", Reason.INCONSISTENT)


def test_a_debug_build(gemma_on_cpu):
    line = "warning: debug build, performance may be affected"
    outcome = gemma_on_cpu.outcomes(log={"warnings": (line,)})[0]
    assert caught(outcome, "release_build", Reason.DEBUG_BUILD)


def test_a_debug_build_is_seen_in_rounds_without_the_log(gemma_on_cpu, captured):
    line = replace(
        captured("cpu-b11312/good-v").stderr[0], text="warning: asserts enabled, performance may be affected"
    )
    outcome = gemma_on_cpu.outcomes(verbose=False, exit_changes={"stderr": (line,)})[0]
    assert caught(outcome, "release_build", Reason.DEBUG_BUILD)


# The device, by the row


def test_a_silent_fallback_to_the_cpu(judging, cell):
    """Captured: an image with Vulkan, no device, no -dev. Exit code 0, and the row says `backends: Vulkan`."""
    cells = (cell(32, backend="vulkan"), cell(0, 8, backend="vulkan"))
    run = judging("vulkan-b11312/silent-cpu-fallback-v", cells, passthrough=VULKAN, backend="vulkan")
    for verbose in (True, False):
        for outcome in run.outcomes(verbose=verbose):
            assert outcome.failure.reason is Reason.CPU_FALLBACK
            assert outcome.samples_ns == ()


def test_an_empty_gpu_info_alone_is_a_fallback(cuda):
    outcome = cuda(row_changes={"gpu_info": ""}, verbose=False)
    assert caught(outcome, "device", Reason.CPU_FALLBACK)


def test_a_backend_that_was_not_loaded(cuda):
    assert caught(cuda(row_changes={"backends": ("CPU",)}), "backend", Reason.CPU_FALLBACK)
    assert caught(cuda(row_changes={"backends": ("Vulkan",)}), "backend", Reason.WRONG_DEVICE)


def test_another_gpu(cuda):
    changes = {"row_changes": {"gpu_info": "NVIDIA GeForce RTX 3060"}, "verbose": False}
    assert caught(cuda(**changes), "device", Reason.WRONG_DEVICE)


def test_another_gpu_by_the_log_where_both_are_visible(cuda):
    outcome = cuda(
        row_changes={"gpu_info": "NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 3060"},
        log_changes={"devices": {"CUDA0": "NVIDIA GeForce RTX 3060"}},
    )
    assert caught(outcome, "device", Reason.WRONG_DEVICE)


def test_a_software_device_instead_of_a_gpu(judging, cell):
    cells = (cell(32, backend="vulkan"), cell(0, 8, backend="vulkan"))
    run = judging("vulkan-b11312/good-software-v", cells, passthrough=VULKAN, backend="vulkan")
    assert caught(run.outcomes()[0], "device", Reason.WRONG_DEVICE)


def test_a_gpu_instead_of_the_software_device(software):
    outcome = software.outcomes(row={"gpu_info": "AMD Radeon"}, verbose=False)[0]
    assert caught(outcome, "device", Reason.WRONG_DEVICE)


def test_another_requested_device(cuda):
    assert caught(cuda(row_changes={"devices": "CUDA1"}), "requested_device", Reason.WRONG_DEVICE)
    assert caught(cuda(row_changes={"devices": "none"}), "requested_device", Reason.CPU_FALLBACK)


def test_builds_that_tell_less_are_unobservable_not_contradicted(cuda):
    outcome = cuda(row_changes={"devices": None, "backends": None})
    assert outcome.ok
    proofs = {check.name: check.proof for check in outcome.checks}
    assert proofs["requested_device"] is proofs["backend"] is Proof.UNOBSERVABLE


@pytest.mark.parametrize("name", ["vulkan-b11312/cpu-by-dev-none-v", "vulkan-b11312/cpu-by-dev-none-with-device-v"])
def test_the_cpu_in_an_image_for_gpus(judging, cell, name):
    """Captured: with a visible device the log says "offloaded 3/3 layers to GPU", and yet all was on the CPU."""
    for outcome in judging(name, (cell(32), cell(0, 8))).outcomes():
        assert outcome.ok
        assert {check.proof for check in outcome.checks} == {Proof.PROVEN}


def test_a_gpu_beside_the_cpu_that_nobody_switched_off(gemma_on_cpu):
    row = {"backends": ("CUDA",), "gpu_info": "NVIDIA GeForce RTX 4090", "devices": None}
    assert caught(gemma_on_cpu.outcomes(row=row)[0], "device", Reason.WRONG_DEVICE)


# The device, by the log


def test_layers_that_were_not_offloaded(cuda):
    assert caught(cuda(log_changes={"layers_offloaded": 2}), "layers", Reason.WRONG_PARAMETERS)


def test_weights_that_stayed_on_the_host(cuda):
    outcome = cuda(log_changes={"model_buffers": {"CPU_Mapped": 9 * MIB}})
    assert caught(outcome, "weights", Reason.CPU_FALLBACK)


def test_weights_on_another_device(cuda):
    outcome = cuda(log_changes={"model_buffers": {"CPU_Mapped": MIB, "CUDA1": 9 * MIB}})
    assert caught(outcome, "weights", Reason.WRONG_DEVICE)


def test_weights_on_a_device_in_a_run_on_the_cpu(gemma_on_cpu):
    outcome = gemma_on_cpu.outcomes(log={"model_buffers": {"CPU_Mapped": MIB, "Vulkan0": 9 * MIB}})[0]
    assert caught(outcome, "weights", Reason.WRONG_DEVICE)


def test_a_kv_cache_on_the_host(cuda):
    assert caught(cuda(log_changes={"kv_buffers": {"CPU": MIB}}), "kv_cache", Reason.CPU_FALLBACK)


def test_a_kv_cache_on_a_device_in_a_run_on_the_cpu(gemma_on_cpu):
    outcome = gemma_on_cpu.outcomes(log={"kv_buffers": {"CUDA0": MIB}})[0]
    assert caught(outcome, "kv_cache", Reason.WRONG_DEVICE)


def test_another_flash_attention(gemma_on_cpu):
    assert caught(gemma_on_cpu.outcomes(log={"flash_attn": True})[0], "flash_attention", Reason.WRONG_PARAMETERS)


def test_a_graph_in_pieces_is_not_proven(cuda):
    outcome = cuda(log_changes={"graph_splits": 38})
    assert outcome.ok
    (check,) = (check for check in outcome.checks if check.name == "graph")
    assert check.proof is Proof.UNOBSERVABLE
    assert "38" in check.evidence


def test_an_unnamed_cpu_variant_is_not_proven(gemma_on_cpu):
    outcome = gemma_on_cpu.outcomes(log={"cpu_variant": None})[0]
    assert outcome.ok
    assert outcome.checks[-1].proof is Proof.UNOBSERVABLE


def test_an_empty_log_proves_nothing_and_contradicts_nothing(cuda):
    empty = {name: getattr(LogFacts(), name) for name in LogFacts.__dataclass_fields__}
    outcome = cuda(log_changes=empty)
    assert outcome.ok
    unknown = [check.name for check in outcome.checks if check.proof is Proof.UNOBSERVABLE]
    assert unknown == ["layers", "weights", "kv_cache", "flash_attention", "graph", *SEEN_WHILE_IT_RUNS]


# What was captured with other parameters


def test_one_layer_offloaded_as_asked(judging, cell):
    cells = tuple(cell(p, n, backend="vulkan", device="software", n_gpu_layers=1) for p, n in ((32, 0), (0, 8)))
    run = judging("vulkan-b11312/software-ngl1-v", cells, passthrough=SOFTWARE, backend="vulkan")
    for outcome in run.outcomes():
        assert outcome.ok
        assert not_proven(outcome) == SEEN_WHILE_IT_RUNS


def test_the_kv_cache_on_the_host_as_asked(judging, cell):
    cells = tuple(cell(p, n, backend="vulkan", device="software", no_kv_offload=1) for p, n in ((32, 0), (0, 8)))
    run = judging("vulkan-b11312/software-nkvo-v", cells, passthrough=SOFTWARE, backend="vulkan")
    for outcome in run.outcomes():
        assert outcome.ok
        assert not_proven(outcome) == SEEN_WHILE_IT_RUNS


def test_auto_says_what_it_chose(judging, cell):
    cells = (cell(32, flash_attn="auto"), cell(0, 8, flash_attn="auto"))
    outcome = judging("cpu-b11312/good-fa-auto-v", cells).outcomes()[0]
    assert outcome.ok
    assert "auto chose on" in [check.evidence for check in outcome.checks]


# Rows that are not there


def test_a_test_that_fails_does_not_cost_the_rows_before_it(judging, cell):
    cells = (cell(32), cell(32, 0, 1_000_000_000), cell(64, 0, 1_000_000_000))
    good, culprit, after = judging("cpu-b11312/one-good-then-fails", cells).outcomes(verbose=False)
    assert good.ok
    assert len(good.samples_ns) == 2
    assert culprit.failure.reason is Reason.CONTEXT
    assert "failed to create context" in culprit.failure.detail
    assert after.failure.reason is Reason.CONTEXT
    assert after.failure.detail.startswith(f"not reached after {culprit.cell}")


def test_a_row_that_is_not_there_though_all_went_well(gemma_on_cpu, cell):
    run = replace(gemma_on_cpu, cells=(*gemma_on_cpu.cells, cell(64)))
    failure = run.outcomes()[2].failure
    assert (failure.phase, failure.reason) == (Phase.READ, Reason.MISSING_ROWS)
    assert "2 of 3 rows" in failure.detail


def test_a_damaged_row_is_malformed(gemma_on_cpu, captured, image_facts):
    end = captured("cpu-b11312/good-v")
    lines = [line.text for line in end.stdout]
    output = llama_bench.read([lines[0], lines[1][:-40]])
    good, bad = judge(
        gemma_on_cpu.cells,
        end,
        output,
        None,
        passthrough=gemma_on_cpu.passthrough,
        backend="cpu",
        image=image_facts(),
        model=gemma_on_cpu.model,
        repetitions=2,
    )
    assert good.ok
    assert (bad.failure.phase, bad.failure.reason) == (Phase.READ, Reason.MALFORMED)
    assert bad.failure.detail.startswith("line 2: ")


def test_an_output_that_was_cut_is_malformed(gemma_on_cpu, cell):
    run = replace(gemma_on_cpu, cells=(*gemma_on_cpu.cells, cell(64)))
    failure = run.outcomes(exit_changes={"stdout_truncated": True})[2].failure
    assert failure.reason is Reason.MALFORMED


def test_zero_repetitions_are_no_result(judging, cell):
    (outcome,) = judging("cpu-b11312/zero-repetitions", (cell(32),)).outcomes(verbose=False)
    assert outcome.failure.reason is Reason.MALFORMED


def test_rows_of_a_run_that_was_ended_are_judged_by_themselves(gemma_on_cpu):
    for changes in ({"timed_out": True, "exit_code": 143}, {"exit_code": 139}, {"cancelled": True, "exit_code": None}):
        assert all(outcome.ok for outcome in gemma_on_cpu.outcomes(exit_changes=changes))


# Software


def test_software_devices_are_known_by_their_names():
    assert is_software("llvmpipe (LLVM 19.1.7, 256 bits)")
    assert is_software("SwiftShader Device (LLVM 10.0.0)")
    assert not is_software("NVIDIA GeForce RTX 4090")
    assert not is_software("")


def test_a_software_device_counts_only_where_it_was_used(captured):
    def output(name):
        return llama_bench.read(line.text for line in captured(name).stdout)

    def software(case: str) -> bool:
        return ran_on_software(row.raw for row in output(case).rows)

    assert software("vulkan-b11312/good-software-v")
    assert not software("vulkan-b11312/cpu-by-dev-none-with-device-v")
    assert not software("cpu-b11312/good")
    assert not ran_on_software(())


def test_a_card_whose_name_only_begins_alike(cuda):
    """Only the proof after the run sees it: the right device was listed before, and something was busy."""
    row = {"gpu_info": "NVIDIA GeForce RTX 4090 D"}
    assert caught(cuda(row_changes=row, verbose=False), "device", Reason.WRONG_DEVICE)


def test_an_equal_card_at_another_place(cuda):
    assert caught(cuda(log_changes={"device_pci": {"CUDA0": "0000:41:00.0"}}), "device", Reason.WRONG_DEVICE)


def test_the_place_that_the_log_tells_is_evidence(cuda):
    outcome = cuda(log_changes={"device_pci": {"CUDA0": "0000:01:00.0"}})
    check = next(check for check in outcome.checks if check.name == "device")
    assert check.proof is Proof.PROVEN
    assert "0000:01:00.0" in check.evidence


ROCM = Passthrough(
    expected=(
        ExpectedDevice(
            name="ROCm0",
            names=("AMD Radeon 8060S Graphics",),
            marks=("gfx1151",),
            mark_pattern=r"\b(gfx[0-9a-f]{3,4})\b",
        ),
    )
)


@pytest.mark.parametrize(
    ("name", "detail", "proof"),
    [
        ("Radeon Graphics", "Radeon Graphics, gfx1151 (0x1151), VMM: no, Wave Size: 32", Proof.PROVEN),
        ("Radeon Graphics", None, Proof.UNOBSERVABLE),
        ("Radeon Graphics", "Radeon Graphics, gfx1103 (0x1103), VMM: no, Wave Size: 32", Proof.CONTRADICTED),
    ],
)
def test_the_architecture_is_read_where_names_say_nothing(judging, cell, name, detail, proof):
    run = judging("vulkan-b11312/good-software-v", (cell(32, backend="rocm"),), passthrough=ROCM, backend="rocm")
    lines = ["ggml_cuda_init: found 1 ROCm devices (Total VRAM: 1 MiB):", f"  Device 0: {detail}"] if detail else []
    outcome = run.outcomes(
        row={"gpu_info": name, "backends": ("ROCm",), "devices": "ROCm0"},
        exit_changes={"stderr": tuple(Line(at_ns=0, text=line) for line in lines)},
        verbose=False,
    )[0]
    assert next(check.proof for check in outcome.checks if check.name == "device") is proof


def several(*places):
    return Passthrough(
        expected=tuple(
            ExpectedDevice(name=f"CUDA{number}", names=(name,), exact=True)
            for number, name in enumerate(("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090"))
            if number in places
        )
    )


def test_several_devices_are_each_what_was_asked_for(cuda):
    row = {"gpu_info": "NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 3090", "devices": "CUDA0/CUDA1"}
    assert cuda(row_changes=row, passthrough=several(0, 1), verbose=False).ok
    swapped = row | {"gpu_info": "NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 4090"}
    outcome = cuda(row_changes=swapped, passthrough=several(0, 1), verbose=False)
    assert caught(outcome, "device", Reason.WRONG_DEVICE)


def test_one_of_several_devices_is_missing(cuda):
    row = {"devices": "CUDA0/CUDA1"}
    outcome = cuda(row_changes=row, passthrough=several(0, 1), verbose=False)
    assert caught(outcome, "device", Reason.WRONG_DEVICE)
