"""Images whose llama-bench is the stub: one static program, its script and its texts, one megabyte.

    image = stub_image(client, Script(backend="cpu", tg=50.0), tag="llama-bench-harness/stub:b11000")

The image says by its own label that it is simulated, so whoever measures with it gets simulated records.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from docker import APIClient

from harness.artifacts.images import SIMULATED_LABEL
from tests.rig.script import Script
from tests.rig.templates import templates

SOURCES = Path(__file__).with_name("stub")
SCRIPT_LABEL = "llama-bench-harness.stub-script"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class NoCompilerError(Exception):
    """There is no C compiler, or it cannot link statically."""


def stub_program(folder: Path) -> Path:
    """Compile the stub, once a folder.

    Raises:
        NoCompilerError: with what is missing.
    """
    program = folder / f"llama-bench-{_sources_sha256()[:12]}"
    if program.is_file():
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError("there is no C compiler: apt-get install gcc libc6-dev")
    options = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static"]
    sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
    partial = folder / f"llama-bench.{os.getpid()}"
    done = subprocess.run(
        [compiler, *options, "-o", str(partial), *sources, "-lm"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoCompilerError(f"the stub does not compile:\n{done.stderr[-2000:]}")
    partial.rename(program)
    return program


def _sources_sha256() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]")))).hexdigest()


def root_tar(script: Script, program: Path) -> bytes:
    """The root file system of the image; the same bytes for the same script."""
    files = {
        "app/llama-bench": program.read_bytes(),
        "app/script.txt": script.text().encode(),
        **{f"app/{name}": text.encode() for name, text in templates(script.backend).items()},
    }
    folders = ("app", "dev", "etc", "models", "proc", "sys", "tmp")
    return _tar(
        {name: (content, 0o755 if name.endswith("llama-bench") else 0o644) for name, content in files.items()}, folders
    )


def image_archive(script: Script, program: Path, *, tag: str) -> bytes:
    """The image as `docker load` takes it. Its id follows from its content alone, so a start can continue another."""
    layer = root_tar(script, program)
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Labels": {SIMULATED_LABEL: "true", SCRIPT_LABEL: script.sha256}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests/rig/stub_image.py"}],
    }
    described = json.dumps(config).encode()
    name = f"{hashlib.sha256(described).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    return _tar({name: (described, 0o644), "layer.tar": (layer, 0o644), "manifest.json": (manifest, 0o644)})


def _tar(files: Mapping[str, tuple[bytes, int]], folders: Sequence[str] = ()) -> bytes:
    held = BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, BytesIO(content))
    return held.getvalue()


def stub_image(client: APIClient, script: Script, *, tag: str, folder: Path | None = None) -> str:
    """Have the image in an engine under a tag.

    Args:
        client: of the engine, Docker or Podman.
        script: what its llama-bench does.
        tag: with a repository and a tag; what had it before loses it.
        folder: where the program is compiled; a new one where it is left out.

    Returns:
        Its content id.

    Raises:
        NoCompilerError: there is no C compiler.
        ValueError: the script is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="lbh-stub-") as scratch:
        program = stub_program(folder or Path(scratch))
        client.load_image(image_archive(script, program, tag=tag))
    return str(client.inspect_image(tag)["Id"])
