from __future__ import annotations

import pytest

from harness.machine.vendors.cpu import Cpu
from harness.values.backend import BACKENDS
from harness.values.container import ExpectedDevice, Passthrough
from harness.values.failure import Failure


def vendor(roots, cpuinfo: str = "processor\t: 0\nmodel name\t: AMD Ryzen 9 7950X\n") -> Cpu:
    roots.write("proc/cpuinfo", cpuinfo)
    return Cpu(proc=roots.root / "proc")


def test_every_machine_has_a_cpu_and_the_software_device(roots) -> None:
    cpu, software = vendor(roots).discover()
    assert (cpu.kind, cpu.name, cpu.index, cpu.simulated) == ("cpu", "AMD Ryzen 9 7950X", 0, True)
    assert (software.kind, software.name, software.index, software.simulated) == ("software", "llvmpipe", 1, True)


def test_the_real_machine_is_not_simulated() -> None:
    assert [device.simulated for device in Cpu().discover()] == [False, False]
    assert [device.simulated for device in Cpu(simulated=True).discover()] == [True, True]


def test_a_kernel_that_names_no_model(roots) -> None:
    assert vendor(roots, "processor\t: 0\nBogoMIPS\t: 48.00\n").discover()[0].name


def test_passthrough(roots, engine) -> None:
    cpu, software = vendor(roots).discover()
    assert vendor(roots).passthrough((cpu,), backend=BACKENDS["cpu"], engine=engine()) == Passthrough()
    assert vendor(roots).passthrough((software,), backend=BACKENDS["vulkan"], engine=engine()) == Passthrough(
        environment={"GGML_VK_VISIBLE_DEVICES": "0"},
        expected=(ExpectedDevice(name="Vulkan0", maker="llvmpipe", software=True),),
    )


@pytest.mark.parametrize(("index", "backend"), [(0, "vulkan"), (0, "cuda"), (1, "cpu"), (1, "rocm")])
def test_what_does_not_go_together(roots, engine, index, backend) -> None:
    device = vendor(roots).discover()[index]
    assert isinstance(vendor(roots).passthrough((device,), backend=BACKENDS[backend], engine=engine()), Failure)
