"""Every table of the `benches/` folder in llama.cpp's source is imported, and what is no result there is refused."""

import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from harness.formats.foreign import read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SOURCE = "llama-cpp-python==0.3.36"
TABLES = {"dgx-spark.md": (60, 216), "mac-m2-ultra.md": (60, 216), "nemotron-dgx-spark.md": (20, 72)}
"""Rows of llama-bench, and rates of llama-batched-bench, two a row, as counted by hand with grep."""


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benches")
    get = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder)]
    if subprocess.run([*get, SOURCE], check=False, capture_output=True).returncode:
        pytest.skip(f"pip cannot get the source distribution {SOURCE}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        members = [member for member in tar if "/vendor/llama.cpp/benches/" in member.name and member.isfile()]
        tar.extractall(folder / "x", members=members, filter="data")
    return folder / "x"


def test_every_table_is_imported_and_the_rest_refused(benches: Path) -> None:
    found = {path.name: path for path in benches.rglob("*") if path.is_file()}
    assert TABLES.keys() <= found.keys()
    for name, path in found.items():
        read_ = read(path.read_text(encoding="utf-8", errors="replace"))
        counts = Counter(row.program for row in read_.rows)
        assert (counts["llama-bench"], counts["llama-batched-bench"]) == TABLES.get(name, (0, 0)), name
        assert (not read_.refused) == (name in TABLES), name
        text = path.read_text(encoding="utf-8", errors="replace")
        if name in TABLES:
            assert counts["llama-bench"] == sum(line.startswith("|") and "±" in line for line in text.splitlines())
            assert {row.build_commit for row in read_.rows} != {""}
