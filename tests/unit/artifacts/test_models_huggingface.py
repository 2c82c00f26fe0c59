import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from harness.artifacts import model_shelf
from harness.artifacts.model_shelf import place_of
from harness.artifacts.models import prepare_model
from harness.artifacts.synthetic import write_synthetic
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.errors import ArtifactError, InputError, MachineError
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


class FakeHub:
    """Stands where the library's two calls stand."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.etag: str | None = hashlib.sha256(data).hexdigest()
        self.size: int | None = len(data)
        self.metadata_error: Exception | None = None
        self.download_error: Exception | None = None
        self.downloads = 0

    def metadata(self, url: str, **_: object) -> SimpleNamespace:
        if self.metadata_error:
            raise self.metadata_error
        return SimpleNamespace(etag=self.etag, size=self.size)

    def download(self, repo: str, filename: str, *, local_dir: Path, tqdm_class: type, **_: object) -> str:
        self.downloads += 1
        if self.download_error:
            raise self.download_error
        path = local_dir / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        with tqdm_class(total=len(self.data), unit="B") as bar:
            path.write_bytes(self.data)
            bar.update(len(self.data))
        return str(path)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    write_synthetic(parse_recipe(RECIPE, where=""), tmp_path / "m.gguf")
    fake = FakeHub((tmp_path / "m.gguf").read_bytes())
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", fake.metadata)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake.download)
    return fake


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def source(hub: FakeHub) -> ModelSource:
    return ModelSource(
        name="hubbed",
        kind="huggingface",
        repo="owner/name-GGUF",
        revision="0123abc",
        filename="sub/m.gguf",
        sha256=hashlib.sha256(hub.data).hexdigest(),
    )


def refused(error: type[Exception], status: int) -> Exception:
    """An error as the library raises it, with what must not be shown in its text."""
    made = error.__new__(error)
    made.args = (f"{status} for https://hub.example/x?X-Signature=secret with token hf_secret",)
    made.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return made


def test_fetched_verified_and_kept_once(hub: FakeHub, source: ModelSource, cache: Path) -> None:
    seen: list[tuple[str, int | None, int | None]] = []
    facts = prepare_model(source, cache=cache, base=Path(), progress=lambda *step: seen.append(step))
    assert facts.source == "huggingface owner/name-GGUF@0123abc sub/m.gguf"
    assert facts.path == place_of(source.sha256, cache).file
    assert ("fetching m.gguf", len(hub.data), len(hub.data)) in seen
    prepare_model(source, cache=cache, base=Path())
    assert hub.downloads == 1
    assert sorted(p.name for p in facts.path.parent.iterdir()) == ["lock", "model.gguf"]


def test_another_hash_on_the_hub_is_found_before_the_download(hub: FakeHub, source: ModelSource, cache: Path) -> None:
    hub.etag = "f" * 64
    with pytest.raises(InputError, match="f" * 64) as caught:
        prepare_model(source, cache=cache, base=Path())
    assert source.sha256 in caught.value.what
    assert hub.downloads == 0


@pytest.mark.parametrize("etag", [None, "e" * 40, '"weak"'])
def test_what_was_fetched_is_hashed_whatever_the_hub_said(
    hub: FakeHub, source: ModelSource, cache: Path, etag: str | None
) -> None:
    hub.etag = etag
    hub.data += b"more"
    with pytest.raises(InputError, match="what was fetched has SHA-256"):
        prepare_model(source, cache=cache, base=Path())
    assert not place_of(source.sha256, cache).file.exists()


def test_space_is_checked_before_the_download(
    hub: FakeHub, source: ModelSource, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = model_shelf.shutil.disk_usage("/")._replace(free=1 << 40)
    monkeypatch.setattr(model_shelf.shutil, "disk_usage", lambda _: usage)
    hub.size = 1 << 41
    with pytest.raises(MachineError, match="needs"):
        prepare_model(source, cache=cache, base=Path())
    assert hub.downloads == 0


def test_what_is_there_of_a_download_needs_no_space_again(
    hub: FakeHub, source: ModelSource, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = place_of(source.sha256, cache).scratch / ".cache/huggingface/download"
    kept.mkdir(parents=True)
    (kept / "m.gguf.abc.incomplete").write_bytes(hub.data[:-1000])
    usage = model_shelf.shutil.disk_usage("/")._replace(free=(64 << 20) + 2000)
    monkeypatch.setattr(model_shelf.shutil, "disk_usage", lambda _: usage)
    assert prepare_model(source, cache=cache, base=Path()).sha256 == source.sha256


def test_a_disk_that_becomes_full(hub: FakeHub, source: ModelSource, cache: Path) -> None:
    hub.download_error = OSError(28, "No space left on device")
    with pytest.raises(MachineError, match=r"no space left .* needs 1 MiB in all"):
        prepare_model(source, cache=cache, base=Path())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refused(errors.GatedRepoError, 403), ("without permission", "HF_TOKEN")),
        (refused(errors.HfHubHTTPError, 401), ("without permission", "HF_TOKEN")),
        (refused(errors.RepositoryNotFoundError, 401), ("knows no", "check repo")),
        (refused(errors.RevisionNotFoundError, 404), ("knows no", "revision")),
        (refused(errors.RemoteEntryNotFoundError, 404), ("knows no", "filename")),
        (refused(errors.HfHubHTTPError, 503), ("status 503", "network")),
        (errors.HTTPError("https://hub.example?token=hf_secret"), ("cannot be reached", "network")),
        (errors.OfflineModeIsEnabled("secret"), ("cannot be reached", "network")),
        (ConnectionResetError("secret"), ("cannot be reached", "network")),
    ],
)
def test_refusals_are_artifact_errors_with_a_remedy_and_no_token(
    hub: FakeHub, source: ModelSource, cache: Path, error: Exception, words: tuple[str, str]
) -> None:
    hub.metadata_error = error
    with pytest.raises(ArtifactError) as caught:
        prepare_model(source, cache=cache, base=Path())
    assert (caught.value.reason, caught.value.exit_code) == ("model", 1)
    assert words[0] in caught.value.what
    assert words[1] in caught.value.remedy
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "changes",
    [
        {"repo": "one"},
        {"repo": "../up"},
        {"repo": "a/b/c"},
        {"filename": ""},
        {"filename": "/etc/passwd"},
        {"filename": "a/../../b"},
        {"filename": "a\\b"},
        {"revision": "../x"},
        {"revision": "-x"},
    ],
)
def test_names_that_cannot_be_on_the_hub(
    hub: FakeHub, source: ModelSource, cache: Path, changes: dict[str, str]
) -> None:
    with pytest.raises(InputError):
        prepare_model(replace(source, **changes), cache=cache, base=Path())
    assert not cache.exists()


def test_listing_and_planning_do_not_load_the_library() -> None:
    import subprocess
    import sys

    heavy = ("huggingface_hub", "numpy", "gguf")
    code = f"import sys, harness.artifacts.models; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
