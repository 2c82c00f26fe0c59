"""How each build of llama-bench spells a parameter on its command line, and how its rows show it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.values.cell import PARAMETERS, Parameter, ParameterValue
from harness.values.failure import Failure, Phase, Reason

WITHOUT_FLAG: Mapping[str, ParameterValue] = MappingProxyType(
    {
        "flash_attn": 0,
        "n_ubatch": 512,
        "load_mode": "mmap",
        "n_cpu_moe": 0,
        "split_mode": "layer",
        "main_gpu": 0,
        "no_kv_offload": False,
        "tensor_split": "0",
        "tensor_buft_overrides": "none",
        "no_op_offload": False,
        "no_host": False,
        "embeddings": False,
        "cpu_mask": "0x0",
        "cpu_strict": False,
    }
)
"""What builds do that do not know the flag: such a value needs no flag there."""


def unsupported(detail: str, *, remedy: str = "") -> Failure:
    """The build cannot be asked for this; found before any container."""
    return Failure(
        phase=Phase.PREPARE,
        reason=Reason.UNSUPPORTED,
        detail=detail,
        remedy=remedy or "Use a newer image, or leave this parameter out of the matrix.",
    )


def knows(flags: Mapping[str, str], option: str) -> bool:
    """Whether the build has the option; a build whose `--help` is not known is taken to be a new one."""
    return not flags or option in flags


def spelled(params: Mapping[str, ParameterValue], flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    """The arguments for these parameters.

    Args:
        params: values by llama-bench's field name.
        flags: options of the build with their value hints, from its `--help`.

    Returns:
        Arguments in the order of `PARAMETERS`, or a failure that names what the build does not know.
    """
    arguments: list[str] = []
    for name, parameter in PARAMETERS.items():
        if name not in params or not parameter.flag:
            continue
        value = params[name]
        if isinstance(value, str) and "," in value:
            return unsupported(
                f"{name}: {value!r} has a comma, by which llama-bench makes several tests of it",
                remedy="Write the alternatives as a list in the matrix.",
            )
        part = _load_mode(str(value), flags) if name == "load_mode" else _plain(parameter, value, flags)
        if isinstance(part, Failure):
            return part
        arguments += part
    return tuple(arguments)


def _plain(parameter: Parameter, value: ParameterValue, flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    option = parameter.flag
    if not knows(flags, option):
        if parameter.name in WITHOUT_FLAG and _same(parameter.name, value, WITHOUT_FLAG[parameter.name]):
            return ()
        return unsupported(f"this build has no {option} ({parameter.name}: {_shown(value)})")
    alternatives = flags.get(option, "").strip("<>").split("|")
    if isinstance(value, str) and len(alternatives) > 1 and value not in alternatives:
        return unsupported(f"{option} of this build knows {', '.join(alternatives)}, but not {value}")
    return (option, _shown(value))


def _load_mode(mode: str, flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    """`-lm` since 2026; before, `-mmp` and for a while `-dio`, which newer builds refuse."""
    if knows(flags, "-lm"):
        return _plain(PARAMETERS["load_mode"], mode, flags)
    direct = ("-dio", "1" if mode == "dio" else "0") if "-dio" in flags else ()
    if "mlock" in mode or (mode == "dio" and not direct):
        return unsupported(f"this build has no -lm (load_mode: {mode})")
    if "-mmp" not in flags:
        return () if mode == "mmap" else unsupported(f"this build has neither -lm nor -mmp (load_mode: {mode})")
    return ("-mmp", "1" if mode == "mmap" else "0", *direct)


def _shown(value: ParameterValue) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def differences(
    params: Mapping[str, ParameterValue], row: Mapping[str, object]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare what was asked for with what a row reports, whatever the build's way of writing it.

    Returns:
        A sentence for each parameter that differs, and the names of those that the row does not report.
    """
    different: list[str] = []
    silent: list[str] = []
    for name, wanted in params.items():
        if name in PARAMETERS and not PARAMETERS[name].flag:
            continue
        found = _found(name, row)
        if found is None:
            silent.append(name)
        elif not _same(name, wanted, found):
            different.append(f"{name} is {_json_like(found)}, asked for {_json_like(wanted)}")
    return tuple(different), tuple(silent)


def _found(name: str, row: Mapping[str, object]) -> object:
    if name == "load_mode" and "load_mode" not in row and "use_mmap" in row:
        if row.get("use_direct_io"):
            return "dio"
        return "mmap" if row["use_mmap"] else "none"
    return row.get(name)


def _same(name: str, wanted: object, found: object) -> bool:
    parameter = PARAMETERS.get(name)
    normal = _NORMAL.get(name) or _NORMAL_BY_KIND.get(parameter.kind if parameter else "", str)
    try:
        return normal(wanted) == normal(found)
    except (TypeError, ValueError):
        return False


def _flash(value: object) -> object:
    words = {"auto": -1, "on": 1, "off": 0}
    return words[value] if isinstance(value, str) and value in words else _integer(value)


def _integer(value: object) -> int:
    if isinstance(value, (bool, int)):
        return int(value)
    raise TypeError(value)


def _shares(value: object) -> object:
    """`1/2` and `1.00/2.00`: trailing zeros say nothing."""
    numbers = [float(part) for part in str(value).split("/")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


_NORMAL: Mapping[str, Callable[[object], object]] = {
    "flash_attn": _flash,
    "tensor_split": _shares,
    "cpu_mask": lambda value: int(str(value), 16),
}
_NORMAL_BY_KIND: Mapping[str, Callable[[object], object]] = {"bool": bool, "int": _integer}


def _json_like(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
