"""The engine's description of itself, in our words."""

from __future__ import annotations

from collections.abc import Mapping

from harness.values.facts import EngineFacts


def engine_facts(*, version: Mapping[str, object], info: Mapping[str, object], host: str) -> EngineFacts:
    """What `GET /version` and `GET /info` say, in our words. Fields that an engine does not have are left out."""
    components = _mappings(version.get("Components"))
    podman = any("podman" in str(item.get("Name", "")).lower() for item in components)
    security = _texts(info.get("SecurityOptions"))
    runtimes = info.get("Runtimes")
    return EngineFacts(
        name="Podman" if podman else "Docker Engine",
        version=str(version.get("Version", "")),
        api_version=str(version.get("ApiVersion", "")),
        host=host,
        storage_driver=_text(info.get("Driver")),
        cgroup_version=_text(info.get("CgroupVersion")),
        cgroup_driver=_text(info.get("CgroupDriver")),
        runtimes=tuple(sorted(runtimes)) if isinstance(runtimes, Mapping) else (),
        security_options=security,
        rootless=bool(info.get("Rootless")) or any(option.startswith("name=rootless") for option in security),
        cdi_devices=tuple(
            sorted(str(item["ID"]) for item in _mappings(info.get("DiscoveredDevices")) if item.get("Source") == "cdi")
        ),
        cdi_folders=_texts(info["CDISpecDirs"]) if isinstance(info.get("CDISpecDirs"), list) else None,
        memory_limit=info.get("MemoryLimit") is not False,
        pids_limit=info.get("PidsLimit") is not False,
        components={
            str(item["Name"]): str(item.get("Version", "")) for item in components if item.get("Name") != "Engine"
        },
        default_runtime=_text(info.get("DefaultRuntime")),
    )


def _text(value: object) -> str | None:
    return str(value) if value else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _mappings(value: object) -> tuple[Mapping[str, object], ...]:
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()
