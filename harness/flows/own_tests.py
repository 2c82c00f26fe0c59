"""`invoke test` and `invoke lint`: the project's own checks, in tiers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from harness.errors import BenchError, InputError
from harness.flows.console import Display
from harness.flows.engines import open_engine
from harness.flows.images import ensure_images
from harness.flows.models import ensure_models
from harness.flows.workspace import CHECKOUT, find_workspace

TIERS = ("unit", "engine", "real", "all")
TEST_IMAGES = ("cpu", "vulkan")
BROWSER = ("chromium", "chromedriver")
SIGNER = ("ssh-keygen",)
TEST_MODELS = ("gemma3-270m-q4_k_m",)


class ChecksFailedError(BenchError):
    """Some of the project's own checks failed."""

    exit_code = 1


def _call(*command: str, environment: dict[str, str] | None = None) -> bool:
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode == 0


def run_lint() -> None:
    """Check rules, format and types.

    Raises:
        ChecksFailedError: one of them complains; what it said stands above.
    """
    python = sys.executable
    passed = [
        _call(python, "-m", "ruff", "check", "."),
        _call(python, "-m", "ruff", "format", "--check", "."),
        _call(python, "-m", "mypy"),
    ]
    if not all(passed):
        raise ChecksFailedError("the code does not pass its checks", remedy="See the messages above.")


def _ensure(programs: tuple[str, ...], packages: tuple[str, ...], why: str, say: Callable[[str], None]) -> bool:
    """Whether some programs are here; as root on Debian they are installed."""
    if not all(map(shutil.which, programs)) and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {', '.join(packages)} with apt-get, {why}")
        _call("apt-get", "-qq", "update") and _call(
            "apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages
        )
    return all(map(shutil.which, programs))


def run_tests(tier: str) -> None:
    """Run the tests of a tier, or all of them; what they need is made first.

    Raises:
        InputError: there is no such tier.
        EngineError: no engine answers and none can be started.
        ChecksFailedError: a test failed.
    """
    if tier not in TIERS:
        raise InputError(f"there is no tier {tier!r}", where="--tier", remedy=f"Use one of {', '.join(TIERS)}.")
    folders = {"unit": ["tests/unit"], "engine": ["tests/engine"], "real": ["tests/real"]}
    paths = folders.get(tier) or [path for paths in folders.values() for path in paths]
    environment = dict(os.environ)
    if tier != "unit":
        display = Display()
        with open_engine(display.say) as opened:
            environment["DOCKER_HOST"] = opened.host
            # A test that needs an engine must not be skipped where one was promised.
            environment["BENCH_TEST_ENGINE"] = "1"
            if tier != "engine":
                workspace = find_workspace()
                ensure_images(TEST_IMAGES, opened, workspace, display)
                ensure_models(TEST_MODELS, workspace, display)
    if tier == "all":
        say = Display().say
        if _ensure(BROWSER, ("chromium", "chromium-driver"), "to test the page of reports in (100 MB)", say):
            environment["BENCH_TEST_BROWSER"] = "1"
        _ensure(SIGNER, ("openssh-client",), "to test signatures", say)
    marks = [] if tier != "all" else ["-m", "not slow"]
    if not _call(sys.executable, "-m", "pytest", "-q", *marks, *paths, environment=environment):
        raise ChecksFailedError("tests failed", remedy="See pytest's summary above.")
