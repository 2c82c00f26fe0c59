"""`invoke clean`: everything of ours that was left behind. Records and reports are never touched."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from harness.artifacts.model_shelf import MODELS_FOLDER, Place, held, unfinished
from harness.engine.daemon import EnginePaths, running_process
from harness.engine.discovery import find_engine
from harness.engine.docker_engine import DockerEngine
from harness.engine.image_store import DockerImageStore
from harness.flows.console import Display
from harness.flows.tables import size
from harness.flows.workspace import find_workspace
from harness.machine.locks import lock_folder, measuring_lock

MANAGED = {"llama-bench-harness.managed": "1"}


def clean_up(*, images: bool, cache: bool, engine: bool) -> None:
    """Remove containers that were left behind and half-made downloads; on request images, cache and engine too.

    Raises:
        MachineError: a harness is measuring right now.
    """
    display, workspace = Display(), find_workspace()
    with measuring_lock(lock_folder(os.environ)):
        endpoint = find_engine(os.environ)
        if endpoint is None:
            display.say("containers: no engine answers, so none are running")
        else:
            _containers(endpoint.host, display)
            if images:
                _images(endpoint.host, display)
        _partials(workspace.cache, display)
        if cache:
            _whole_cache(workspace.cache, display)
        if engine:
            _engine(display)


def _containers(host: str, display: Display) -> None:
    docker = DockerEngine(host)
    try:
        removed = docker.sweep(labels=MANAGED)
    finally:
        docker.close()
    display.say(f"containers: {len(removed)} removed" + (f" ({', '.join(removed)})" if removed else ""))


def _images(host: str, display: Display) -> None:
    store = DockerImageStore.connect(host)
    try:
        removed = store.remove_own()
    finally:
        store.close()
    display.say(f"images: {len(removed)} removed" + (f" ({', '.join(removed)})" if removed else ""))


def _partials(cache: Path, display: Display) -> None:
    models = [Place(folder=lock.parent) for lock in sorted((cache / MODELS_FOLDER).glob("*/lock"))]
    # Beside the models: what was about to get its name when its writer was killed.
    removed = [_remove(path) for path in cache.rglob("*.partial*") if path.is_file() and not _of(path, models)]
    busy = 0
    for place in models:
        # Fetching holds no lock of the machine: another start may be at it right now.
        with held(place) as free:
            if free:
                removed += [_remove(path) for path in unfinished(place)]
                shutil.rmtree(place.scratch, ignore_errors=True)
            else:
                busy += 1
    text = f"half-made downloads: {len(removed)} removed, {size(sum(removed))}"
    display.say(text + (f"; {busy} left alone, which another harness is fetching" if busy else ""))


def _of(path: Path, models: list[Place]) -> bool:
    return any(path.is_relative_to(place.folder) for place in models)


def _remove(path: Path) -> int:
    """Remove a file; how many bytes it had. 0 where it went by itself meanwhile."""
    try:
        freed = path.lstat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return freed


def _whole_cache(cache: Path, display: Display) -> None:
    freed = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file() and not path.is_symlink())
    shutil.rmtree(cache, ignore_errors=True)
    display.say(f"cache: {size(freed)} removed")


def _engine(display: Display) -> None:
    # A pid file outlives an engine that was killed, and its number may be another program's by now.
    pid = running_process(EnginePaths())
    if pid is None:
        display.say("engine: none of ours is running")
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError as error:
        display.say(f"engine: process {pid} cannot be stopped: {error.strerror}")
    else:
        display.say(f"engine: stopped (process {pid}); its images are kept")
