from pathlib import Path

import pytest

from harness.machine.facts import (
    cpu_model,
    memory_available_bytes,
    physical_cores,
    read_machine_facts,
    recorded_environment,
)
from harness.machine.roots import MachineRoots

CPUINFO = "\n\n".join(
    f"processor\t: {n}\nmodel name\t: AMD Ryzen 9  7950X 16-Core Processor\nphysical id\t: 0\ncore id\t\t: {n % 2}\n"
    f"microcode\t: 0xa601206\nflags\t\t: fpu avx2 avx512f"
    for n in range(4)
)


@pytest.fixture
def roots(tmp_path: Path) -> MachineRoots:
    for folder in ("proc/sys/kernel", "sys/class/dmi/id", "sys/devices/system/cpu/smt", "sys/fs/cgroup", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text(CPUINFO + "\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:       16 kB\nMemAvailable:   8 kB\nSwapTotal:      0 kB\n")
    (tmp_path / "proc/sys/kernel/osrelease").write_text("6.12.1\n")
    (tmp_path / "sys/devices/system/cpu/smt/active").write_text("1\n")
    (tmp_path / "etc/os-release").write_text('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n')
    return MachineRoots(proc=tmp_path / "proc", sys=tmp_path / "sys", etc=tmp_path / "etc")


def test_cores_are_counted_once_for_their_hardware_threads(roots: MachineRoots) -> None:
    assert physical_cores(roots, usable=frozenset({0, 1, 2, 3})) == 2


def test_cores_that_may_not_be_used_do_not_count(roots: MachineRoots) -> None:
    assert physical_cores(roots, usable=frozenset({0, 2})) == 1


def test_without_topology_every_usable_cpu_is_a_core(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\n\nprocessor : 1\n")
    assert physical_cores(MachineRoots(proc=tmp_path), usable=frozenset({0, 1})) == 2


def test_facts(roots: MachineRoots) -> None:
    facts = read_machine_facts(machine="m", devices=(), environment={"GGML_X": "1", "HF_TOKEN": "s"}, roots=roots)
    assert facts.cpu_model == cpu_model(roots) == "AMD Ryzen 9 7950X 16-Core Processor"
    assert (facts.memory_bytes, memory_available_bytes(roots)) == (16384, 8192)
    assert facts.os == "Debian GNU/Linux 13 (trixie)"
    assert facts.kernel == "6.12.1"
    assert facts.smt is True
    assert facts.microcode == "0xa601206"
    assert facts.cpu_flags == ("avx2", "avx512f", "fpu")
    assert facts.virtualization == "none"
    assert facts.environment == {"GGML_X": "1"}


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    facts = read_machine_facts(
        machine="m", devices=(), environment={}, roots=MachineRoots(proc=tmp_path, sys=tmp_path, etc=tmp_path)
    )
    assert facts.governor is None
    assert facts.smt is None
    assert facts.numa_nodes is None
    assert facts.microcode is None
    assert facts.virtualization is None
    assert facts.cgroup_version is None


def test_wsl_is_seen_by_its_kernel(roots: MachineRoots) -> None:
    (roots.proc / "sys/kernel/osrelease").write_text("5.15.0-microsoft-standard-WSL2\n")
    assert read_machine_facts(machine="m", devices=(), environment={}, roots=roots).virtualization == "wsl2"


def test_secrets_are_never_recorded() -> None:
    environment = {
        "HF_TOKEN": "x",
        "AWS_SECRET": "y",
        "PATH": "/",
        "GGML_VK_VISIBLE_DEVICES": "0",
        "HIP_VISIBLE_DEVICES": "1",
    }
    assert recorded_environment(environment) == {"GGML_VK_VISIBLE_DEVICES": "0", "HIP_VISIBLE_DEVICES": "1"}


def test_names_that_begin_like_results_and_hold_secrets_are_left_out() -> None:
    environment = {
        "LLAMA_API_KEY": "sk-1",
        "LLAMA_ARG_HF_TOKEN": "hf_2",
        "LLAMA_ARG_MODEL_URL": "https://u:p@example.com/m.gguf",
        "GGML_RPC_PASSWORD": "3",
        "GGML_CUDA_FORCE_MMQ": "1",
    }
    assert recorded_environment(environment) == {"GGML_CUDA_FORCE_MMQ": "1"}


def test_neither_cards_nor_homes_are_named_by_a_variable() -> None:
    environment = {
        "CUDA_VISIBLE_DEVICES": "GPU-8f2c9a1e-1111-2222-3333-444455556666,1",
        "VK_DRIVER_FILES": "/home/alice/icd.json:/root/x.json:/usr/share/vulkan/icd.d/nvidia.json",
    }
    assert recorded_environment(environment) == {
        "CUDA_VISIBLE_DEVICES": "GPU-...,1",
        "VK_DRIVER_FILES": "~/icd.json:~/x.json:/usr/share/vulkan/icd.d/nvidia.json",
    }
