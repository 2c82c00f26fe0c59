import gc
import os
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from harness.engine.docker_engine import DockerEngine
from harness.engine.output import LINE_LIMIT
from harness.engine.running import run
from harness.values.container import BindMount, ContainerExit, ContainerSpec, Passthrough

pytestmark = pytest.mark.engine

Shell = Callable[..., ContainerExit]
IGNORES_TERM = "trap '' TERM; while :; do sleep 0.1; done"


def out(end: ContainerExit) -> list[str]:
    assert end.error == ""
    return [line.text for line in end.stdout]


@pytest.fixture
def client(host: str):
    client = docker.APIClient(base_url=host, version="auto")
    yield client
    client.close()


class TestHardening:
    """Seen from inside, not from what was asked for."""

    def test_no_capabilities_and_no_way_to_new_ones(self, shell: Shell, engine: DockerEngine) -> None:
        status = dict(line.split(":\t") for line in out(shell("cat /proc/self/status")) if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert status["NoNewPrivs"] == "1"
        if any("name=seccomp" in option for option in engine.facts().security_options):
            assert status["Seccomp"] == "2"

    def test_user_and_numeric_groups(self, shell: Shell) -> None:
        assert out(shell("id -u; id -g; id -G")) == ["65532", "65532", "65532"]
        assert "4242" in out(shell("id -G", passthrough=Passthrough(groups=(4242,))))[0].split()

    def test_only_tmp_and_the_folders_asked_for_can_be_written(self, shell: Shell) -> None:
        script = (
            "for d in / /etc /usr /var/tmp /root /proc/sys/kernel /sys; do touch $d/x 2>/dev/null && echo $d; done;"
            "touch /tmp/x && echo tmp; touch /cache/x && echo cache; df -B1 --output=size /cache | tail -1"
        )
        assert [line.strip() for line in out(shell(script, tmpfs={"/cache": 1 << 20}))] == ["tmp", "cache", "1048576"]

    def test_nothing_in_tmp_can_be_executed(self, shell: Shell) -> None:
        assert shell("cp /bin/true /tmp/t && chmod +x /tmp/t && /tmp/t").exit_code == 126

    def test_tmp_is_bounded(self, shell: Shell) -> None:
        end = shell("head -c 300M /dev/zero > /tmp/x || stat -c %s /tmp/x", memory_bytes=512 << 20)
        assert int(out(end)[-1]) <= 256 << 20

    def test_no_network(self, shell: Shell) -> None:
        script = "tail -n +2 /proc/net/route; tail -n +3 /proc/net/dev | cut -d: -f1; echo x > /dev/tcp/1.1.1.1/53"
        end = shell(script)
        assert [line.strip() for line in out(end) if line.strip() not in {"tunl0", "sit0", "ip6tnl0"}] == ["lo"]
        assert end.exit_code != 0

    def test_memory_is_limited_without_swap(self, shell: Shell) -> None:
        script = (
            "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory.swap.max 2>/dev/null ||"
            " cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"
        )
        assert out(shell(script)) in (["134217728", "0"], ["134217728", "134217728"])

    def test_processes_are_limited(self, shell: Shell) -> None:
        end = shell("cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null", pids=64)
        assert [line.text for line in end.stdout] == ["64"]
        bomb = shell("for i in $(seq 100); do sleep 2 & done; wait", pids=32, timeout_s=20)
        assert any("Resource temporarily unavailable" in line.text for line in bomb.stderr)

    def test_limits_of_the_process(self, shell: Shell) -> None:
        assert out(shell("ulimit -c; ulimit -n; ulimit -u; cat /proc/self/oom_score_adj")) == [
            "0",
            "4096",
            "4096",
            "500",
        ]

    def test_mounts_are_read_only_and_fixed(self, shell: Shell, tmp_path: Path) -> None:
        model = tmp_path / "a model.gguf"
        model.write_text("weights")
        model.chmod(0o666)
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)
        mount = BindMount(source=model, target="/models/model.gguf")
        script = "cat /models/model.gguf; echo; echo x > /models/model.gguf || echo refused; ls /models"
        assert out(shell(script, mounts=(mount,))) == ["weights", "refused", "model.gguf"]
        assert model.read_text() == "weights"

    @pytest.mark.parametrize("name", ["a,readonly=false,b.gguf", "a:rw:etc.gguf", "a\"b'c $HOME.gguf", "-v.gguf"])
    def test_a_name_is_a_name_whatever_is_in_it(self, shell: Shell, tmp_path: Path, name: str) -> None:
        model = tmp_path / name
        model.write_text("weights")
        for path in (model, tmp_path, *tmp_path.parents[:2]):
            path.chmod(0o755)
        mount = BindMount(source=model, target="/models/model.gguf")
        script = "cat /models/model.gguf; echo; echo x > /models/model.gguf || echo refused; ls /models"
        assert out(shell(script, mounts=(mount,))) == ["weights", "refused", "model.gguf"]

    def test_what_is_mounted_passes_nothing_on_and_executes_nothing(self, shell: Shell, tmp_path: Path) -> None:
        model = tmp_path / "model.gguf"
        model.write_text("weights")
        mount = BindMount(source=model, target="/models/model.gguf")
        lines = out(shell("cat /proc/self/mountinfo", mounts=(mount,), tmpfs={"/cache": 1 << 20}))
        seen = {line.split()[4]: line for line in lines}
        assert not [line for line in lines if " shared:" in line or " propagate_from:" in line]
        for place in ("/", "/models/model.gguf", "/sys"):
            assert "ro" in seen[place].split()[5].split(","), place
        for place in ("/tmp", "/cache"):
            assert {"noexec", "nosuid", "nodev"} <= set(seen[place].split()[5].split(",")), place
        groups = [line.split() for line in lines if " - cgroup" in line]
        assert groups
        assert all("ro" in words[5].split(",") for words in groups)

    def test_nothing_else_can_be_written(self, shell: Shell) -> None:
        script = "find / ( -path /proc -o -path /dev ) -prune -o -writable -print 2>/dev/null; true"
        found = out(shell(script.replace("(", "\\(").replace(")", "\\)"), tmpfs={"/cache": 1 << 20}))
        assert set(found) == {"/tmp", "/cache"}

    def test_shared_memory_is_its_own_and_small(self, shell: Shell) -> None:
        script = "df -B1 --output=size /dev/shm | tail -1; ls /dev/shm /dev/mqueue; cat /proc/sysvipc/shm | tail -n +2"
        assert [line.strip() for line in out(shell(script))] == ["67108864", "/dev/mqueue:", "", "/dev/shm:"]

    def test_the_first_process_is_an_init_that_reaps(self, shell: Shell) -> None:
        script = (
            "cat /proc/1/comm; for i in 1 2 3; do (true &) ; done; sleep 1;"
            " grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"
        )
        first, zombies = out(shell(script))
        assert first in {"docker-init", "catatonit", "podman-init", "tini"}
        assert zombies == "0"

    def test_it_may_not_ask_the_engine(self, shell: Shell) -> None:
        found = out(shell("find / -xdev -type s 2>/dev/null; ls /var/run/docker.sock /run/*.sock 2>/dev/null; true"))
        assert found == []

    def test_a_missing_source_is_not_made(self, shell: Shell, tmp_path: Path) -> None:
        end = shell("true", mounts=(BindMount(source=tmp_path / "absent.gguf", target="/models/model.gguf"),))
        assert end.error_phase in {"create", "start"}
        assert "absent.gguf" in end.error
        assert not (tmp_path / "absent.gguf").exists()

    def test_the_environment_is_what_was_given(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", "secret")
        end = shell("cat /proc/self/environ | tr '\\0' '\\n'", environment={"GGML_VK_VISIBLE_DEVICES": "0"})
        given = dict(line.split("=", 1) for line in out(end))
        for shells_own in ("PWD", "SHLVL", "_", "OLDPWD", "PATH", "container"):
            given.pop(shells_own, None)
        assert given == {
            "GGML_VK_VISIBLE_DEVICES": "0",
            "HOME": "/tmp",
            "XDG_CACHE_HOME": "/tmp",
            "HOSTNAME": "llama-bench",
        }

    def test_no_devices_but_the_plain_ones_and_those_asked_for(self, shell: Shell) -> None:
        plain = set(out(shell("ls /dev")))
        assert not plain & {"kfd", "dri", "nvidia0", "sda", "vda", "kmsg", "mem"}
        more = set(out(shell("ls /dev; : < /dev/kmsg", passthrough=Passthrough(device_nodes=("/dev/kmsg",)))))
        assert more - plain == {"kmsg"}

    def test_it_sees_only_its_own_processes(self, shell: Shell) -> None:
        pids = [name for name in out(shell("ls /proc")) if name.isdigit()]
        assert len(pids) <= 4


class TestEnds:
    @pytest.mark.parametrize(
        ("script", "code", "signal"),
        [
            ("exit 0", 0, None),
            ("exit 1", 1, None),
            ("kill -ABRT $$", 134, 6),
            ("kill -SEGV $$", 139, 11),
            ("kill -KILL $$", 137, 9),
            ("exec perl -e 'kill ABRT => $$'", 134, 6),
        ],
    )
    def test_exit_codes(self, shell: Shell, script: str, code: int, signal: int | None) -> None:
        end = shell(script)
        assert (end.exit_code, end.signal, end.oom_killed) == (code, signal, False)
        assert (end.error, end.kill_stage, end.timed_out, end.cancelled) == ("", None, False, False)
        assert end.started_ns < end.ended_ns

    def test_the_memory_limit_kills(self, shell: Shell) -> None:
        end = shell("exec perl -e '$x = \"a\" x (1 << 29); sleep 60'")
        assert (end.exit_code, end.oom_killed, end.kill_stage) == (137, True, None)

    def test_a_program_that_is_not_there(self, engine: DockerEngine, spec: ContainerSpec) -> None:
        end = run(engine, replace(spec, argv=("/app/llama-bench",)), timeout_s=10)
        assert (end.exit_code, end.error_phase) == (None, "start")
        assert "No such file" in end.error

    def test_an_absent_image_is_not_pulled(self, engine: DockerEngine, spec: ContainerSpec) -> None:
        begun = time.monotonic()
        end = run(engine, replace(spec, image="llama-bench-harness/absent:1"), timeout_s=10)
        assert (end.exit_code, end.error_phase) == (None, "create")
        assert "absent" in end.error
        assert time.monotonic() - begun < 2

    def test_a_device_that_is_not_there(self, shell: Shell) -> None:
        end = shell("true", passthrough=Passthrough(device_nodes=("/dev/no-such-gpu",)))
        assert end.error_phase in {"create", "start"}
        assert "no-such-gpu" in end.error

    def test_a_device_request_that_cannot_be_met(self, shell: Shell) -> None:
        request = {"driver": "cdi", "device_ids": ["example.com/absent=7"]}
        end = shell("true", passthrough=Passthrough(device_requests=(request,)))
        assert end.error_phase in {"create", "start"}
        assert end.error

    def test_removed_by_someone_else(self, engine: DockerEngine, spec: ContainerSpec, client) -> None:
        running = engine.start(replace(spec, argv=("/bin/sleep", "60")))
        client.remove_container(running.container_id, force=True)
        end = running.wait(deadline_ns=time.monotonic_ns() + 20 * 10**9, cancel=threading.Event())
        assert (end.exit_code, end.error_phase, end.timed_out) == (None, "wait", False)

    def test_streams_that_are_closed_early_do_not_end_it(self, shell: Shell) -> None:
        end = shell("echo early; exec >&- 2>&-; sleep 3; exit 5")
        assert (end.exit_code, out(end)) == (5, ["early"])
        assert end.ended_ns - end.started_ns > 3e9


class TestKilling:
    def test_one_that_obeys(self, shell: Shell) -> None:
        end = shell("exec sleep 100", timeout_s=1)
        assert (end.timed_out, end.kill_stage, end.signal) == (True, "term", 15)

    def test_one_that_does_not(self, shell: Shell, client, spec: ContainerSpec) -> None:
        begun = time.monotonic()
        end = shell(IGNORES_TERM, timeout_s=1)
        assert (end.timed_out, end.kill_stage, end.exit_code) == (True, "kill", 137)
        assert not end.oom_killed
        assert time.monotonic() - begun < 1 + 15
        with pytest.raises(NotFound):
            client.inspect_container(spec.name)

    def test_its_output_is_kept(self, shell: Shell) -> None:
        end = shell("echo one; printf half; trap 'echo bye; exit 9' TERM; while :; do sleep 0.1; done", timeout_s=1)
        assert out(end)[:1] == ["one"]
        assert "bye" in out(end)[-1]
        assert end.exit_code == 9

    @pytest.mark.parametrize(("script", "stage", "within"), [("exec sleep 100", "term", 2), (IGNORES_TERM, "kill", 8)])
    def test_cancel(self, shell: Shell, script: str, stage: str, within: float) -> None:
        cancel = threading.Event()
        times: list[float] = []

        def stop() -> None:
            times.append(time.monotonic())
            cancel.set()

        timer = threading.Timer(1.0, stop)
        timer.start()
        end = shell(script, timeout_s=100, cancel=cancel)
        timer.join()
        assert (end.cancelled, end.timed_out, end.kill_stage) == (True, False, stage)
        assert time.monotonic() - times[0] < within


class TestOutput:
    def test_streams_apart_and_in_order(self, shell: Shell) -> None:
        end = shell("for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.2; done")
        assert out(end) == ["out 1", "out 2", "out 3"]
        assert [line.text for line in end.stderr] == ["err 1", "err 2", "err 3"]
        gaps = [b.at_ns - a.at_ns for a, b in zip(end.stdout, end.stdout[1:], strict=False)]
        assert all(0.1e9 < gap < 2e9 for gap in gaps)

    def test_lines_are_told_while_it_runs(self, engine: DockerEngine, spec: ContainerSpec) -> None:
        told: list[tuple[str, str, float]] = []
        begun = time.monotonic()
        run(
            engine,
            replace(spec, argv=("/bin/bash", "-c", "echo first; sleep 2; echo second >&2")),
            timeout_s=20,
            on_line=lambda stream, text: told.append((stream, text, time.monotonic() - begun)),
        )
        assert [(stream, text) for stream, text, _ in told] == [("stdout", "first"), ("stderr", "second")]
        assert told[1][2] - told[0][2] > 1.5

    def test_nothing(self, shell: Shell) -> None:
        end = shell("true")
        assert (end.stdout, end.stderr, end.stdout_bytes, end.stderr_truncated) == ((), (), 0, False)

    def test_the_last_words_of_many_short_containers_are_never_lost(
        self, engine: DockerEngine, spec: ContainerSpec
    ) -> None:
        for index in range(10):
            end = run(engine, replace(spec, argv=("/bin/bash", "-c", f"seq 2000; echo done {index} >&2")), timeout_s=20)
            assert (len(end.stdout), end.stderr[-1].text) == (2000, f"done {index}")

    def test_bytes_that_are_no_text(self, shell: Shell) -> None:
        assert out(shell(r"printf 'a\xff\0\033[31mb\n\xc3\xa9'")) == [r"a\xff\x00\x1b[31mb", "é"]

    def test_a_very_long_line(self, shell: Shell) -> None:
        end = shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last")
        assert (len(end.stdout), end.stdout_truncated, end.stdout_bytes) == (2, True, 3_000_006)
        assert LINE_LIMIT < len(end.stdout[0].text) < LINE_LIMIT + 100
        assert end.stdout[1].text == "last"

    @pytest.mark.parametrize("flood", ["yes", "tr '\\0' x < /dev/zero"], ids=["lines", "no-lines"])
    def test_a_flood_neither_fills_memory_nor_moves_the_deadline(self, shell: Shell, flood: str) -> None:
        shell("true")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.monotonic()
        end = shell(f"echo first >&2; exec {flood} >&2", timeout_s=4)
        took = time.monotonic() - begun
        assert (end.timed_out, end.stderr_truncated) == (True, True)
        assert end.stderr_bytes > 2 << 20
        assert end.stderr[0].text == "first"
        assert sum(len(line.text) for line in end.stderr) <= 8 << 20
        assert took < 4 + 8
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 * 1024

    def test_a_flood_that_ends(self, shell: Shell) -> None:
        end = shell("head -c 100M /dev/zero | tr '\\0' x | fold -w 1000 >&2; echo row", timeout_s=60)
        assert (end.exit_code, out(end)) == (0, ["row"])
        assert end.stderr_bytes == 104_857_600 + 104_857
        assert end.stderr_truncated


class TestLeavingNothing:
    def test_sweep(self, engine: DockerEngine, spec: ContainerSpec, labels: dict[str, str]) -> None:
        names = [f"{spec.name}-{index}" for index in range(3)]
        running = [engine.start(replace(spec, name=name, argv=("/bin/sleep", "60"))) for name in names]
        assert engine.sweep(labels={"llama-bench-harness.test-session": "another"}) == ()
        assert sorted(engine.sweep(labels=labels)) == names
        assert engine.sweep(labels=labels) == ()
        for one in running:
            assert one.wait(deadline_ns=time.monotonic_ns() + 10**9, cancel=threading.Event()).error_phase == "wait"

    def test_sweep_leaves_foreign_containers_alone(
        self, engine: DockerEngine, spec: ContainerSpec, labels: dict[str, str], client
    ) -> None:
        foreign = client.create_container(spec.image, ["/bin/true"], labels=labels, network_disabled=True)["Id"]
        try:
            assert engine.sweep(labels=labels) == ()
            assert client.inspect_container(foreign)["Id"] == foreign
        finally:
            client.remove_container(foreign, force=True)

    def test_a_name_left_by_a_dead_harness_is_taken_over(
        self, engine: DockerEngine, spec: ContainerSpec, client
    ) -> None:
        old = engine.start(replace(spec, argv=("/bin/sleep", "60")))
        end = run(engine, replace(spec, argv=("/bin/echo", "new")), timeout_s=20)
        assert (end.exit_code, out(end)) == (0, ["new"])
        with pytest.raises(NotFound):
            client.inspect_container(old.container_id)
        assert old.wait(deadline_ns=time.monotonic_ns(), cancel=threading.Event()).error_phase == "wait"

    def test_a_name_of_a_foreign_container_is_left_alone(
        self, engine: DockerEngine, spec: ContainerSpec, client
    ) -> None:
        foreign = client.create_container(spec.image, ["/bin/true"], name=spec.name, network_disabled=True)["Id"]
        try:
            end = run(engine, spec, timeout_s=10)
            assert (end.error_phase, end.exit_code) == ("create", None)
            assert client.inspect_container(spec.name)["Id"] == foreign
        finally:
            client.remove_container(foreign, force=True)

    def test_no_threads_and_no_files_after_twenty_runs(self, engine: DockerEngine, spec: ContainerSpec) -> None:
        def held() -> tuple[int, int]:
            gc.collect()
            return threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough

        run(engine, spec, timeout_s=20)
        before = held()
        for _ in range(20):
            assert run(engine, spec, timeout_s=20).exit_code == 0
        assert held() == before

    def test_a_quiet_run_costs_the_machine_next_to_nothing(self, engine: DockerEngine, spec: ContainerSpec) -> None:
        running = engine.start(replace(spec, argv=("/bin/sleep", "6")))
        before = time.process_time()
        running.wait(deadline_ns=time.monotonic_ns() + 30 * 10**9, cancel=threading.Event())
        assert time.process_time() - before < 0.06

    def test_a_volume_that_the_image_declares_is_no_folder_on_the_host(
        self, shell: Shell, spec: ContainerSpec, client
    ) -> None:
        template = client.create_container(spec.image, ["/bin/true"], network_disabled=True)["Id"]
        try:
            made = client.commit(template, changes="VOLUME /data", repository="llama-bench-harness/test-volume")["Id"]
        finally:
            client.remove_container(template, force=True)
        try:
            end = shell("stat -f -c %T /data; touch /data/x && echo written", image=made)
            assert out(end) == ["tmpfs", "written"]
        finally:
            client.remove_image(made, force=True)
