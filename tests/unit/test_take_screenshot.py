"""The script for screenshots: a small picture of a page, or a word on what is wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def take(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs/take_screenshot.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_page_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = take(tmp_path / "nowhere.html", tmp_path / "x.png")
    assert done.returncode == 1
    assert "there is no such file" in done.stderr


@pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")) and not os.environ.get("BENCH_TEST_BROWSER"),
    reason="no chromium and chromedriver on PATH (Debian: apt-get install chromium chromium-driver)",
)
def test_it_writes_a_small_picture_as_wide_as_asked(tmp_path: Path) -> None:
    done = take(ROOT / "reports/demo/index.html", tmp_path / "docs/x.png", "--width", 700, "--height", 500, "--dark")
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "docs/x.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20]) == 700
    assert 2000 < len(data) < 300_000
