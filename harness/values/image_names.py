"""What can be told from the name of an image alone: its build, and whether the name can mean another image tomorrow."""

from __future__ import annotations

import re

_BUILD = re.compile(r"(?:^|[:/_.-])b([0-9]+)$")


def build_of(ref: str) -> int | None:
    """The build number at the end of a tag: 9426 of `full-vulkan-b9426`. None where it has none.

    Args:
        ref: a tag alone, or a whole reference with or without a digest.
    """
    match = _BUILD.search(ref.partition("@")[0])
    return int(match[1]) if match else None


def build_order(tag: str) -> tuple[str, int]:
    """A key that sorts tags by what they are of, then by build number as a number: b999 comes before b1000.

    A tag without a build number comes before those that have one.
    """
    number = build_of(tag)
    name = tag.partition("@")[0]
    return (name, -1) if number is None else (_BUILD.sub("", name), number)


def is_moving(ref: str) -> bool:
    """Whether a reference can mean another image tomorrow: it has no digest, and no build number in its tag.

    A registry lets even such a tag be moved; by the project's custom it is not.
    """
    return "@" not in ref and build_of(ref) is None
