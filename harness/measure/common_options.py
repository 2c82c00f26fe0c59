"""How llama.cpp's other programs (server, batched-bench, perplexity) spell the parameters of a cell.

They share one parser of arguments, which is not llama-bench's: switches have no value, and flash attention is a word.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.measure.parameters import WITHOUT_FLAG, unsupported
from harness.values.cell import PARAMETERS, ParameterValue
from harness.values.container import Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure

MODEL_PATH = "/models/model.gguf"

_SWITCHES = {
    "no_kv_offload": "-nkvo",
    "no_op_offload": "--no-op-offload",
    "no_host": "--no-host",
    "repack": "--no-repack",
}


def program_options(image: ImageFacts, program: str) -> Mapping[str, str] | Failure:
    """The options that the image's program has, or a failure where it has no such program."""
    found = image.programs.get(program)
    if not found:
        return unsupported(
            f"there is no {program} in this image that tells its options",
            remedy="Use one of the `full` images, or one that is built here.",
        )
    return found


def head(
    params: Mapping[str, ParameterValue],
    image: ImageFacts,
    program: str,
    *,
    passthrough: Passthrough,
    verbose: bool = False,
) -> tuple[str, ...] | Failure:
    """The beginning of the command line: program, model, device and every parameter of the cell.

    Returns:
        Entrypoint and arguments, or a failure that names what this build does not know.
    """
    flags = program_options(image, program)
    if isinstance(flags, Failure):
        return flags
    # Reading `-ngl` loads the backends, and only what stands before it decides whether that is logged.
    arguments = [f"{image.binary_dir.rstrip('/')}/{program}", *(("-v",) if verbose else ()), "-m", MODEL_PATH]
    if "-dev" in flags:
        arguments += ["-dev", passthrough.device]
    elif passthrough.device != "none":
        return unsupported(f"{program} of this build has no -dev", remedy="Use a newer image.")
    if "-fit" in flags:
        # On by default: it lowers context and offload in silence until they fit.
        arguments += ["-fit", "off"]
    for name, value in params.items():
        part = _option(name, value, flags)
        if isinstance(part, Failure):
            return part
        arguments += part
    return tuple(arguments)


def _option(name: str, value: ParameterValue, flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    match name:
        case "power_limit_w":
            return ()
        case "flash_attn":
            return _flash_attention(value, flags)
        case "load_mode":
            return _load_mode(str(value), flags)
        case "repack" | "no_kv_offload" | "no_op_offload" | "no_host":
            # On where the parameter is true, but for repacking, which is on unless it is switched off.
            return () if bool(value) is (name == "repack") else _switch(name, _SWITCHES[name], flags)
        case _:
            return _valued(name, value, flags)


def _valued(name: str, value: ParameterValue, flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    option = PARAMETERS[name].flag
    if option not in flags:
        if name in WITHOUT_FLAG and value == WITHOUT_FLAG[name]:
            return ()
        return unsupported(f"this program has no {option} ({name}: {value})")
    return (option, str(int(value)) if isinstance(value, bool) else str(value))


def _switch(name: str, option: str, flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    return (option,) if option in flags else unsupported(f"this program has no {option} ({name})")


def _flash_attention(value: ParameterValue, flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    if "|" in flags.get("-fa", ""):
        return ("-fa", {0: "off", 1: "on"}.get(value, "auto") if isinstance(value, int) else str(value))
    # Until August 2025 a switch without a value.
    if value == "auto":
        return unsupported("-fa of this build does not know auto")
    return ("-fa",) if value else ()


def _load_mode(mode: str, flags: Mapping[str, str]) -> tuple[str, ...] | Failure:
    if "-lm" in flags:
        return ("-lm", mode)
    if mode == "dio":
        return ("-dio",) if "-dio" in flags else unsupported(f"this program has no -lm (load_mode: {mode})")
    return (*(("--mlock",) if "mlock" in mode else ()), *(() if "mmap" in mode else ("--no-mmap",)))
