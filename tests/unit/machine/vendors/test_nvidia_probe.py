"""Telemetry by NVML: a library in C beneath the real pynvml, so that signatures and error codes are the real ones."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import pynvml
import pytest

from harness.machine.facts import MachineRoots
from harness.machine.vendors.nvidia import Nvidia
from harness.machine.vendors.nvidia_probe import FROM_HOST, OF_THE_CARD, nvml_probe
from harness.values.facts import Device
from harness.values.telemetry import DEVICE_FIELDS, DeviceProcess, Throttle, ThrottleKind

MIB = 1024**2
CARD = Device(vendor="nvidia", kind="gpu", name="NVIDIA GeForce RTX 4090", pci="0000:01:00.0", uuid="GPU-4090")
GB10 = Device(vendor="nvidia", kind="integrated", name="NVIDIA GB10", pci="000f:01:00.0", uuid="GPU-gb10")
MIG = Device(vendor="nvidia", kind="gpu", name="NVIDIA A100 MIG 1g.5gb", pci="0000:41:00.0", uuid="MIG-1")

SOURCE = r"""
#include <stdint.h>
#include <string.h>
typedef struct card *nvmlDevice_t;
struct card { const char *uuid; struct card *parent; };
static struct card a100 = {"GPU-a100", 0}, cards[] = {{"GPU-4090", 0}, {"GPU-gb10", 0}, {"MIG-1", &a100}};
enum { NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
static int is(nvmlDevice_t d, const char *uuid) { return !strcmp(d->uuid, uuid); }

int open_count;
int broken;  /* every getter of a value answers with this code */
unsigned long long reasons = 0x24;

int nvmlInitWithFlags(unsigned flags) { open_count++; return 0; }
int nvmlShutdown(void) { open_count--; return 0; }
const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : code == 15 ? "GPU is lost" : "Error"; }
int nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *d) {
  for (int i = 0; i < 3; i++) if (!strcmp(cards[i].uuid, uuid)) { *d = &cards[i]; return 0; }
  return NOT_FOUND;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t d, nvmlDevice_t *p) { *p = d->parent; return 0; }
struct memory { unsigned long long total, free, used; };
int nvmlDeviceGetMemoryInfo(nvmlDevice_t d, struct memory *m) {
  if (broken) return broken;
  if (is(d, "GPU-gb10")) return NOT_SUPPORTED;
  m->total = 24ull << 30; m->used = is(d, "MIG-1") ? 1ull << 30 : 3ull << 30; m->free = m->total - m->used;
  return 0;
}
struct rates { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(nvmlDevice_t d, struct rates *r) {
  if (broken) return broken;
  if (d == &cards[2] || d == &a100) return NOT_SUPPORTED;
  r->gpu = 97; r->memory = 60;
  return 0;
}
int nvmlDeviceGetPowerUsage(nvmlDevice_t d, unsigned *mw) { if (broken) return broken; *mw = 311250; return 0; }
struct field {
  unsigned id, scope; long long at, latency; int type, code;
  union { double d; unsigned u; unsigned long long ull; } v;
};
int nvmlDeviceGetFieldValues(nvmlDevice_t d, int n, struct field *f) {
  for (int i = 0; i < n; i++) {
    f[i].code = is(d, "GPU-4090") && f[i].id == 186 ? 0 : NOT_SUPPORTED;
    f[i].v.u = 402500;
  }
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, unsigned long long *mj) {
  if (!is(d, "GPU-4090")) return NOT_SUPPORTED;
  *mj = 987654321;
  return broken;
}
int nvmlDeviceGetTemperature(nvmlDevice_t d, int sensor, unsigned *c) { *c = 61; return broken; }
int nvmlDeviceGetClockInfo(nvmlDevice_t d, int type, unsigned *mhz) {
  *mhz = type == 1 ? 2520 : type == 2 ? 10501 : 0;
  return broken;
}
int nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t d, unsigned long long *r) { *r = reasons; return broken; }
int nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t d, unsigned *g) { *g = 4; return broken; }
int nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t d, unsigned *w) { *w = 16; return broken; }
struct process { unsigned pid; unsigned long long used; unsigned gi, ci; };
int nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned *n, struct process *p) {
  if (broken) return broken;
  if (is(d, "GPU-gb10")) { *n = 0; return 0; }
  if (*n < 2) { *n = 2; return INSUFFICIENT_SIZE; }
  *n = 2;
  p[0] = (struct process){4242, 2ull << 30, -1, -1};
  p[1] = (struct process){77, ~0ull, -1, -1};
  return 0;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    (folder / "nvml.c").write_text(SOURCE)
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "nvml.c")], check=True)
    return library


@pytest.fixture
def library(built, monkeypatch):
    loaded = ctypes.CDLL(str(built))
    monkeypatch.setattr(pynvml, "nvmlLib", loaded)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    yield loaded
    ctypes.c_int.in_dll(loaded, "broken").value = 0
    ctypes.c_ulonglong.in_dll(loaded, "reasons").value = 0x24


@pytest.fixture
def roots(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:       125829120 kB\nMemAvailable:   104857600 kB\n")
    return MachineRoots(proc=tmp_path)


def test_a_card_tells_everything_that_nvml_has(library) -> None:
    probe = Nvidia().telemetry(CARD)
    reading = probe.read()
    probe.close()
    assert reading.utilization_percent == 97
    assert reading.memory_used_bytes == 3 << 30
    assert reading.power_w == 402.5
    assert reading.energy_j == 987654.321
    assert reading.temperature_c == 61
    assert (reading.core_clock_mhz, reading.memory_clock_mhz) == (2520, 10501)
    assert (reading.pcie_generation, reading.pcie_width) == (4, 16)
    assert reading.throttle == (
        Throttle(kind=ThrottleKind.POWER, name="sw_power_cap"),
        Throttle(kind=ThrottleKind.THERMAL, name="sw_thermal_slowdown"),
    )
    # All ones: WDDM and WSL do not tell how much a process holds.
    assert reading.processes == (DeviceProcess(pid=4242, memory_bytes=2 << 30), DeviceProcess(pid=77))
    assert set(probe.missing) == {"gtt_used_bytes", "hotspot_c", "memory_temperature_c"}
    assert ctypes.c_int.in_dll(library, "open_count").value == 0


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0x1, []),  # idle
        (0x2, []),  # application clocks
        (0x4, ["power:sw_power_cap"]),
        (0x88, ["hardware:hw_slowdown", "power:hw_power_brake_slowdown"]),
        (0x48, ["hardware:hw_slowdown", "thermal:hw_thermal_slowdown"]),
        (0x110, []),  # sync boost, display clocks
    ],
)
def test_reasons_that_hold_clocks_down(library, bits, names) -> None:
    ctypes.c_ulonglong.in_dll(library, "reasons").value = bits
    probe = nvml_probe(pynvml, CARD)
    assert [f"{reason.kind}:{reason.name}" for reason in probe.read().throttle] == names
    probe.close()


def test_memory_that_nvml_refuses_to_tell_is_the_host_s(library, roots) -> None:
    probe = nvml_probe(pynvml, GB10, roots)
    reading = probe.read()
    assert reading.memory_used_bytes == 20 * 1024**3
    assert probe.substitutes["memory_used_bytes"] == FROM_HOST
    assert reading.power_w == 311.25  # the instant field is not supported: the plain getter
    assert "nvmlDeviceGetPowerUsage" in probe.substitutes["power_w"]
    assert reading.energy_j is None
    assert probe.missing["energy_j"] == "NVML: Not Supported"
    assert reading.processes == ()
    probe.close()


def test_an_instance_tells_what_is_its_own(library) -> None:
    probe = nvml_probe(pynvml, MIG)
    reading = probe.read()
    assert reading.memory_used_bytes == 1 << 30
    for field in ("utilization_percent", "power_w", "energy_j"):
        assert getattr(reading, field) is None
        assert probe.missing[field] == OF_THE_CARD
    # Clocks and heat are the chip's, and so are the instance's.
    assert (reading.temperature_c, reading.core_clock_mhz) == (61, 2520)
    probe.close()


def test_a_card_that_is_lost_meanwhile_tells_nothing_and_comes_back(library) -> None:
    probe = nvml_probe(pynvml, CARD)
    assert probe.read().temperature_c == 61
    ctypes.c_int.in_dll(library, "broken").value = pynvml.NVML_ERROR_GPU_IS_LOST
    reading = probe.read()
    assert (reading.temperature_c, reading.utilization_percent, reading.memory_used_bytes) == (None, None, None)
    assert "lost" in probe.missing["temperature_c"]
    ctypes.c_int.in_dll(library, "broken").value = 0
    assert probe.read().temperature_c == 61
    probe.close()


def test_a_card_that_is_gone_is_no_error(library) -> None:
    gone = Device(vendor="nvidia", kind="gpu", name="x", uuid="GPU-gone")
    probe = nvml_probe(pynvml, gone)
    reading = probe.read()
    assert all(getattr(reading, name) is None for name in DEVICE_FIELDS)
    assert "does not find the card" in probe.missing["power_w"]
    assert ctypes.c_int.in_dll(library, "open_count").value == 0


def test_without_a_driver_nothing_is_told(monkeypatch) -> None:
    def missing():
        raise ImportError

    probe = Nvidia(nvml=missing).telemetry(CARD)
    assert "nvidia-ml-py is missing" in probe.missing["power_w"]
