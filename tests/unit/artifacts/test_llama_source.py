"""The pinned source: what is fetched, what is refused, and a context that is the same every time."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.artifacts.llama_source import LlamaPin, fetch_source, read_pin, write_context
from harness.errors import ArtifactError, InputError

IMAGES = Path(__file__).parents[3] / "images"
FILES = {
    "pkg-1/setup.py": (0o644, b"never run"),
    "pkg-1/vendor/llama.cpp/CMakeLists.txt": (0o664, b"project"),
    "pkg-1/vendor/llama.cpp/tools/z.cpp": (0o600, b"z"),
    "pkg-1/vendor/llama.cpp/ggml/a.sh": (0o775, b"#!/bin/sh"),
    "pkg-1/vendor/llama.cpp/docs/big.md": (0o644, b"left out"),
    "pkg-1/vendor/llama.cpp/.git/HEAD": (0o644, b"left out"),
}


def sdist(path: Path, *, mtime: int = 5, reverse: bool = False) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, (mode, data) in sorted(FILES.items(), reverse=reverse):
            info = tarfile.TarInfo(name)
            info.mode, info.size, info.mtime, info.uid, info.uname = mode, len(data), mtime, 1000, "someone"
            tar.addfile(info, io.BytesIO(data))
    return path


def pin_of(path: Path) -> LlamaPin:
    return LlamaPin(
        package="llama-cpp-python",
        version="1",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        commit="0123456789abcdef0123456789abcdef01234567",
        build_number=7,
    )


def pip(
    *, gives: Path | None = None, stderr: str = ""
) -> tuple[Callable[..., subprocess.CompletedProcess[str]], list[list[str]]]:
    calls: list[list[str]] = []

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(list(command))
        if gives is not None:
            (Path(command[-1]) / "llama_cpp_python-1.tar.gz").write_bytes(gives.read_bytes())
        return subprocess.CompletedProcess(command, 0 if gives else 1, "", stderr)

    return run, calls


def test_the_pin_of_this_checkout_is_complete() -> None:
    pin = read_pin(IMAGES / "llama.cpp.yaml")
    assert (pin.build_number, pin.short_commit) == (11312, "0c1e57098")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sha256: 8", "sha256: X"), "sha256: 'X"),
        (("build_number: 11312\n", ""), "exactly the fields"),
        (("build_number: 11312\n", "build_number: 11312\nsuit: x\n"), "exactly the fields"),
        (("build_number: 11312", "build_number: b11312"), "build_number: 'b11312'"),
    ],
)
def test_a_wrong_pin_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "llama.cpp.yaml"
    path.write_text((IMAGES / "llama.cpp.yaml").read_text().replace(*change))
    with pytest.raises(InputError, match=r"llama\.cpp\.yaml") as caught:
        read_pin(path)
    assert message in str(caught.value)


def test_it_is_fetched_once_by_hash_and_kept(tmp_path: Path) -> None:
    source = sdist(tmp_path / "s.tar.gz")
    run, calls = pip(gives=source)
    cache = tmp_path / "cache"
    first = fetch_source(pin_of(source), cache=cache, say=lambda _: None, run=run)
    second = fetch_source(pin_of(source), cache=cache, say=lambda _: None, run=run)
    assert first == second == cache / "sources" / "llama_cpp_python-1.tar.gz"
    assert len(calls) == 1
    assert {"--no-deps", "--no-binary", "--require-hashes"} <= set(calls[0])
    assert not [argument for argument in calls[0] if "://" in argument]
    assert [path.name for path in (cache / "sources").iterdir()] == [first.name]


def test_a_damaged_cache_is_fetched_again(tmp_path: Path) -> None:
    source = sdist(tmp_path / "s.tar.gz")
    cache = tmp_path / "cache"
    (cache / "sources").mkdir(parents=True)
    (cache / "sources" / "llama_cpp_python-1.tar.gz").write_bytes(b"cut off")
    said: list[str] = []
    run, calls = pip(gives=source)
    kept = fetch_source(pin_of(source), cache=cache, say=said.append, run=run)
    assert kept.read_bytes() == source.read_bytes()
    assert len(calls) == 1
    assert "not the pinned file" in said[0]


def test_another_file_is_a_mistake_and_is_not_kept(tmp_path: Path) -> None:
    pinned = sdist(tmp_path / "s.tar.gz")
    other = sdist(tmp_path / "t.tar.gz", mtime=6)
    run, _ = pip(gives=other)
    with pytest.raises(InputError, match="SHA-256"):
        fetch_source(pin_of(pinned), cache=tmp_path / "cache", say=lambda _: None, run=run)
    assert not list((tmp_path / "cache" / "sources").iterdir())


def test_pip_refusing_the_hash_is_the_same_mistake(tmp_path: Path) -> None:
    run, _ = pip(stderr="ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. ...\n")
    with pytest.raises(InputError, match="another file"):
        fetch_source(pin_of(sdist(tmp_path / "s.tar.gz")), cache=tmp_path, say=lambda _: None, run=run)


def test_an_index_that_cannot_be_reached_fails_the_image_with_a_remedy(tmp_path: Path) -> None:
    words = (
        "WARNING: Retrying after connection broken\n"
        "ERROR: No matching distribution found at https://user:secret@index.example/simple\n"
    )
    run, _ = pip(stderr=words)
    with pytest.raises(ArtifactError, match="No matching distribution") as caught:
        fetch_source(pin_of(sdist(tmp_path / "s.tar.gz")), cache=tmp_path, say=lambda _: None, run=run)
    assert caught.value.reason == "image"
    assert "llama_cpp_python-1.tar.gz" in caught.value.remedy
    assert "secret" not in str(caught.value)


def test_the_context_follows_from_the_content_alone(tmp_path: Path) -> None:
    contexts = []
    for source in (sdist(tmp_path / "a.tar.gz"), sdist(tmp_path / "b.tar.gz", mtime=99, reverse=True)):
        out = io.BytesIO()
        write_context(out, dockerfile=b"FROM x\n", source=source)
        contexts.append(out.getvalue())
    assert contexts[0] == contexts[1]
    with tarfile.open(fileobj=io.BytesIO(contexts[0])) as tar:
        members = tar.getmembers()
    assert [(m.name, m.mode) for m in members] == [
        ("Dockerfile", 0o644),
        ("llama.cpp/CMakeLists.txt", 0o644),
        ("llama.cpp/ggml/a.sh", 0o755),
        ("llama.cpp/tools/z.cpp", 0o644),
    ]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}


def test_a_backend_needs_no_source() -> None:
    out = io.BytesIO()
    write_context(out, dockerfile=b"FROM x\n", source=None)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        assert tar.getnames() == ["Dockerfile"]
