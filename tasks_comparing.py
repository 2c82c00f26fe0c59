"""The tasks of `invoke` that hold one thing against another."""

from __future__ import annotations

from invoke import Context, task

from tasks_told import told


@task(
    help={
        "report": "a folder, a name under reports/, or a file of records: once for its arms, twice to compare two",
        "by": "compare the cells of one report that differ in this field only, such as flash_attn or image",
        "image": "twice: measure two images against each other",
        "build": "twice: measure two builds of images/ against each other, such as cpu-bench@b6110 and cpu-bench",
        "setting": "twice: measure two settings against each other, such as flash_attn=1,n_ubatch=1024",
        "model": "for measuring: a name of the registry, or a GGUF file",
        "backend": "for measuring (default cpu)",
        "device": "for measuring: as in a matrix file",
        "test": "for measuring: pp512, tg128, ... (default both)",
        "preset": "for measuring: standard, rigorous (default) or until",
        "until": "for measuring: how narrow each interval is to be, such as 1%",
        "gate_wait": "for measuring: seconds to wait for a quiet machine before each run (default 300)",
        "fresh": "for measuring: start again",
        "json": "print JSON",
        "fail_if_slower": "exit 1 where the second is shown to be slower by more than this, such as 3%; 4 if unclear",
    },
    iterable=["report", "image", "build", "setting", "test"],
)
@told
def compare(
    _context: Context,
    report: list[str] | None = None,
    by: str = "",
    image: list[str] | None = None,
    build: list[str] | None = None,
    setting: list[str] | None = None,
    model: str = "",
    backend: str = "cpu",
    device: str = "",
    test: list[str] | None = None,
    preset: str = "rigorous",
    until: str = "",
    gate_wait: float = 300.0,
    fresh: bool = False,
    json: bool = False,
    fail_if_slower: str = "",
) -> None:
    """Say whether one thing is faster than another: two reports, the arms of one, two images, builds or settings."""
    from harness.flows.compare import CompareRequest, compare_command, read_limit
    from harness.flows.two_arms import TwoArms

    compare_command(
        CompareRequest(reports=tuple(report or ()), by=by, as_json=json, fail_if_slower=read_limit(fail_if_slower)),
        TwoArms(
            images=tuple(image or ()),
            builds=tuple(build or ()),
            settings=tuple(setting or ()),
            model=model,
            backend=backend,
            device=device,
            tests=tuple(test or ()),
            preset=preset,
            until=until,
            gate_wait_s=float(gate_wait),
            fresh=fresh,
        ),
    )


@task(
    help={
        "good": "a fast build, such as b8643",
        "bad": "a later slow one",
        "image": "tags with {} for the number, in quotes: 'ghcr.io/ggml-org/llama.cpp:full-b{}'",
        "build": "or a Dockerfile in images/ whose sources are the builds: cpu-bench",
        "among": "only these builds, such as b8700,b8750; may be given again",
        "present": "with --image: only images that the engine has already",
        "model": "a name of the registry, or a GGUF file",
        "test": "one test (default tg128)",
        "backend": "default cpu",
        "device": "as in a matrix file",
        "setting": "parameters such as flash_attn=1,n_ubatch=1024",
        "slower": "what counts as slow, such as 3% (default: half of what the bad build is slower by)",
        "repetitions": "of each run (default 5)",
        "machine": "name of this machine in the records (default: from its hardware)",
        "gate_wait": "seconds to wait for a quiet machine before each run (default 300)",
        "fresh": "start again",
        "json": "print JSON",
    },
    iterable=["among"],
)
@told
def bisect(
    _context: Context,
    good: str = "",
    bad: str = "",
    image: str = "",
    build: str = "",
    among: list[str] | None = None,
    present: bool = False,
    model: str = "",
    test: str = "tg128",
    backend: str = "cpu",
    device: str = "",
    setting: str = "",
    slower: str = "",
    repetitions: int = 0,
    machine: str = "",
    gate_wait: float = 300.0,
    fresh: bool = False,
    json: bool = False,
) -> None:
    """Find the first slow build of llama.cpp between a fast and a slow one. Continues where it stopped."""
    from harness.flows.bisect import BisectRequest
    from harness.flows.bisect import bisect as find_slow_build
    from harness.flows.bisect_builds import Asked
    from harness.flows.compare import read_limit

    find_slow_build(
        BisectRequest(
            builds=Asked(good=good, bad=bad, image=image, build=build, among=tuple(among or ()), present=present),
            model=model,
            test=test,
            backend=backend,
            device=device,
            setting=setting,
            slower=read_limit(slower, option="--slower"),
            repetitions=int(repetitions) or None,
            machine=machine,
            gate_wait_s=float(gate_wait),
            fresh=fresh,
            as_json=json,
        )
    )
