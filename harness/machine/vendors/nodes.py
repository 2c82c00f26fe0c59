"""Device nodes: who may open them, and which numeric groups a container needs for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from stat import S_IMODE

from harness.machine.vendors.refusals import refuse
from harness.values.container import Passthrough
from harness.values.facts import EngineFacts
from harness.values.failure import Failure, Reason

_OTHERS = 0o006
_GROUP = 0o060


def _udev_rule(node: Path, mode: str) -> str:
    return f"""a udev rule KERNEL=="{node.name}", MODE="{mode}\""""


def groups_for(nodes: Sequence[str], *, engine: EngineFacts) -> tuple[int, ...] | Failure:
    """The groups that open these nodes to the container's user, who is neither root nor the user of the host.

    Groups go by number: the engine looks names up in the image, which has other groups than the host.

    Args:
        nodes: full paths on the host.
        engine: a rootless one can give a container no group of the host.

    Returns:
        Group ids in rising order, none for nodes that everybody may open; or the failure to record.
    """
    groups = set()
    for name in nodes:
        node = Path(name)
        try:
            status = node.stat()
        except FileNotFoundError:
            return refuse(
                Reason.NO_DEVICE, f"{name} does not exist", "load the card's kernel driver; `ls -l /dev/dri /dev/kfd`"
            )
        except OSError as error:
            return refuse(Reason.PERMISSION, f"{name}: {error.strerror}", "run as a user who can see the node")
        mode = S_IMODE(status.st_mode)
        if mode & _OTHERS == _OTHERS:
            continue
        if mode & _GROUP != _GROUP:
            return refuse(
                Reason.PERMISSION,
                f"{name} can be opened by its owner only (mode {mode:04o})",
                f"give it a group that may read and write it, by {_udev_rule(node, '0660')}",
            )
        if why := _no_groups(engine):
            return refuse(
                Reason.PERMISSION,
                f"{name} is open to group {status.st_gid} only (mode {mode:04o}), and {why} cannot give"
                " its containers a group of the host",
                "use an engine that runs as root without `userns-remap`, or open the node to everybody by"
                f" {_udev_rule(node, '0666')}",
            )
        groups.add(status.st_gid)
    return tuple(sorted(groups))


def _no_groups(engine: EngineFacts) -> str:
    """Which kind of engine gives its containers other numbers than the host's; empty for one that does not."""
    if engine.rootless:
        return "a rootless engine"
    return "an engine with `userns-remap`" if "name=userns" in engine.security_options else ""


def closed_nodes(passthrough: Passthrough) -> tuple[str, ...]:
    """The nodes that the container's user may not open by their mode and the groups given, with mode and group.

    A backend that cannot open its device says what it says where there is none, so that this is told from the host.
    """
    closed = []
    for name in passthrough.device_nodes:
        try:
            status = Path(name).stat()
        except OSError:
            continue  # another failure, with words of its own
        mode = S_IMODE(status.st_mode)
        by_group = mode & _GROUP == _GROUP and status.st_gid in passthrough.groups
        if mode & _OTHERS != _OTHERS and not by_group:
            closed.append(f"{name} (group {status.st_gid}, mode {mode:04o})")
    return tuple(closed)
