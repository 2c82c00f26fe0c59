"""A real Chromium for the tests of pages, without a window and without asking anybody for anything by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver

_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER) and not os.environ.get("BENCH_TEST_BROWSER"),
    reason="no chromium and chromedriver on PATH (Debian: apt-get install chromium chromium-driver)",
)


@contextmanager
def started_browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser that keeps what it asked for and what its console said."""
    options = webdriver.ChromeOptions()
    assert _CHROMIUM is not None
    assert _DRIVER is not None
    options.binary_location = _CHROMIUM
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--window-size=1280,1000",
        f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=_DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
