from dataclasses import fields
from pathlib import Path

import pytest

from harness.machine.host_state import command_line, read_host_state
from harness.machine.roots import MachineRoots
from harness.values.host import HostState

DESKTOP = {
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=1b2c-3d mitigations=off isolcpus=2-3 ip=10.0.0.1::host:eth0 quiet",
    "proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1 (2025-01-10)",
    "proc/sys/kernel/randomize_va_space": "2",
    "proc/sys/kernel/numa_balancing": "0",
    "proc/sys/vm/swappiness": "10",
    "proc/uptime": "81234.55 1000.1",
    "proc/meminfo": "MemTotal: 16 kB\nHugePages_Total:       4\nHugepagesize:       2048 kB\n",
    "sys/class/dmi/id/board_vendor": "ASRock",
    "sys/class/dmi/id/board_name": "X670E Taichi",
    "sys/class/dmi/id/board_serial": "M80-secret",
    "sys/class/dmi/id/bios_version": "3.08",
    "sys/class/dmi/id/bios_date": "10/02/2024",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "amd-pstate-epp",
    "sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference": "performance",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "400000",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "5881000",
    "sys/devices/system/cpu/cpufreq/boost": "1",
    "sys/devices/system/cpu/cpu0/cache/index3/level": "3",
    "sys/devices/system/cpu/cpu0/cache/index3/size": "32768K",
    "sys/devices/system/cpu/isolated": "2-3",
    "sys/devices/system/cpu/vulnerabilities/meltdown": "Not affected",
    "sys/devices/system/cpu/vulnerabilities/spectre_v2": "Vulnerable",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "sys/firmware/acpi/platform_profile": "balanced",
    "sys/class/power_supply/AC/type": "Mains",
    "sys/class/power_supply/AC/online": "1",
    "sys/class/power_supply/BAT0/type": "Battery",
    "sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw": "125000000",
}


def module(size: int, kind: int, speed: int, configured: int) -> bytes:
    body = bytearray(0x5C)
    body[0], body[1] = 17, len(body)
    body[0x0C:0x0E] = size.to_bytes(2, "little")
    body[0x12] = kind
    body[0x15:0x17] = speed.to_bytes(2, "little")
    body[0x20:0x22] = configured.to_bytes(2, "little")
    return bytes(body) + b"SERIAL-42\0maker\0\0"


END = bytes([127, 4, 0, 0]) + b"\0\0"


@pytest.fixture
def roots(tmp_path: Path) -> MachineRoots:
    for name, text in DESKTOP.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    table = tmp_path / "sys/firmware/dmi/tables/DMI"
    table.parent.mkdir(parents=True)
    empty = module(0, 0x22, 0, 0)
    table.write_bytes(
        bytes([1, 8, 0, 0, 1, 2, 3, 4])
        + b"\0\0"
        + module(16384, 0x22, 6000, 5600)
        + empty
        + module(16384, 0x22, 6000, 6000)
        + END
    )
    return MachineRoots(proc=tmp_path / "proc", sys=tmp_path / "sys", etc=tmp_path / "etc")


def test_a_desktop(roots: MachineRoots) -> None:
    state = read_host_state(roots)
    assert state == HostState(
        kernel_build="#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1 (2025-01-10)",
        kernel_command_line=("mitigations=off", "isolcpus=2-3"),
        board="ASRock X670E Taichi",
        firmware="3.08",
        firmware_date="10/02/2024",
        scaling_driver="amd-pstate-epp",
        energy_preference="performance",
        boost=True,
        cpu_min_mhz=400,
        cpu_max_mhz=5881,
        l3_cache_bytes=32 << 20,
        cpu_power_limit_w=125.0,
        platform_profile="balanced",
        on_mains=True,
        transparent_hugepages="madvise",
        hugepages=4,
        hugepage_bytes=2 << 20,
        numa_balancing=False,
        memory_type="DDR5",
        memory_mts=5600,
        memory_modules=2,
        clock_source="tsc",
        aslr=2,
        swappiness=10,
        isolated_cpus="2-3",
        mitigations={"meltdown": "Not affected", "spectre_v2": "Vulnerable"},
        up_s=81234,
    )


def test_intel_says_turbo_the_other_way_round(roots: MachineRoots) -> None:
    (roots.sys / "devices/system/cpu/cpufreq/boost").unlink()
    (roots.sys / "devices/system/cpu/intel_pstate").mkdir()
    (roots.sys / "devices/system/cpu/intel_pstate/no_turbo").write_text("1\n")
    assert read_host_state(roots).boost is False


def test_what_is_not_there_is_none_and_says_why(tmp_path: Path) -> None:
    state = read_host_state(MachineRoots(proc=tmp_path, sys=tmp_path, etc=tmp_path))
    for field in fields(HostState):
        if field.name not in {"unknown", "kernel_command_line", "mitigations"}:
            assert getattr(state, field.name) is None, field.name
            assert state.unknown[field.name], field.name


@pytest.mark.parametrize("name", sorted(DESKTOP))
def test_a_file_of_nonsense_costs_its_own_fact_only(roots: MachineRoots, name: str) -> None:
    good = read_host_state(roots)
    (roots.proc.parent / name).write_bytes(b"\xff\xfe nonsense \0")
    state = read_host_state(roots)
    differing = [f.name for f in fields(HostState) if getattr(state, f.name) != getattr(good, f.name)]
    # The file of memory facts holds two of them.
    assert len([field for field in differing if field != "unknown"]) <= 2


def test_a_table_that_is_cut_or_noise_is_no_error(roots: MachineRoots) -> None:
    path = roots.sys / "firmware/dmi/tables/DMI"
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        read_host_state(roots)
    path.write_bytes(bytes(range(256)) * 40)
    read_host_state(roots)


def test_words_of_the_command_line_that_name_or_hide_something_are_left_out() -> None:
    text = (
        "root=/dev/mapper/alice--vg-root cryptdevice=UUID=77 ip=dhcp luks.key=/k mitigations=auto,nosmt "
        "isolcpus=$(evil) hugepages=16 -- mitigations=off --auth-token=hunter2"
    )
    assert command_line(text) == ("mitigations=auto,nosmt", "hugepages=16")


def test_options_of_drivers_are_kept_where_they_are_numbers() -> None:
    text = "amdgpu.ppfeaturemask=0xffffffff nvidia-drm.modeset=1 rd.luks.uuid=12 luks.key=7 rd.lvm.lv=vg/root a.b=word"
    assert command_line(text) == ("amdgpu.ppfeaturemask=0xffffffff", "nvidia-drm.modeset=1")


def test_this_machine_can_be_read() -> None:
    state = read_host_state()
    assert state.kernel_build
    assert state.up_s is not None
