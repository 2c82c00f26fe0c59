"""Every engine closes a container as it is asked to; what is asserted is what the container's own process sees."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

LOOK = """
id -u; id -g; id -G
grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status
touch /written 2>/dev/null && echo root is writable
touch /tmp/written && echo tmp is writable
ls /sys/class/net
"""


def test_it_is_the_engine_that_it_is_called(bench) -> None:
    facts = bench.engine.facts()
    assert facts.version.startswith(bench.beside.kind.version)
    assert facts.name == {"dockerd": "Docker Engine", "podman": "Podman"}[bench.beside.kind.program]
    assert not facts.rootless
    assert facts.memory_limit
    assert facts.pids_limit


def test_a_container_is_closed(bench) -> None:
    ended = bench.run(LOOK)
    assert (ended.exit_code, ended.error) == (0, "")
    words = " ".join(" ".join(line.text.split()) for line in ended.stdout)
    assert words == (
        "65532 65532 65532 "
        "CapInh: 0000000000000000 CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 "
        "CapAmb: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 tmp is writable lo"
    )


def test_memory_has_a_limit(bench) -> None:
    ended = bench.run("head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null")
    assert ended.exit_code in {137, 143} or ended.oom_killed


def test_a_container_that_does_not_end_is_ended(bench) -> None:
    ended = bench.run("trap '' TERM; while :; do sleep 1; done", timeout_s=2)
    assert (ended.timed_out, ended.kill_stage, ended.exit_code) == (True, "kill", 137)
