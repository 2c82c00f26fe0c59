from harness.machine.cgroups import ContainerGroup
from harness.machine.facts import MachineRoots
from harness.machine.host_probe import NO_CONTAINER, TICK_NS, HostProbe
from harness.values.telemetry import HOST_FIELDS

ID = "ab" * 32


def put(root, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def probe(tmp_path) -> HostProbe:
    return HostProbe(MachineRoots(proc=tmp_path / "proc", sys=tmp_path / "sys"), clock=lambda: 7, own_cpu_ns=lambda: 9)


def host(tmp_path) -> None:
    put(tmp_path, "proc/stat", "cpu  100 1 20 1000 5 2 3 7 50 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    put(tmp_path, "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable:     600 kB\n")
    put(tmp_path, "proc/vmstat", "nr_free_pages 5\npswpin 3\npswpout 4\npgmajfault 99\n")
    put(tmp_path, "proc/pressure/cpu", "some avg10=98.75 avg60=98.09 avg300=87.68 total=856\nfull avg10=0 total=0\n")
    put(tmp_path, "proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n")
    put(tmp_path, "proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=34\n")


def test_the_host(tmp_path) -> None:
    host(tmp_path)
    reading = probe(tmp_path).read()
    assert reading.at_ns == 7
    assert reading.cpu_busy_ns == 126 * TICK_NS
    assert reading.cpu_steal_ns == 7 * TICK_NS
    assert reading.cpu_total_ns == 1138 * TICK_NS
    assert reading.own_cpu_ns == 9
    assert (reading.swap_in_bytes, reading.swap_out_bytes) == (3 * 4096, 4 * 4096)
    assert (reading.stall_cpu_ns, reading.stall_memory_ns, reading.stall_io_ns) == (856_000, 12_000, 34_000)
    assert reading.memory_available_bytes == 600 * 1024
    assert reading.container_memory_bytes is None


def test_what_the_kernel_does_not_show_is_missing_with_a_reason(tmp_path) -> None:
    looking = probe(tmp_path)
    reading = looking.read()
    assert {name for name in HOST_FIELDS if getattr(reading, name) is not None} == {"own_cpu_ns"}
    assert set(looking.missing) == set(HOST_FIELDS) - {"own_cpu_ns"}
    assert "pressure" in looking.missing["stall_cpu_ns"]
    assert looking.missing["container_memory_bytes"] == NO_CONTAINER


def test_a_container_under_version_2(tmp_path) -> None:
    host(tmp_path)
    base = f"sys/fs/cgroup/system.slice/docker-{ID}.scope"
    put(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    put(tmp_path, f"{base}/memory.current", "5368709120\n")
    stat = "anon 1\npgmajfault 17\nworkingset_refault_anon 2\nworkingset_refault_file 3\n"
    put(tmp_path, f"{base}/memory.stat", stat)
    put(tmp_path, f"{base}/cpu.stat", "usage_usec 1\nnr_throttled 2\nthrottled_usec 1500\n")
    put(tmp_path, f"{base}/cpuset.cpus.effective", "0-3,8\n")
    put(tmp_path, f"{base}/cgroup.procs", "41\n42\n")
    put(tmp_path, "proc/41/status", "Name:\tllama-bench\nVmHWM:\t     900 kB\nVmRSS:\t     700 kB\n")
    put(tmp_path, "proc/42/status", "Name:\tsh\nVmHWM:\t     30 kB\nVmRSS:\t     20 kB\n")
    looking = probe(tmp_path)
    looking.watch(ID)
    reading = looking.read()
    assert reading.container_memory_bytes == 5 << 30
    assert reading.container_major_faults == 17
    assert reading.container_refaults == 5
    assert reading.container_anonymous_bytes == 1
    assert (reading.container_resident_bytes, reading.container_peak_resident_bytes) == (720 << 10, 930 << 10)
    assert reading.container_throttled_ns == 1_500_000
    assert (reading.container_cpu_ns, reading.container_cpus) == (1000, 5)
    assert not [name for name in looking.missing if name.startswith("container")]


def test_a_container_under_version_1(tmp_path) -> None:
    put(tmp_path, f"sys/fs/cgroup/memory/docker/{ID}/memory.usage_in_bytes", "1048576\n")
    put(tmp_path, f"sys/fs/cgroup/memory/docker/{ID}/memory.stat", "rss 8\npgmajfault 4\nworkingset_refault 6\n")
    put(tmp_path, f"sys/fs/cgroup/memory/docker/{ID}/cgroup.procs", "41\n")
    put(tmp_path, f"sys/fs/cgroup/cpu/docker/{ID}/cpu.stat", "nr_throttled 0\nthrottled_time 250\n")
    put(tmp_path, f"sys/fs/cgroup/cpuacct/docker/{ID}/cpuacct.usage", "77\n")
    put(tmp_path, f"sys/fs/cgroup/cpuset/docker/{ID}/cpuset.effective_cpus", "1\n")
    looking = probe(tmp_path)
    looking.watch(ID)
    reading = looking.read()
    assert (reading.container_memory_bytes, reading.container_major_faults) == (1 << 20, 4)
    assert (reading.container_refaults, reading.container_throttled_ns) == (6, 250)
    assert (reading.container_cpu_ns, reading.container_cpus) == (77, 1)
    assert reading.container_anonymous_bytes == 8
    # Its process is gone, or lives where the harness does not see it.
    assert reading.container_peak_resident_bytes is None
    assert looking.missing["container_peak_resident_bytes"] == "the control group does not tell"


def test_a_container_of_a_user_s_own_engine_lies_deep(tmp_path) -> None:
    deep = f"user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"
    put(tmp_path, "cgroup.controllers", "memory\n")
    put(tmp_path, f"{deep}/memory.current", "1\n")
    found = ContainerGroup.find(ID, tmp_path)
    assert found is not None
    assert found.memory == tmp_path / deep


def test_a_container_on_another_machine_has_no_group_here(tmp_path) -> None:
    put(tmp_path, "cgroup.controllers", "memory\n")
    assert ContainerGroup.find(ID, tmp_path) is None
    assert ContainerGroup.find("", tmp_path) is None


def test_a_group_that_vanishes_tells_nothing(tmp_path) -> None:
    group = ContainerGroup(memory=tmp_path / "gone", cpu=tmp_path / "gone", unified=True)
    assert group.read() == {}
    assert group.processes() == ()
