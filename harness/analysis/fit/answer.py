"""What `invoke fit` answers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.fit.context import Context
from harness.analysis.fit.error import MeasuredError
from harness.analysis.fit.predict import Prediction
from harness.values.model_shape import ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Longest:
    """The longest context for a type of KV cache; None where none fits, or where this type is not possible."""

    kv_type: str
    n_ctx: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedModel:
    """One of the models that are to be there, in its context."""

    name: str
    shape: ModelShape
    n_params: int
    file_type: str
    context: Context
    prediction: Prediction
    needed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The answer.

    Attributes:
        memory_bytes: of the device, on a CPU of the host. memory_source: where that figure is from.
        models: the one that was asked for, then those beside it.
        longest: contexts of the first, with the others beside it.
        offload: the most layers of the first that fit, the output counted as one; None on a CPU, and where none does.
        error: how far such predictions were off.
    """

    backend: str
    memory_bytes: int
    memory_source: str
    models: tuple[FittedModel, ...]
    longest: tuple[Longest, ...]
    offload: int | None
    error: MeasuredError | None

    @property
    def needed_bytes(self) -> int:
        """Of the memory, by all models together."""
        return sum(model.needed_bytes for model in self.models)

    @property
    def fits(self) -> bool:
        """Whether they do."""
        return self.needed_bytes <= self.memory_bytes
