"""`invoke clean` takes away what is ours and half-made, and nothing else."""

import os
import signal
import subprocess
import sys

import pytest

from harness.artifacts.model_shelf import Place, locked
from harness.engine.daemon import EnginePaths
from harness.flows import clean


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache folder of a machine on which no engine answers."""
    monkeypatch.setenv("BENCH_LOCK_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(clean, "find_engine", lambda _environment: None)
    return tmp_path / "cache" / "llama-bench-harness"


@pytest.fixture
def paths(cache, tmp_path, monkeypatch):
    paths = EnginePaths(data=tmp_path / "data", run=tmp_path / "run")
    paths.run.mkdir()
    monkeypatch.setattr(clean, "EnginePaths", lambda: paths)
    return paths


@pytest.fixture
def started():
    processes = []

    def start(*arguments):
        program = "import time; print('up', flush=True); time.sleep(60)"
        process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def clean_up(*, engine=False):
    clean.clean_up(images=False, cache=False, engine=engine)


@pytest.fixture
def place(cache):
    """A model whose download from the Hub was interrupted, beside one that is whole."""
    place = Place(folder=cache / "models" / ("0" * 64))
    kept = place.scratch / ".cache/huggingface/download"
    kept.mkdir(parents=True)
    (kept / "model.gguf.abc.incomplete").write_bytes(b"x" * 3_000_000)
    place.partial.write_bytes(b"x" * 1_000_000)
    place.file.write_bytes(b"whole")
    (place.folder / "lock").touch()
    return place


def test_half_made_downloads_are_removed_whole(place, capsys):
    clean_up()
    assert not place.partial.exists()
    assert not place.scratch.exists()
    assert place.file.read_bytes() == b"whole"
    assert "2 removed, 3.8 MiB" in capsys.readouterr().out


def test_a_download_that_another_start_is_at_is_left_alone(place, capsys):
    with locked(place, name="m", say=print):
        clean_up()
    assert place.partial.exists()
    assert list(place.scratch.rglob("*.incomplete"))
    assert "1 left alone" in capsys.readouterr().out


def test_without_a_cache_there_is_nothing_to_remove(cache, capsys):
    clean_up()
    assert "0 removed" in capsys.readouterr().out


def test_another_program_with_the_number_of_a_dead_engine_is_left_alone(paths, started, capsys):
    foreign = started()
    paths.pid_file.write_text(f"{foreign.pid}\n")
    clean_up(engine=True)
    with pytest.raises(subprocess.TimeoutExpired):
        foreign.wait(0.3)
    assert "none of ours is running" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["0", "-1", "x", ""])
def test_a_damaged_pid_file_ends_nobody(paths, capsys, monkeypatch, content):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    paths.pid_file.write_text(content)
    clean_up(engine=True)
    assert "none of ours is running" in capsys.readouterr().out


def test_our_engine_is_stopped(paths, started, capsys):
    ours = started(f"--host=unix://{paths.socket}")
    paths.pid_file.write_text(str(ours.pid))
    clean_up(engine=True)
    assert ours.wait(10) == -signal.SIGTERM
    assert f"stopped (process {ours.pid})" in capsys.readouterr().out
