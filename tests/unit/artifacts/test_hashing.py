import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from harness.artifacts.hashing import CACHE_FILE, HashCache
from harness.errors import InputError


class Counting:
    """Counts how often a file is really read."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, what: str, done: int | None, total: int | None) -> None:
        self.calls += done == total


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.write_bytes(b"weights")
    time.sleep(0.08)  # younger files are not remembered
    return path


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_hashes_once_and_remembers_across_objects(tmp_path: Path, file: Path) -> None:
    reads = Counting()
    for _ in range(3):
        assert HashCache(tmp_path / "c").sha256(file, progress=reads) == sha(b"weights")
    assert reads.calls == 1
    assert HashCache(tmp_path / "c").knows(file, sha(b"weights"))


def test_force_reads_again_and_finds_what_the_times_hide(tmp_path: Path, file: Path) -> None:
    cache = HashCache(tmp_path / "c")
    reads = Counting()
    cache.sha256(file, progress=reads)
    cache.sha256(file, force=True, progress=reads)
    assert reads.calls == 2


def test_same_size_and_restored_time_are_still_a_change(tmp_path: Path, file: Path) -> None:
    cache = HashCache(tmp_path / "c")
    before = file.stat()
    cache.sha256(file)
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert cache.sha256(file) == sha(b"WEIGHTS")


def test_a_young_file_is_not_remembered(tmp_path: Path, file: Path) -> None:
    cache = HashCache(tmp_path / "c")
    os.utime(file)
    cache.sha256(file)
    assert not cache.knows(file, sha(b"weights"))


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xfe\0", b"{}\n[]\n1\n", b'{"key": "x", "digest": "zz"}\n', b"[" * 100_000], ids=range(5)
)
def test_a_damaged_cache_costs_a_hash_and_is_repaired(tmp_path: Path, file: Path, damage: bytes) -> None:
    cache = HashCache(tmp_path)
    (tmp_path / CACHE_FILE).write_bytes(damage)
    reads = Counting()
    assert cache.sha256(file, progress=reads) == sha(b"weights")
    assert cache.sha256(file, progress=reads) == sha(b"weights")
    assert reads.calls == 1


def test_a_torn_line_does_not_cost_the_others(tmp_path: Path, file: Path) -> None:
    cache = HashCache(tmp_path)
    cache.sha256(file)
    stored = tmp_path / CACHE_FILE
    stored.write_bytes(stored.read_bytes() + b'{"key": "sha256:1-2-3')
    assert cache.knows(file, sha(b"weights"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, file: Path) -> None:
    (tmp_path / "c").write_bytes(b"a file where the folder should be")
    assert HashCache(tmp_path / "c").sha256(file) == sha(b"weights")


def test_digests_of_several_kinds_are_kept_apart(tmp_path: Path, file: Path) -> None:
    cache = HashCache(tmp_path)
    cache.sha256(file)
    assert cache.digest(file, "tensors", lambda: "a" * 64) == "a" * 64
    assert cache.digest(file, "tensors", lambda: "b" * 64) == "a" * 64
    assert cache.sha256(file) == sha(b"weights")


def test_a_file_that_changes_while_it_is_hashed_is_refused(tmp_path: Path, file: Path) -> None:
    def change(*_: object) -> None:
        with file.open("ab") as out:
            out.write(b"more")

    with pytest.raises(InputError, match="changed while"):
        HashCache(tmp_path).digest(file, "sha256", lambda: (change(), sha(b""))[1])


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        HashCache(tmp_path).sha256(tmp_path / "absent")


def test_the_hash_survives_a_rename_that_is_told(tmp_path: Path, file: Path) -> None:
    cache = HashCache(tmp_path)
    digest = cache.sha256(file)
    before = file.stat()
    renamed = file.rename(tmp_path / "renamed")
    cache.carry_over(renamed, digest, before)
    assert cache.knows(renamed, digest)
    renamed.write_bytes(b"other")
    cache.carry_over(renamed, digest, before)
    assert not cache.knows(renamed, digest)


def test_concurrent_stores_lose_nothing(tmp_path: Path) -> None:
    files = [tmp_path / f"f{i}" for i in range(12)]
    for path in files:
        path.write_bytes(path.name.encode())
    time.sleep(0.08)
    threads = [threading.Thread(target=HashCache(tmp_path / "c").sha256, args=(path,)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(HashCache(tmp_path / "c").knows(path, sha(path.name.encode())) for path in files)
    assert not list((tmp_path / "c").glob("*.partial"))
