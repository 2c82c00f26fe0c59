"""Which builds a bisection is over, and the image of each: tags of one pattern, or the sources of `images/`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.artifacts.build import check_build_name
from harness.artifacts.pins import read_source, sources_in
from harness.artifacts.pull import parse_reference
from harness.errors import InputError
from harness.flows.workspace import Workspace
from harness.values.image_names import build_of

PLACE = "{}"
MOST_BUILDS = 20_000
_NUMBER = re.compile(r"b?([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user named. Exactly one of `image` and `build` is given.

    Attributes:
        good, bad: builds such as `b6110`.
        image: a reference with `{}` in the place of the build's number, such as `repo:full-b{}`.
        build: a Dockerfile of `images/`, whose sources are the builds.
        among: the only builds that may be looked at; empty for all.
        present: only images that the engine has already.
    """

    good: str
    bad: str
    image: str = ""
    build: str = ""
    among: tuple[str, ...] = ()
    present: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """The builds of a bisection in ascending order, the good one first and the bad one last, with the image of each.

    Attributes:
        entry: an image of a matrix, from a build's number.
    """

    numbers: tuple[int, ...]
    entry: Callable[[int], dict[str, str]]


def read_number(text: str, *, where: str) -> int:
    """6110 from `b6110` or `6110`.

    Raises:
        InputError: it is no build.
    """
    match = _NUMBER.fullmatch(text.strip())
    if not match:
        raise InputError(f"{text!r} is no build", where=where, remedy="Write it like b6110.")
    return int(match[1])


def find_builds(asked: Asked, workspace: Workspace, *, names: Callable[[], Sequence[str]]) -> Builds:
    """The builds between the good and the bad one.

    Args:
        names: of the images that the engine has; asked for `present` only.

    Raises:
        InputError: the two ends are no range, both kinds of images were named or none, or a name is wrong.
    """
    good, bad = read_number(asked.good, where="--good"), read_number(asked.bad, where="--bad")
    if good >= bad:
        raise InputError(
            f"the good build b{good} is not older than the bad one, b{bad}",
            where="--good",
            remedy="A bisection looks for the first slow build after a fast one. Two builds are held side by side by "
            "`invoke compare`.",
        )
    if bool(asked.image) == bool(asked.build):
        raise InputError(
            "needs exactly one of --image and --build",
            where="bisect",
            remedy="Give --image 'ghcr.io/ggml-org/llama.cpp:full-b{}' for tags, "
            "or --build cpu-bench for the sources of images/.",
        )
    among = {read_number(part, where="--among") for text in asked.among for part in text.split(",") if part.strip()}
    outside = sorted(number for number in among if not good <= number <= bad)
    if outside:
        raise InputError(f"b{outside[0]} is not between b{good} and b{bad}", where="--among")
    if asked.build:
        numbers, entry = _of_sources(asked.build, workspace)
        if asked.present:
            raise InputError(
                "is for --image", where="--present", remedy="Leave it out: builds of images/ are made here."
            )
    else:
        numbers, entry = _of_tags(asked, good=good, bad=bad, names=names)
    between = (number for number in numbers if good < number < bad and (not among or number in among))
    return Builds(numbers=(good, *sorted(between), bad), entry=entry)


def _of_sources(build: str, workspace: Workspace) -> tuple[Sequence[int], Callable[[int], dict[str, str]]]:
    check_build_name(build, workspace.images)
    usual = read_source("", workspace.images).build_number
    others = [build_of(name) or 0 for name in sources_in(workspace.images)]

    def entry(number: int) -> dict[str, str]:
        if number == usual:
            return {"build": build}
        read_source(f"b{number}", workspace.images)
        return {"build": build, "source": f"b{number}"}

    return sorted({usual, *others}), entry


def _of_tags(
    asked: Asked, *, good: int, bad: int, names: Callable[[], Sequence[str]]
) -> tuple[Sequence[int], Callable[[int], dict[str, str]]]:
    if asked.image.count(PLACE) != 1:
        raise InputError(
            f"{asked.image!r} has to hold {PLACE} once, in the place of the build's number",
            where="--image",
            remedy="Write it like 'ghcr.io/ggml-org/llama.cpp:full-b{}', in quotes.",
        )

    def entry(number: int) -> dict[str, str]:
        return {"ref": asked.image.replace(PLACE, str(number))}

    parse_reference(entry(good)["ref"])
    if asked.present:
        before, after = asked.image.split(PLACE)
        pattern = re.compile(re.escape(before) + r"([1-9][0-9]{0,8})" + re.escape(after))
        return [int(match[1]) for name in names() if (match := pattern.fullmatch(name))], entry
    if asked.among:
        return [read_number(p, where="--among") for text in asked.among for p in text.split(",") if p.strip()], entry
    if bad - good > MOST_BUILDS:
        raise InputError(f"there are {bad - good} builds between", where="--bad", remedy="Name fewer with --among.")
    # A registry has not every build. Which ones it lacks is found out by asking, a second each.
    return range(good + 1, bad), entry
