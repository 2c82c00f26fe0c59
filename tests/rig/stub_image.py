"""Images whose llama-bench is the stub: one static program, its script and its texts, one megabyte.

    image = stub_image(client, Script(backend="cpu", tg=50.0), tag="llama-bench-harness/stub:b11000")

The image says by its own label that it is simulated, so whoever measures with it gets simulated records.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from docker import APIClient
from docker.errors import ImageNotFound

from harness.artifacts.images import SIMULATED_LABEL
from tests.rig.script import Script
from tests.rig.templates import templates

SOURCES = Path(__file__).with_name("stub")
SCRIPT_LABEL = "llama-bench-harness.stub-script"


class NoCompilerError(Exception):
    """There is no C compiler, or it cannot link statically."""


def stub_program(folder: Path) -> Path:
    """Compile the stub, once a folder.

    Raises:
        NoCompilerError: with what is missing.
    """
    program = folder / "llama-bench"
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


def image_tar(script: Script, program: Path) -> bytes:
    """The root file system of the image."""
    files = {
        "app/llama-bench": program.read_bytes(),
        "app/script.txt": script.text().encode(),
        **{f"app/{name}": text.encode() for name, text in templates(script.backend).items()},
    }
    held = BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in ("app", "dev", "etc", "models", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.endswith("llama-bench") else 0o644
            archive.addfile(entry, BytesIO(content))
    return held.getvalue()


def stub_image(client: APIClient, script: Script, *, tag: str, folder: Path | None = None) -> str:
    """Have the image in an engine under a tag, made anew only where its script changed.

    Args:
        client: of the engine; Docker, since Podman leaves out labels of imported images.
        folder: where the program is compiled; a new one where it is left out.

    Returns:
        Its content id.

    Raises:
        NoCompilerError: there is no C compiler.
        ValueError: the script is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="lbh-stub-") as scratch:
        program = stub_program(folder or Path(scratch))
        made_of = f"{script.sha256}-{program.stat().st_size}"
        try:
            known = client.inspect_image(tag)
            if (known["Config"]["Labels"] or {}).get(SCRIPT_LABEL) == made_of:
                return str(known["Id"])
        except ImageNotFound:
            pass
        repository, _, name = tag.rpartition(":")
        client.import_image_from_data(
            image_tar(script, program),
            repository=repository,
            tag=name,
            changes=[f"LABEL {SIMULATED_LABEL}=true", f"LABEL {SCRIPT_LABEL}={made_of}"],
        )
    return str(client.inspect_image(tag)["Id"])
