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


def sockets(sysfs: Path, *packages: tuple[str, range | list[int]], list_name: str = "package_cpus_list") -> None:
    """CPUs with counters of their packages, each given as the kernel's list and as numbers."""
    for text, cpus in packages:
        for cpu in cpus:
            write(sysfs, f"devices/system/cpu/cpu{cpu}/topology/{list_name}", text)
            write(sysfs, f"devices/system/cpu/cpu{cpu}/thermal_throttle/package_throttle_count", 0)


def throttle(sysfs: Path, cpus: range | list[int], count: int) -> None:
    for cpu in cpus:
        write(sysfs, f"devices/system/cpu/cpu{cpu}/thermal_throttle/package_throttle_count", count)


ACTIVE = (Throttle(kind=ThrottleKind.THERMAL, name="package_throttle"),)


@pytest.mark.parametrize("list_name", ["package_cpus_list", "core_siblings_list"])
def test_a_package_that_throttled_less_since_the_start_of_the_machine_is_seen(sysfs, list_name) -> None:
    first, second = [*range(64), *range(128, 192)], [*range(64, 128), *range(192, 256)]
    sockets(sysfs, ("0-63,128-191", first), ("64-127,192-255", second), list_name=list_name)
    throttle(sysfs, first, 1000)
    probe = cpu_probe(sysfs)
    assert probe.read().throttle == ()
    throttle(sysfs, second, 245)
    assert probe.read().throttle == ACTIVE
    assert probe.read().throttle == ()


@pytest.mark.parametrize("n_packages", [2, 16])
def test_one_counter_of_each_package_is_read_however_many_cpus_there_are(sysfs, monkeypatch, n_packages) -> None:
    # The last package is a single CPU: even steps would miss it.
    sizes = [20] * (n_packages - 1) + [1]
    begins = [20 * index for index in range(n_packages)]
    packages = [(f"{b}-{b + n - 1}" if n > 1 else str(b), range(b, b + n)) for b, n in zip(begins, sizes, strict=True)]
    sockets(sysfs, *packages)
    read: list[Path] = []
    real = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *a, **k: (read.append(path), real(path, *a, **k))[1])
    probe = cpu_probe(sysfs)
    for _, cpus in packages:
        probe.read()
        throttle(sysfs, cpus, 1)
        assert probe.read().throttle == ACTIVE
    assert len({path for path in read if path.name == "package_throttle_count"}) == n_packages
    assert len({path for path in read if path.name == "package_cpus_list"}) == n_packages


def test_some_cpus_are_read_where_the_kernel_does_not_tell_the_packages(sysfs, monkeypatch) -> None:
    throttle(sysfs, range(255), 3)
    probe = cpu_probe(sysfs)
    read: list[Path] = []
    real = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *a, **k: (read.append(path), real(path, *a, **k))[1])
    assert probe.read().throttle == ()
    throttle(sysfs, range(255), 4)
    assert probe.read().throttle == ACTIVE
    assert len({path for path in read if path.name == "package_throttle_count"}) <= 8


def test_another_root_is_simulated(tmp_path) -> None:
    assert all(device.simulated for device in Cpu(sysfs=tmp_path).discover())
