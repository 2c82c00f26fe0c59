"""`invoke clean`: everything of ours that was left behind. Records and reports are never touched."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

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
    partials = [path for path in cache.rglob("*.partial*") if path.is_file()] if cache.is_dir() else []
    freed = sum(path.stat().st_size for path in partials)
    for path in partials:
        path.unlink(missing_ok=True)
    display.say(f"half-made downloads: {len(partials)} removed, {size(freed)}")


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
