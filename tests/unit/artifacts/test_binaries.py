import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.artifacts.binaries import hash_archive, image_binaries
from harness.values.protocols import ImageStoreError

FILES = {
    "app/llama-bench": b"program",
    "app/libggml-cuda.so": b"x" * 300_000,
    "app/libllama.so.0": b"library",
    "app/convert_hf_to_gguf.py": b"script",
    "app/README.md": b"words",
}
IMAGE = "sha256:" + "a" * 64


def archive(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("app/libllama.so")
        link.type, link.linkname = tarfile.SYMTYPE, "libllama.so.0"
        tar.addfile(link)
    return made.getvalue()


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


class Images:
    """Hands out one folder, in small pieces, and counts how often it is asked."""

    def __init__(self, data: bytes | ImageStoreError) -> None:
        self.data = data
        self.asked: list[tuple[str, str]] = []

    def export(self, image: str, folder: str) -> Iterator[bytes]:
        self.asked.append((image, folder))
        if isinstance(self.data, ImageStoreError):
            raise self.data
        return pieces(self.data, 1000)


@pytest.mark.parametrize("size", [1, 511, 65536, 1 << 24])
def test_programs_and_libraries_are_hashed_whatever_the_pieces(size: int) -> None:
    small = {**FILES, "app/libggml-cuda.so": b"x" * 700} if size == 1 else FILES
    wanted = {n: hashlib.sha256(d).hexdigest() for n, d in small.items() if not n.endswith((".py", ".md"))}
    assert hash_archive(pieces(archive(small), size)) == wanted


def test_a_file_that_claims_a_terabyte_is_not_read() -> None:
    claims = tarfile.TarInfo("app/llama-bench")
    claims.size = 1 << 40
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield claims.tobuf()
        while True:
            read += 1
            yield bytes(1 << 20)

    with pytest.raises(ValueError, match="more than 64 GiB"):
        hash_archive(endless())
    assert read < 10


def test_an_image_is_read_once(tmp_path: Path) -> None:
    store = Images(archive(FILES))
    first = image_binaries(IMAGE, "/app", store=store, cache=tmp_path)  # type: ignore[arg-type]  # all that is asked
    assert image_binaries(IMAGE, "/app", store=store, cache=tmp_path) == first  # type: ignore[arg-type]
    assert store.asked == [(IMAGE, "/app")]
    (kept,) = (tmp_path / "images").glob("*.binaries.json")
    kept.write_text("{damaged")
    assert image_binaries(IMAGE, "/app", store=store, cache=tmp_path) == first  # type: ignore[arg-type]
    assert len(store.asked) == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ImageStoreError("no such directory"), "no such directory"),
        (archive(FILES)[:700], "cannot be read"),
        (b"no tar at all" * 100, "cannot be read"),
        (archive({"app/x.py": b""}), "no program or library"),
    ],
)
def test_what_cannot_be_read_says_why_and_is_asked_again(
    tmp_path: Path, data: bytes | ImageStoreError, words: str
) -> None:
    found = image_binaries(IMAGE, "/app", store=Images(data), cache=tmp_path)  # type: ignore[arg-type]
    assert isinstance(found, str)
    assert words in found
    assert not list(tmp_path.rglob("*.json"))
