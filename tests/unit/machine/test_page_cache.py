from pathlib import Path

from harness.machine.page_cache import read_through


def test_the_whole_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x" * 9_000_001)
    assert read_through(tmp_path / "model") == 9_000_001


def test_a_file_that_went_away_is_left_to_the_run(tmp_path: Path) -> None:
    assert read_through(tmp_path / "gone") == 0
