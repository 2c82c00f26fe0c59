from __future__ import annotations

import struct

import pytest

from harness.machine.vendors.amd import Amd
from harness.machine.vendors.amd_probe import ASLEEP, METRICS_1_3
from harness.values.facts import Device
from harness.values.telemetry import DEVICE_FIELDS, DeviceProcess, Throttle, ThrottleKind

ONES_16, ONES_64 = 0xFFFF, 0xFFFF_FFFF_FFFF_FFFF
ADDRESS = "0000:03:00.0"
XTX = Device(
    vendor="amd", kind="gpu", name="AMD Radeon RX 7900 XTX", pci=ADDRESS, render_node="/dev/dri/renderD128",
    architecture="gfx1100",
)  # fmt: skip
MI210 = Device(vendor="amd", kind="gpu", name="AMD Instinct MI210", pci=ADDRESS, architecture="gfx90a")
STRIX = Device(vendor="amd", kind="integrated", name="Radeon 8060S Graphics", pci=ADDRESS, architecture="gfx1151")

SENSORS = {
    "hwmon/hwmon3/name": "amdgpu",
    "hwmon/hwmon3/power1_average": "287000000",
    "hwmon/hwmon3/temp1_label": "edge",
    "hwmon/hwmon3/temp1_input": "58000",
    "hwmon/hwmon3/temp2_label": "junction",
    "hwmon/hwmon3/temp2_input": "84000",
    "hwmon/hwmon3/temp3_label": "mem",
    "hwmon/hwmon3/temp3_input": "78000",
    "hwmon/hwmon3/freq1_label": "sclk",
    "hwmon/hwmon3/freq1_input": "2371000000",
    "hwmon/hwmon3/freq2_label": "mclk",
    "hwmon/hwmon3/freq2_input": "1249000000",
}
FILES = {
    **SENSORS,
    "gpu_busy_percent": "99",
    "mem_info_vram_used": "17179869184",
    "mem_info_gtt_used": "104857600",
    "current_link_speed": "16.0 GT/s PCIe",
    "current_link_width": "16",
    "power/runtime_status": "active",
}


def metrics(*, throttle: int = 0, energy: int = ONES_64, revision: tuple[int, int] = (1, 3)) -> bytes:
    fields = [METRICS_1_3.size, *revision, *[0] * 43]
    fields[13], fields[45] = energy, throttle
    return METRICS_1_3.pack(*fields)


def probe_of(roots, device: Device = XTX, **files):
    everything = {**FILES, "gpu_metrics": metrics(), **files}
    kept = {name: value for name, value in everything.items() if value is not None}
    roots.card(ADDRESS, ids="1002:744c", driver="amdgpu", render="renderD128", files=kept)
    return Amd(sysfs=roots.sys, dev=roots.dev, share=roots.share).telemetry(device)


def kfd(roots, **processes: dict[str, int]) -> None:
    roots.write("sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 192\ndrm_render_minor 128\n")
    roots.write("sys/class/kfd/kfd/topology/nodes/1/gpu_id", "41995\n")
    (roots.sys / "class/kfd/kfd/proc").mkdir(parents=True)
    for pid, held in processes.items():
        for gpu_id, size in held.items():
            roots.write(f"sys/class/kfd/kfd/proc/{pid.removeprefix('p')}/vram_{gpu_id}", f"{size}\n")


def test_the_header_is_as_the_kernel_lays_it_out() -> None:
    # The u64 after ten u16 lies at 24, which is aligned, and the last one at the end.
    assert METRICS_1_3.size == 120
    assert struct.calcsize("<HBB 10H") == 24


def test_a_card(roots) -> None:
    reading = probe_of(roots).read()
    assert reading.utilization_percent == 99
    assert (reading.memory_used_bytes, reading.gtt_used_bytes) == (16 << 30, 100 << 20)
    assert reading.power_w == 287
    assert (reading.temperature_c, reading.hotspot_c, reading.memory_temperature_c) == (58, 84, 78)
    assert (reading.core_clock_mhz, reading.memory_clock_mhz) == (2371, 1249)
    assert (reading.pcie_generation, reading.pcie_width) == (4, 16)
    assert reading.throttle == ()


def test_every_missing_file_is_a_reason_and_no_zero(roots) -> None:
    probe = probe_of(roots, **dict.fromkeys([*FILES, "gpu_metrics"], None))
    reading = probe.read()
    assert all(getattr(reading, name) is None for name in DEVICE_FIELDS)
    assert set(probe.missing) == set(DEVICE_FIELDS)
    assert probe.missing["utilization_percent"] == "there is no gpu_busy_percent"


def test_sensors_are_found_by_label_and_not_by_number(roots) -> None:
    # MI300 has no edge sensor: its first one is the junction.
    moved = {name: None for name in SENSORS if "temp" in name}
    moved |= {"hwmon/hwmon3/temp1_label": "junction", "hwmon/hwmon3/temp1_input": "61000"}
    reading = probe_of(roots, **moved).read()
    assert (reading.temperature_c, reading.hotspot_c) == (None, 61)


def test_power_as_newer_kernels_and_apus_have_it(roots) -> None:
    moved = {"hwmon/hwmon3/power1_average": None, "hwmon/hwmon3/power1_input": "54000000"}
    assert probe_of(roots, STRIX, **moved).read().power_w == 54


def test_the_clock_from_the_table_where_there_is_no_sensor(roots) -> None:
    table = "0: 500Mhz \n1: 2304Mhz *\n2: 2482Mhz \n"
    moved = dict.fromkeys(["hwmon/hwmon3/freq1_label", "hwmon/hwmon3/freq1_input"], None)
    assert probe_of(roots, pp_dpm_sclk=table, **moved).read().core_clock_mhz == 2304


def test_an_apu_has_its_model_in_the_host_s_memory(roots) -> None:
    reading = probe_of(roots, STRIX, mem_info_vram_used="402653184", mem_info_gtt_used="64424509440").read()
    assert (reading.memory_used_bytes, reading.gtt_used_bytes) == (384 << 20, 60 << 30)


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        (1 << 0, Throttle(kind=ThrottleKind.POWER, name="ppt0")),
        (1 << 7, Throttle(kind=ThrottleKind.POWER, name="sppt_apu")),
        (1 << 16, Throttle(kind=ThrottleKind.POWER, name="tdc_gfx")),
        (1 << 22, Throttle(kind=ThrottleKind.POWER, name="edc_gfx")),
        (1 << 35, Throttle(kind=ThrottleKind.THERMAL, name="temp_edge")),
        (1 << 36, Throttle(kind=ThrottleKind.THERMAL, name="temp_hotspot")),
        (1 << 44, Throttle(kind=ThrottleKind.THERMAL, name="vrhot0")),
        (1 << 47, Throttle(kind=ThrottleKind.THERMAL, name="prochot_gfx")),
        (1 << 57, Throttle(kind=ThrottleKind.HARDWARE, name="fit")),
    ],
)
def test_reasons_for_lower_clocks(roots, bits, reason) -> None:
    assert probe_of(roots, gpu_metrics=metrics(throttle=bits)).read().throttle == (reason,)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (metrics(throttle=ONES_64), "the firmware does not tell"),
        (metrics(revision=(3, 0)), "3.0, only 1.3 is read"),
        (metrics()[:40], "only 1.3 is read"),
        (b"", "empty"),
    ],
)
def test_metrics_that_say_nothing_of_throttling(roots, data, why) -> None:
    probe = probe_of(roots, gpu_metrics=data)
    assert probe.read().throttle is None
    assert why in probe.missing["throttle"]


def test_energy_only_where_its_unit_is_known(roots) -> None:
    data = metrics(energy=1_000_000)
    assert probe_of(roots, gpu_metrics=data).read().energy_j is None
    assert Amd(sysfs=roots.sys).telemetry(MI210).read().energy_j == pytest.approx(15.259)


def test_all_ones_of_energy_are_missing(roots) -> None:
    probe = probe_of(roots, MI210)
    assert probe.read().energy_j is None
    assert "does not tell" in probe.missing["energy_j"]


def test_a_card_that_sleeps_is_not_woken(roots) -> None:
    probe = probe_of(roots, **{"power/runtime_status": "suspended"})
    reading = probe.read()
    assert all(getattr(reading, name) is None for name in DEVICE_FIELDS)
    assert probe.missing["power_w"] == ASLEEP
    roots.write(f"sys/bus/pci/devices/{ADDRESS}/power/runtime_status", "active\n")
    assert probe.read().power_w == 287
    assert "power_w" not in probe.missing


def test_processes_that_hold_memory_of_this_card(roots) -> None:
    kfd(roots, p812={"41995": 5 << 30}, p900={"777": 1 << 30}, p901={"41995": 0})
    probe = probe_of(roots)
    assert probe.read().processes == (DeviceProcess(pid=812, memory_bytes=5 << 30),)
    assert "Vulkan are not listed" in probe.substitutes["processes"]


def test_the_link_is_that_of_the_slot_and_not_of_the_switch_on_the_card(roots) -> None:
    # Root port (of another vendor) > upstream port > downstream port > GPU: the card's own switch is always at x16.
    chain = roots.sys / "devices/pci0000:00/0000:00:01.1/0000:01:00.0/0000:02:00.0" / ADDRESS
    upstream = chain.parent.parent
    probe_of(roots)
    chain.parent.mkdir(parents=True)
    (roots.sys / "bus/pci/devices" / ADDRESS).rename(chain)
    (roots.sys / "bus/pci/devices" / ADDRESS).symlink_to(chain)
    for bridge, vendor in ((chain.parent, "0x1002"), (upstream, "0x1002"), (upstream.parent, "0x1022")):
        (bridge / "class").write_text("0x060400\n")
        (bridge / "vendor").write_text(f"{vendor}\n")
    (upstream / "current_link_speed").write_text("8.0 GT/s PCIe\n")
    (upstream / "current_link_width").write_text("4\n")
    reading = Amd(sysfs=roots.sys, dev=roots.dev, share=roots.share).telemetry(XTX).read()
    assert (reading.pcie_generation, reading.pcie_width) == (3, 4)
