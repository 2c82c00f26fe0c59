import pytest

from harness.measure.placement import computing, findings, on_host
from harness.values.bench import LogFacts
from harness.values.failure import Reason
from harness.values.record import Proof


@pytest.fixture
def look(cell):
    def at(name, log, *, device="CUDA0", is_gpu=True, **params):
        found = findings(cell(32, **params), LogFacts(**log), device=device, is_gpu=is_gpu)
        (finding,) = (finding for finding in found if finding.check.name == name)
        return finding.check.proof, finding.reason

    return at


def test_buffers_of_the_host():
    assert all(on_host(name) for name in ("CPU", "CPU_Mapped", "CPU_REPACK", "CUDA_Host", "Vulkan_Host", "AMX"))
    assert not any(on_host(name) for name in ("CUDA0", "Vulkan0", "ROCm1", "CUDA0_Split", "MTL0_Mapped"))


def test_weights_on_every_device_that_was_asked_for(look):
    both = {"model_buffers": {"CPU_Mapped": 1, "CUDA0": 5, "CUDA1": 5}}
    assert look("weights", both, device="CUDA0/CUDA1") == (Proof.PROVEN, None)
    assert look("weights", both, device="CUDA0") == (Proof.CONTRADICTED, Reason.WRONG_DEVICE)
    one = {"model_buffers": {"CUDA0": 5}}
    assert look("weights", one, device="CUDA0/CUDA1") == (Proof.CONTRADICTED, Reason.WRONG_DEVICE)
    assert look("weights", {"model_buffers": {"CUDA0": 0, "CPU": 3}}) == (Proof.CONTRADICTED, Reason.CPU_FALLBACK)


def test_split_rows_lie_in_buffers_of_their_own(look):
    assert look("weights", {"model_buffers": {"CUDA0": 1, "CUDA_Split": 5}}) == (Proof.PROVEN, None)


def test_ten_devices_are_not_one(look):
    assert look("weights", {"model_buffers": {"CUDA10": 5}}, device="CUDA1") == (
        Proof.CONTRADICTED,
        Reason.WRONG_DEVICE,
    )


def test_no_layers_offloaded_leaves_the_weights_on_the_host(look):
    assert look("weights", {"model_buffers": {"CPU": 5}}, n_gpu_layers=0) == (Proof.PROVEN, None)


def test_layers(look):
    def layers(offloaded, total, ngl):
        return look("layers", {"layers_offloaded": offloaded, "layers_total": total}, n_gpu_layers=ngl)[0]

    assert layers(33, 33, 99) is Proof.PROVEN
    assert layers(33, 33, 33) is Proof.PROVEN
    assert layers(10, 33, 10) is Proof.PROVEN
    assert layers(0, 33, 0) is Proof.PROVEN
    assert layers(33, 33, -1) is Proof.PROVEN
    assert layers(32, 33, 99) is Proof.CONTRADICTED
    assert layers(33, 33, 10) is Proof.CONTRADICTED
    assert look("layers", {})[0] is Proof.UNOBSERVABLE


def test_kv_cache(look):
    full = {"layers_offloaded": 33, "layers_total": 33}
    part = {"kv_buffers": {"CPU": 1, "CUDA0": 1}, "layers_offloaded": 10, "layers_total": 33}
    assert look("kv_cache", {"kv_buffers": {"CUDA0": 1}} | full)[0] is Proof.PROVEN
    assert look("kv_cache", {"kv_buffers": {"CUDA0": 1, "CPU": 1}} | full) == (Proof.CONTRADICTED, Reason.CPU_FALLBACK)
    assert look("kv_cache", part, n_gpu_layers=10)[0] is Proof.PROVEN
    assert look("kv_cache", {"kv_buffers": {"CPU": 1}} | full, no_kv_offload=True)[0] is Proof.PROVEN
    assert look("kv_cache", {"kv_buffers": {"CUDA0": 1}} | full, no_kv_offload=True) == (
        Proof.CONTRADICTED,
        Reason.WRONG_PARAMETERS,
    )
    assert look("kv_cache", {"kv_buffers": {"CUDA1": 1}} | full) == (Proof.CONTRADICTED, Reason.WRONG_DEVICE)
    assert look("kv_cache", {})[0] is Proof.UNOBSERVABLE


def test_graph(look):
    full = {"layers_offloaded": 33, "layers_total": 33}
    assert look("graph", {"graph_splits": 2} | full)[0] is Proof.PROVEN
    assert look("graph", {"graph_splits": 66} | full)[0] is Proof.UNOBSERVABLE
    assert look("graph", {"graph_splits": 66} | full, n_cpu_moe=30)[0] is Proof.PROVEN
    assert look("graph", {"graph_splits": 1}, is_gpu=False)[0] is Proof.PROVEN
    assert look("graph", {"graph_splits": 2}, is_gpu=False)[0] is Proof.UNOBSERVABLE


@pytest.mark.parametrize(
    ("asked", "used", "proof"),
    [
        (1, True, Proof.PROVEN),
        (0, False, Proof.PROVEN),
        (1, False, Proof.CONTRADICTED),
        (0, True, Proof.CONTRADICTED),
        ("auto", False, Proof.PROVEN),
        ("auto", None, Proof.UNOBSERVABLE),
        (1, None, Proof.UNOBSERVABLE),
    ],
)
def test_flash_attention(look, asked, used, proof):
    assert look("flash_attention", {"flash_attn": used}, flash_attn=asked)[0] is proof


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ("CUDA0", "CUDA1")),
        ({"split_mode": "layer"}, ("CUDA0", "CUDA1")),
        ({"split_mode": "row"}, ("CUDA0", "CUDA1")),
        ({"split_mode": "none"}, ("CUDA0",)),
        ({"split_mode": "none", "main_gpu": 1}, ("CUDA1",)),
        ({"tensor_split": "1/0"}, ("CUDA0",)),
        ({"tensor_split": "0.0/3"}, ("CUDA1",)),
        ({"tensor_split": "3/1"}, ("CUDA0", "CUDA1")),
    ],
)
def test_the_devices_that_get_weights(cell, params, names):
    assert computing(cell(32, backend="cuda", **params), "CUDA0/CUDA1") == names
