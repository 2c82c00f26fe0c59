from __future__ import annotations

from harness.machine.vendors.intel import Intel
from harness.machine.vendors.intel_probe import ASLEEP, FROM_ENERGY, NO_UTILIZATION
from harness.values.facts import Device
from harness.values.telemetry import Throttle, ThrottleKind

B580 = Device(vendor="intel", kind="gpu", name="Intel Arc B580", pci="0000:03:00.0", driver="xe")
A770 = Device(vendor="intel", kind="gpu", name="Intel Arc A770", pci="0000:03:00.0", driver="i915")

XE = {
    "hwmon/hwmon4/name": "xe",
    "hwmon/hwmon4/energy2_label": "pkg",
    "hwmon/hwmon4/energy2_input": "123456789",
    "hwmon/hwmon4/temp2_label": "pkg",
    "hwmon/hwmon4/temp2_input": "55000",
    "hwmon/hwmon4/temp3_label": "vram",
    "hwmon/hwmon4/temp3_input": "60000",
    "tile0/gt0/freq0/act_freq": "2850",
    "tile0/gt0/freq0/throttle/status": "1",
    "tile0/gt0/freq0/throttle/reason_pl1": "1",
    "tile0/gt0/freq0/throttle/reason_thermal": "1",
    "tile0/gt0/freq0/throttle/reason_pl4": "0",
    "current_link_speed": "16.0 GT/s PCIe",
    "current_link_width": "8",
}
I915 = {
    "hwmon/hwmon4/name": "i915",
    "hwmon/hwmon4/energy1_input": "5000000",
    "drm/card0/gt/gt0/rps_act_freq_mhz": "2400",
    "drm/card0/gt/gt0/throttle_reason_status": "0",
    "drm/card0/gt/gt0/throttle_reason_pl1": "0",
    "drm/card0/gt/gt0/throttle_reason_thermal": "0",
}


def probe_of(roots, device: Device, files):
    path = roots.card("0000:03:00.0", ids="8086:e20b", driver=device.driver, files=files)
    (path / "drm/renderD128").mkdir(parents=True)
    return Intel(sysfs=roots.sys, dev=roots.dev, share=roots.share).telemetry(device)


def test_xe(roots) -> None:
    probe = probe_of(roots, B580, XE)
    reading = probe.read()
    assert reading.energy_j == 123.456789
    assert (reading.temperature_c, reading.memory_temperature_c) == (55, 60)
    assert reading.core_clock_mhz == 2850
    assert reading.throttle == (
        Throttle(kind=ThrottleKind.POWER, name="pl1"),
        Throttle(kind=ThrottleKind.THERMAL, name="thermal"),
    )
    assert (reading.pcie_generation, reading.pcie_width) == (4, 8)
    assert reading.utilization_percent is None
    assert probe.missing["utilization_percent"] == NO_UTILIZATION
    assert probe.missing["power_w"] == FROM_ENERGY


def test_the_energy_of_the_card_goes_before_that_of_the_chip(roots) -> None:
    card = {"hwmon/hwmon4/energy1_label": "card", "hwmon/hwmon4/energy1_input": "200000000"}
    assert probe_of(roots, B580, {**XE, **card}).read().energy_j == 200


def test_i915(roots) -> None:
    reading = probe_of(roots, A770, I915).read()
    assert reading.energy_j == 5
    assert reading.core_clock_mhz == 2400
    assert reading.throttle == ()
    assert reading.pcie_width is None


def test_a_card_that_sleeps_is_not_woken(roots) -> None:
    probe = probe_of(roots, B580, {**XE, "power/runtime_status": "suspended"})
    assert probe.read().energy_j is None
    assert probe.missing["energy_j"] == ASLEEP
