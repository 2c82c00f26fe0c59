"""The stub of llama-bench against captured outputs of the real one: whatever reads those has to read the stub's."""

from __future__ import annotations

import json
import re
import signal

import pytest

from harness.artifacts.bench_help import parse_help, parse_version
from harness.formats import llama_bench, llama_log
from harness.formats.device_list import read_device_list
from harness.values.failure import Reason
from tests.rig.script import CONTAINER_FAULTS, Fault, Script, StubDevice
from tests.rig.stand_in import stand_in
from tests.rig.templates import CAPTURES

CARD = StubDevice(
    nodes=("/dev/null",),
    name="NVIDIA GeForce RTX 4090",
    banner="NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes, VRAM: 24080 MiB",
    pci="0000:01:00.0",
    mib=24080,
)
FAST = {"pp": 1e6, "tg": 1e5, "load_s": 0.0}
CUDA = Script(backend="cuda", devices=(CARD,), **FAST)
CPU = Script(backend="cpu", **FAST)
ARGV = ("-r", "2", "-o", "jsonl", "-v", "-p", "32", "-n", "8", "-d", "0,64", "-ngl", "99", "-fa", "1")


def bench(play, source, tmp_path, script, *argv):
    model = stand_in(source, tmp_path / "models")
    return play(script, "-m", str(model.path), *argv), model


def captured_rows(case):
    return [json.loads(line) for line in (CAPTURES / f"{case}.stdout").read_text().splitlines()]


@pytest.mark.parametrize("script", [CUDA, CPU])
def test_rows_have_the_fields_and_types_of_real_ones(play, tiny_source, tmp_path, script) -> None:
    done, model = bench(play, tiny_source, tmp_path, script, *ARGV, "-dev", "CUDA0" if script is CUDA else "none")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    real = captured_rows("vulkan-b11312/good-software-v")[0]
    for row in rows:
        assert list(row) == list(real)
        for key, value in real.items():
            assert type(row[key]) is type(value), key
    output = llama_bench.read(done.stdout.splitlines())
    assert output.problems == ()
    assert [(r.n_prompt, r.n_gen, r.n_depth) for r in output.rows] == [(32, 0, 0), (0, 8, 0), (32, 0, 64), (0, 8, 64)]
    first = output.rows[0]
    assert first.model_n_params == model.n_params
    assert first.model_size < model.size_bytes
    assert first.backends == (("CUDA",) if script is CUDA else ("CPU",))
    assert first.gpu_info == ("NVIDIA GeForce RTX 4090" if script is CUDA else "")


def masked(text):
    return re.sub(r"\d+(?:\.\d+)?|\((?:unknown id|[0-9a-f:.]+)\)", "#", " ".join(text.split()))


def test_every_line_of_the_log_is_a_captured_one(play, tiny_source, tmp_path) -> None:
    """But for names and numbers; and all that is read of the captured log is read of the stub's."""
    script = Script(
        backend="vulkan", devices=(StubDevice(nodes=(), name="llvmpipe (LLVM 19.1.7, 256 bits)", banner=""),)
    )
    done, model = bench(play, tiny_source, tmp_path, script, *ARGV[:-2], "-fa", "0", "-dev", "Vulkan0", "-lm", "mmap")
    capture = (CAPTURES / "vulkan-b11312/good-software-v.stderr").read_text().splitlines()
    known = {masked(line) for line in capture}
    own = ("general.name", "print_info: arch", "model params", "file size", "ggml_vulkan: 0 =")
    unknown = [
        line for line in done.stderr.splitlines() if masked(line) not in known and not any(o in line for o in own)
    ]
    assert unknown == []
    real, stub = llama_log.read(capture), llama_log.read(done.stderr.splitlines())
    for field in ("libraries", "cpu_variant", "flash_attn", "graph_splits"):
        assert getattr(stub, field) == getattr(real, field), field
    assert set(stub.devices) == set(real.devices)
    assert set(stub.model_buffers) == set(real.model_buffers)
    assert set(stub.kv_buffers) == set(real.kv_buffers)
    assert (stub.layers_offloaded, stub.layers_total) == (3, 3)
    assert sum(stub.model_buffers.values()) == pytest.approx(model.size_bytes, rel=0.05)


def test_help_version_and_device_list(play) -> None:
    assert parse_help(play(CUDA, "--help").stdout) == parse_help((CAPTURES / "cpu-b11312/help.stdout").read_text())
    other = Script(backend="cpu", build_number=999, build_commit="abcdef123")
    assert parse_version(play(other, "--version").stderr) == (999, "abcdef123")
    (listed,) = read_device_list(play(CUDA, "--list-devices").stdout.splitlines())
    assert (listed.name, listed.description) == ("CUDA0", "NVIDIA GeForce RTX 4090")
    closed = Script(backend="vulkan", devices=(StubDevice(nodes=("/dev/no-such-node",), name="x", banner="x"),))
    for case, done in {"list-devices-none": play(closed, "--list-devices")}.items():
        assert done.stdout == (CAPTURES / f"vulkan-b11312/{case}.stdout").read_text()
        assert done.stderr == (CAPTURES / f"vulkan-b11312/{case}.stderr").read_text()


def test_refusals_are_those_of_the_real_one(play, tiny_source, tmp_path) -> None:
    closed = Script(backend="vulkan", devices=(StubDevice(nodes=("/dev/no-such-node",), name="x", banner="x"),))
    done, _ = bench(play, tiny_source, tmp_path, closed, "-dev", "Vulkan0")
    assert done.returncode == 1
    assert done.stderr == (CAPTURES / "vulkan-b11312/no-device-asked.stderr").read_text()
    done, _ = bench(play, tiny_source, tmp_path, CPU, "-mmp", "1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: invalid parameter for argument: -mmp"
    done = play(CPU, "-m", "/nowhere.gguf")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "llama_bench: error: failed to load model '/nowhere.gguf'",
    )


TOO_OLD = Fault(kind="driver", value="CUDA driver version is insufficient for CUDA runtime version")


@pytest.mark.parametrize(
    ("machine", "fault"), [("no-driver", Fault(kind="no-library")), ("driver-550", None), ("driver-470", TOO_OLD)]
)
def test_cuda_without_a_card_is_as_the_real_image_was(play, tiny_source, tmp_path, machine, fault) -> None:
    """By what was captured without a driver, with one, and with one that is too old."""
    card = StubDevice(nodes=("/dev/no-such-node",), name="x", banner="x")
    script = Script(backend="cuda", devices=(card,), faults=(fault,) if fault else (), **FAST)

    def captured(case):
        lines = (CAPTURES / f"cuda-b11312/{case}-{machine}.stderr").read_text().splitlines()
        return [re.sub(r"cpu-\w+\.so", "cpu-zen4.so", line) for line in lines]

    listed = play(script, "--list-devices")
    assert listed.stdout == (CAPTURES / f"cuda-b11312/list-devices-{machine}.stdout").read_text()
    assert listed.stderr.splitlines() == captured("list-devices")
    asked, _ = bench(play, tiny_source, tmp_path, script, "-dev", "CUDA0")
    assert asked.returncode == 1
    assert asked.stderr.splitlines() == captured("no-device-asked")
    silent, _ = bench(play, tiny_source, tmp_path, script, "-p", "16", "-n", "4", "-r", "2", "-o", "jsonl")
    assert silent.returncode == 0
    real = llama_bench.read((CAPTURES / f"cuda-b11312/silent-cpu-fallback-{machine}-v.stdout").read_text().splitlines())
    rows = llama_bench.read(silent.stdout.splitlines()).rows
    assert [(row.backends, row.gpu_info, row.devices) for row in rows] == [
        (row.backends, row.gpu_info, row.devices) for row in real.rows
    ]


def test_a_build_s_speed_is_its_script_s(play, tiny_source, tmp_path) -> None:
    """Each image has its own; a planted slowdown is there to be found."""
    calm = {**FAST, "within": 0.0, "between": 0.0}
    good = Script(backend="cpu", build_number=1, **calm)
    bad = Script(backend="cpu", build_number=2, **calm, faults=(Fault(kind="slow", at="tg8", value="1.25"),))
    samples = {}
    for script in (good, bad):
        done, _ = bench(play, tiny_source, tmp_path, script, "-p", "32", "-n", "8", "-r", "2", "-o", "jsonl")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        samples[script.build_number] = [row["samples_ns"][-1] for row in rows]
    assert samples[1][0] == samples[2][0]
    assert samples[2][1] == pytest.approx(1.25 * samples[1][1], rel=1e-4)


ENDS = {
    "load-out-of-memory": (1, "unable to allocate CUDA0 buffer", Reason.OOM_DEVICE),
    "context-out-of-memory": (1, "failed to allocate buffer for kv cache", Reason.OOM_DEVICE),
    "abort": (-signal.SIGABRT, "/app/ggml/src/ggml-cuda/ggml-cuda.cu:104: CUDA error", Reason.ABORT),
    "killed": (-signal.SIGKILL, "", None),
}


@pytest.mark.parametrize("kind", ENDS)
def test_ends_are_told_by_exit_code_and_log(play, tiny_source, tmp_path, kind) -> None:
    code, text, _ = ENDS[kind]
    at = "*" if kind == "load-out-of-memory" else "tg8"
    script = Script(backend="cuda", devices=(CARD,), **FAST, faults=(Fault(kind=kind, at=at, value=text),))
    done, _ = bench(play, tiny_source, tmp_path, script, *ARGV[:-4], "-dev", "CUDA0")
    assert done.returncode == code
    assert text in done.stderr
    assert len(done.stdout.splitlines()) == (0 if kind == "load-out-of-memory" else 1)


@pytest.mark.parametrize(
    ("kind", "gpu_info", "on_host"),
    [
        ("fallback", "", True),
        ("host-weights", CARD.name, True),
        ("other-device", "NVIDIA GeForce GT 1030", False),
        ("host-memory", CARD.name, False),
    ],
)
def test_fallbacks_look_like_real_ones(play, tiny_source, tmp_path, kind, gpu_info, on_host) -> None:  # noqa: PLR0917
    faults = (Fault(kind=kind, value="NVIDIA GeForce GT 1030"),)
    script = Script(backend="cuda", devices=(CARD,), **FAST, faults=faults)
    done, _ = bench(play, tiny_source, tmp_path, script, *ARGV, "-dev", "CUDA0")
    row = llama_bench.read(done.stdout.splitlines()).rows[0]
    log = llama_log.read(done.stderr.splitlines())
    assert (row.backends, row.gpu_info) == (("CUDA",), gpu_info)
    assert all(name.startswith("CPU") for name in log.model_buffers) is on_host


def test_a_script_that_is_wrong_is_refused() -> None:
    with pytest.raises(ValueError, match="not one of"):
        Script(backend="cpu", faults=(Fault(kind="no-such-fault"),)).text()
    with pytest.raises(ValueError, match="tab"):
        Script(backend="cpu", build_commit="a\tb").text()
    assert "hang" in CONTAINER_FAULTS
