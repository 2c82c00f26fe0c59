"""What may be ranked against what: rows with one comparability key, real models, real devices, proven numbers."""

from __future__ import annotations

from harness.analysis.results import CellResult
from harness.values.cell import PARAMETERS, Cell
from harness.values.record import Proof

KINDS = ("ranked", "synthetic", "software")
"""`ranked`: real weights on a real device. `synthetic`: seeded noise, comparable with its like only. `software`: a
software device stands for no hardware."""

ALL_LAYERS = 99
"""What `-ngl` is passed to mean all of them, of a model whose number of layers is not known."""


_RANKED = tuple(p.name for p in PARAMETERS.values() if p.ranked and p.name != "split_mode")
_RANKED_ON_A_CPU = tuple(name for name in _RANKED if name != "n_gpu_layers")
_MEANT = frozenset({"flash_attn", "n_gpu_layers"})
"""Of these other numbers can mean the same."""


def kind(result: CellResult) -> str:
    """In which of the tables a result stands."""
    if result.software:
        return "software"
    return "synthetic" if result.synthetic else "ranked"


def beside(cell: Cell) -> str:
    """The models that were resident meanwhile, as one word; empty for none."""
    return "+".join(cell.beside) + (" at work" if cell.beside_busy else "")


def comparability_key(result: CellResult) -> tuple[tuple[str, object], ...]:
    """What has to be equal before two rates may be put in an order, as named fields.

    The offload is the parameter as asked for on a GPU, `all` where it is more than there are layers; a CPU has nothing
    to offload to, so it is left out there. With several devices `layer` is llama.cpp's own split mode, and with `none`
    one of them computes. Where flash attention was left to llama.cpp, it is what the log says was chosen.
    """
    model = result.model
    weights = (model.tensors_sha256 or model.sha256) if model else result.cell.model
    fields: list[tuple[str, object]] = [
        ("kind", kind(result)),
        ("model weights", weights),
        ("measurement", result.cell.test.measurement),
        ("n_parallel", result.cell.test.n_parallel),
        ("against", result.cell.test.against),
        ("prompts", result.cell.test.prompts),
        ("draft", result.cell.test.draft),
        ("page cache", "cold" if result.cell.test.cold else "warm"),
        ("n_prompt", result.cell.test.n_prompt),
        ("n_gen", result.cell.test.n_gen),
        ("n_depth", result.cell.test.n_depth),
        ("sustained", result.cell.test.sustained_s),
        ("beside", beside(result.cell)),
    ]
    mode = result.cell.params.get("split_mode")
    split = result.n_devices > 1 and mode != "none"
    fields += [("devices", result.n_devices if split else 1), ("split_mode", mode or ("layer" if split else None))]
    ranked = _RANKED_ON_A_CPU if result.cell.backend == "cpu" else _RANKED
    params = result.cell.params
    fields += [(name, _effective(result, name) if name in _MEANT else params.get(name)) for name in ranked]
    return tuple(fields)


def _effective(result: CellResult, name: str) -> object:
    """What a parameter comes to: other numbers can mean the same, and `auto` means what was chosen."""
    value = result.cell.params.get(name)
    if name == "flash_attn" and value == "auto" and result.log is not None and result.log.flash_attn is not None:
        return int(result.log.flash_attn)
    if name == "n_gpu_layers" and isinstance(value, int):
        layers = result.model.n_layers if result.model else None
        # The output layer is one more; 99 is what is passed to mean all, -1 what new builds call all.
        everything = value < 0 or (value > layers if layers is not None else value >= ALL_LAYERS)
        return "all" if everything else value
    return value


def differences(first: CellResult, second: CellResult) -> tuple[str, ...]:
    """The names of the fields that forbid ranking two results against each other; empty where they may be."""
    a, b = dict(comparability_key(first)), dict(comparability_key(second))
    return tuple(name for name in {**a, **b} if a.get(name) != b.get(name))


def proof_of(result: CellResult) -> Proof:
    """The weakest of a result's checks: unobservable where there is none."""
    proofs = {check.proof for check in result.checks}
    if Proof.CONTRADICTED in proofs:
        return Proof.CONTRADICTED
    return Proof.UNOBSERVABLE if not proofs or Proof.UNOBSERVABLE in proofs else Proof.PROVEN
