from __future__ import annotations

from pathlib import Path

import pytest

from harness.machine.vendors.cpu import Cpu
from harness.machine.vendors.cpu_probe import CLOSED, NO_RAPL, cpu_probe
from harness.values.telemetry import Throttle, ThrottleKind


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    return tmp_path / "sys"


def write(sysfs: Path, path: str, value: object) -> None:
    file = sysfs / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def package(sysfs: Path, number: int, energy_uj: int) -> None:
    zone = f"class/powercap/intel-rapl:{number}"
    write(sysfs, f"{zone}/name", f"package-{number}")
    write(sysfs, f"{zone}/energy_uj", energy_uj)
    write(sysfs, f"{zone}/max_energy_range_uj", 262_143_328_850)


def test_the_energy_of_all_packages_since_the_first_look(sysfs) -> None:
    package(sysfs, 0, 1_000_000)
    package(sysfs, 1, 5_000_000)
    write(sysfs, "class/powercap/intel-rapl:0:0/name", "core")
    write(sysfs, "class/powercap/intel-rapl:0:0/energy_uj", 10**9)
    write(sysfs, "class/powercap/intel-rapl:2/name", "psys")
    write(sysfs, "class/powercap/intel-rapl:2/energy_uj", 10**9)
    probe = cpu_probe(sysfs)
    assert probe.read().energy_j == 0
    package(sysfs, 0, 3_500_000)
    package(sysfs, 1, 6_000_000)
    assert probe.read().energy_j == 3.5


def test_a_counter_that_begins_anew(sysfs) -> None:
    package(sysfs, 0, 262_143_000_000)
    probe = cpu_probe(sysfs)
    probe.read()
    package(sysfs, 0, 671_149)
    assert probe.read().energy_j == 1.0


def test_a_counter_that_only_root_may_read_says_how_to_open_it(sysfs, monkeypatch) -> None:
    package(sysfs, 0, 1)
    real = Path.read_text

    def closed(path: Path, *arguments, **named):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", closed)
    probe = cpu_probe(sysfs)
    assert probe.read().energy_j is None
    assert probe.missing["energy_j"] == CLOSED
    assert "chmod a+r" in CLOSED


def test_a_machine_without_sensors_says_why(sysfs) -> None:
    probe = cpu_probe(sysfs)
    reading = probe.read()
    assert (reading.energy_j, reading.temperature_c, reading.core_clock_mhz, reading.throttle) == (None,) * 4
    assert probe.missing["energy_j"] == NO_RAPL


def test_the_temperature_of_the_whole_chip(sysfs) -> None:
    write(sysfs, "class/hwmon/hwmon0/name", "nvme")
    write(sysfs, "class/hwmon/hwmon2/name", "k10temp")
    write(sysfs, "class/hwmon/hwmon2/temp1_label", "Tctl")
    write(sysfs, "class/hwmon/hwmon2/temp1_input", 71250)
    assert cpu_probe(sysfs).read().temperature_c == 71.25


def test_the_mean_clock_of_some_cores(sysfs) -> None:
    for number in range(32):
        write(sysfs, f"devices/system/cpu/cpufreq/policy{number}/scaling_cur_freq", 3_000_000 + 1000 * number)
    assert cpu_probe(sysfs).read().core_clock_mhz == pytest.approx(3014, abs=3)


def test_thermal_throttling_is_active_where_the_counter_grew(sysfs) -> None:
    for cpu in range(2):
        write(sysfs, f"devices/system/cpu/cpu{cpu}/thermal_throttle/package_throttle_count", 7)
    probe = cpu_probe(sysfs)
    assert probe.read().throttle == ()
    for cpu in range(2):
        write(sysfs, f"devices/system/cpu/cpu{cpu}/thermal_throttle/package_throttle_count", 9)
    assert probe.read().throttle == (Throttle(kind=ThrottleKind.THERMAL, name="package_throttle"),)
    assert probe.read().throttle == ()


def test_another_root_is_simulated(tmp_path) -> None:
    assert all(device.simulated for device in Cpu(sysfs=tmp_path).discover())
