import fcntl
import hashlib
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from harness.artifacts import get_model, model_shelf
from harness.artifacts.model_shelf import place_of
from harness.artifacts.models import MODEL_PATH, known_models, prepare_model
from harness.artifacts.synthetic import write_synthetic
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.errors import ArtifactError, InputError, MachineError
from harness.values.cell import ParameterValue
from harness.values.matrix import ModelSource

RECIPE: dict[str, ParameterValue] = {
    "architecture": "llama",
    "n_layers": 1,
    "n_embd": 64,
    "n_ff": 64,
    "n_heads": 2,
    "n_kv_heads": 1,
    "n_vocab": 32,
    "n_ctx": 64,
    "quantization": "F16",
    "seed": 1,
}
SYNTHETIC = ModelSource(name="tiny", kind="synthetic", recipe=RECIPE, title="Tiny")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    write_synthetic(parse_recipe(RECIPE, where=""), folder / "Modell ü.gguf")
    return folder / "Modell ü.gguf"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def local(path: Path | str, **changes: str) -> ModelSource:
    return ModelSource(name="own", kind="file", path=str(path), **changes)


def test_the_path_in_the_container_is_ascii() -> None:
    assert MODEL_PATH == "/models/model.gguf"


class TestFile:
    def test_relative_to_the_matrix_and_hashed(self, gguf: Path, cache: Path) -> None:
        facts = prepare_model(local(gguf.name), cache=cache, base=gguf.parent)
        assert facts.path == gguf
        assert facts.sha256 == sha256(gguf)
        assert (facts.architecture, facts.file_type, facts.n_layers, facts.context_length) == ("llama", "F16", 1, 64)
        assert facts.n_params == parse_recipe(RECIPE, where="").n_params
        assert facts.size_bytes == gguf.stat().st_size
        assert facts.tensors_sha256 is not None
        assert str(gguf.parent) not in facts.source

    @pytest.mark.parametrize(("architecture", "layers"), [("qwen3next", 2), ("qwen3", 8)])
    def test_only_layers_with_attention_have_a_cache(self, tmp_path: Path, architecture: str, layers: int) -> None:
        writer = GGUFWriter(tmp_path / "m.gguf", architecture)
        writer.add_block_count(8)
        writer.add_embedding_length(64)
        writer.add_head_count(8)
        writer.add_head_count_kv(2)
        writer.add_key_length(16)
        writer.add_value_length(32)
        writer.add_tensor("blk.0.ffn_up.weight", np.zeros((2, 32), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        facts = prepare_model(local("m.gguf"), cache=tmp_path, base=tmp_path)
        assert (facts.cache_k, facts.cache_v) == (layers * 2 * 16, layers * 2 * 32)

    def test_a_copied_synthetic_model_stays_synthetic(self, gguf: Path, cache: Path) -> None:
        assert prepare_model(local(gguf), cache=cache, base=Path()).synthetic

    def test_home_and_links_are_followed(self, gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(gguf.parent))
        (gguf.parent / "link.gguf").symlink_to(gguf)
        assert prepare_model(local("~/link.gguf"), cache=cache, base=Path("/nowhere")).path == gguf

    def test_a_promised_hash_is_checked(self, gguf: Path, cache: Path) -> None:
        promised = sha256(gguf)
        assert prepare_model(local(gguf, sha256=promised), cache=cache, base=Path()).sha256 == promised
        assert prepare_model(local(gguf, sha256=promised.upper()), cache=cache, base=Path()).sha256 == promised
        with pytest.raises(InputError) as caught:
            prepare_model(local(gguf, sha256="0" * 64), cache=cache, base=Path())
        assert promised in caught.value.what
        assert "0" * 64 in caught.value.what
        assert caught.value.exit_code == 2

    def test_missing_says_where_relative_paths_start(self, tmp_path: Path, cache: Path) -> None:
        with pytest.raises(InputError, match="No such file") as caught:
            prepare_model(local("absent.gguf"), cache=cache, base=tmp_path)
        assert str(tmp_path) in caught.value.remedy
        assert caught.value.where == "model own"

    def test_folder_pipe_loop_and_nul(self, tmp_path: Path, cache: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        for path in (tmp_path, tmp_path / "pipe", tmp_path / "loop", "a\0b"):
            with pytest.raises(InputError):
                prepare_model(local(path), cache=cache, base=tmp_path)

    def test_no_gguf(self, tmp_path: Path, cache: Path) -> None:
        (tmp_path / "m.gguf").write_bytes(b"<html>sign in first</html>")
        with pytest.raises(InputError, match="is no GGUF"):
            prepare_model(local("m.gguf"), cache=cache, base=tmp_path)

    def test_no_tensors(self, tmp_path: Path, cache: Path) -> None:
        from gguf import GGUFWriter

        writer = GGUFWriter(tmp_path / "m.gguf", "llama")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        with pytest.raises(InputError, match="no tensors"):
            prepare_model(local("m.gguf"), cache=cache, base=tmp_path)


class TestSynthetic:
    def test_made_once_and_the_same_every_time(self, cache: Path) -> None:
        said: list[str] = []
        first = prepare_model(SYNTHETIC, cache=cache, base=Path(), say=said.append)
        assert first.synthetic
        assert first.title == "Tiny"
        assert len(said) == 1
        assert prepare_model(SYNTHETIC, cache=cache, base=Path(), say=said.append) == first
        assert len(said) == 1
        first.path.unlink()
        assert prepare_model(SYNTHETIC, cache=cache, base=Path()).sha256 == first.sha256

    def test_made_without_a_network(self, cache: Path) -> None:
        assert prepare_model(SYNTHETIC, cache=cache, base=Path(), offline=True).synthetic

    def test_a_damaged_file_is_said_and_made_again(self, cache: Path) -> None:
        facts = prepare_model(SYNTHETIC, cache=cache, base=Path())
        with facts.path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x55")
        said: list[str] = []
        again = prepare_model(SYNTHETIC, cache=cache, base=Path(), say=said.append)
        assert again.sha256 == facts.sha256 == sha256(facts.path)
        assert "is not what it was" in said[0]

    def test_another_hash_than_promised_is_an_input_error(self, cache: Path) -> None:
        with pytest.raises(InputError, match="not " + "0" * 64):
            prepare_model(replace(SYNTHETIC, sha256="0" * 64), cache=cache, base=Path())

    def test_an_interrupted_write_is_replaced(self, cache: Path) -> None:
        place = place_of(parse_recipe(RECIPE, where="").sha256, cache)
        place.folder.mkdir(parents=True)
        place.partial.write_bytes(b"half")

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare_model(SYNTHETIC, cache=cache, base=Path(), progress=stop)
        assert place.partial.exists()
        assert not place.file.exists()
        assert prepare_model(SYNTHETIC, cache=cache, base=Path()).path == place.file
        assert not place.partial.exists()

    def test_two_harnesses_do_not_write_the_same_file(self, cache: Path) -> None:
        place = place_of(parse_recipe(RECIPE, where="").sha256, cache)
        place.folder.mkdir(parents=True)
        said: list[str] = []
        with (place.folder / "lock").open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            thread = threading.Thread(
                target=prepare_model, args=(SYNTHETIC,), kwargs={"cache": cache, "base": Path(), "say": said.append}
            )
            thread.start()
            deadline = time.monotonic() + 10
            while not said and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not place.file.exists()
        thread.join(timeout=10)
        assert "another harness" in said[0]
        assert place.file.exists()

    def test_readable_for_the_user_in_the_container(self, cache: Path) -> None:
        before = os.umask(0o077)
        try:
            path = prepare_model(SYNTHETIC, cache=cache, base=Path()).path
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o644

    def test_a_wrong_recipe_is_an_input_error(self, cache: Path) -> None:
        with pytest.raises(InputError, match="n_layers is 0"):
            prepare_model(replace(SYNTHETIC, recipe=RECIPE | {"n_layers": 0}), cache=cache, base=Path())
        assert not cache.exists()


class TestDisk:
    def test_too_little_space_is_found_before_the_work(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = model_shelf.shutil.disk_usage("/")._replace(free=1 << 20)
        monkeypatch.setattr(model_shelf.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(MachineError, match=r"needs \d+ MiB .* 1 MiB are free") as caught:
            prepare_model(SYNTHETIC, cache=cache, base=Path())
        assert caught.value.exit_code == 3

    def test_a_disk_that_becomes_full(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(get_model, "put_in_place", full)
        with pytest.raises(MachineError, match=r"no space left .* needs 1 MiB in all"):
            prepare_model(SYNTHETIC, cache=cache, base=Path())

    def test_a_cache_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_bytes(b"")
        with pytest.raises(MachineError, match="cannot be written") as caught:
            prepare_model(SYNTHETIC, cache=tmp_path / "cache", base=Path())
        assert "XDG_CACHE_HOME" in caught.value.remedy


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ModelSource(name="x", kind="torrent"), "'torrent' is not one of"),
        (ModelSource(name="x", kind="package"), "has no sha256"),
        (ModelSource(name="x", kind="huggingface"), "has no sha256"),
        (ModelSource(name="x", kind="file", path="x", sha256="ABC"), "not 64 hex digits"),
        (ModelSource(name="x", kind="package", sha256="0" * 64), "no packages"),
        (ModelSource(name="x", kind="huggingface", sha256="0" * 64, repo="x", filename="y"), "not `owner/name`"),
    ],
)
def test_sources_that_cannot_be_right(source: ModelSource, message: str, cache: Path) -> None:
    with pytest.raises(InputError, match=message):
        prepare_model(source, cache=cache, base=Path())
    assert [row.state for row in known_models({"x": source}, cache)] == ["wrong"]


def test_what_is_missing_is_not_fetched_offline(cache: Path) -> None:
    source = ModelSource(name="x", kind="huggingface", sha256="0" * 64, repo="a/b", filename="c.gguf")
    with pytest.raises(ArtifactError) as caught:
        prepare_model(source, cache=cache, base=Path(), offline=True)
    assert caught.value.reason == "model"
    assert caught.value.exit_code == 1


def test_known_models_reads_no_file(gguf: Path, cache: Path) -> None:
    other = replace(SYNTHETIC, name="other", recipe=RECIPE | {"seed": 2}, licence="none")
    prepare_model(SYNTHETIC, cache=cache, base=Path())
    sources = {"tiny": SYNTHETIC, "other": other, "own": local(gguf.name), "gone": local("absent")}
    rows = dict(zip(sources, known_models(sources, cache, base=gguf.parent), strict=True))
    assert {name: row.state for name, row in rows.items()} == {
        "tiny": "verified",
        "other": "absent",
        "own": "present",
        "gone": "absent",
    }
    assert rows["own"].size_bytes == gguf.stat().st_size
    assert rows["other"].size_bytes == parse_recipe(RECIPE, where="").size_bytes
    assert rows["gone"].size_bytes is None
    assert rows["other"].licence == "none"


def test_force_hashes_in_full(cache: Path) -> None:
    prepare_model(SYNTHETIC, cache=cache, base=Path())
    seen: set[str] = set()
    prepare_model(SYNTHETIC, cache=cache, base=Path(), progress=lambda what, *_: seen.add(what))
    assert not any(what.startswith("verifying") for what in seen)
    prepare_model(SYNTHETIC, cache=cache, base=Path(), progress=lambda what, *_: seen.add(what), force=True)
    assert any(what.startswith("verifying") for what in seen)
