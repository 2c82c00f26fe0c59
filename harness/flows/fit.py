"""`invoke fit`: does it fit? From a model's header alone, before any weights are fetched; nothing is run."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

from harness.analysis.fit.answer import Fit, FittedModel, Longest
from harness.analysis.fit.context import Context
from harness.analysis.fit.error import measured_error
from harness.analysis.fit.predict import largest_context, largest_offload, needed, predict
from harness.analysis.memory import cpu_kind
from harness.artifacts.model_header import header_of
from harness.errors import InputError
from harness.flows.console import Display
from harness.flows.fit_models import find_model
from harness.flows.fit_request import FitRequest, asked_backend, asked_context, asked_memory, every_layer
from harness.flows.fit_text import fit_text
from harness.flows.workspace import Workspace, find_workspace
from harness.formats.gguf_shape import read_shape
from harness.machine.facts import cpu_flags
from harness.values.backend import BACKENDS

SHOWN_TYPES = ("f16", "q8_0", "q4_0")
MOST_BESIDE = 8


def show_fit(request: FitRequest, *, as_json: bool = False, display: Display | None = None) -> None:
    """Print what a model takes and whether it fits.

    Raises:
        InputError: a mistake on the command line, or no such model. ArtifactError: its header cannot be had.
    """
    display = display or Display()
    answer = fit(request, find_workspace())
    if as_json:
        facts = asdict(answer) | {"needed_bytes": answer.needed_bytes, "fits": answer.fits}
        display.say(json.dumps(facts, indent=1))
        return
    display.say(fit_text(answer))


def fit(request: FitRequest, workspace: Workspace) -> Fit:
    """Whether a model fits, with what else is there.

    Raises:
        InputError: a mistake on the command line, or no such model. ArtifactError: its header cannot be had.
    """
    backend = asked_backend(request)
    memory, source = asked_memory(request.memory, backend)
    asked = asked_context(request, backend)
    cpu = cpu_kind(cpu_flags())
    first = _model(request.model, asked, backend=backend, cpu=cpu, workspace=workspace)
    if len(request.beside) > MOST_BESIDE:
        raise InputError(f"are {len(request.beside)} models", where="--with", remedy=f"Name {MOST_BESIDE} at most.")
    others = [
        _model(
            name,
            replace(asked, n_gpu_layers=every_layer(backend), n_cpu_moe=0),
            backend=backend,
            cpu=cpu,
            workspace=workspace,
        )
        for name in request.beside
    ]
    beside = sum(model.needed_bytes for model in others)
    types = dict.fromkeys((first.context.type_k, *SHOWN_TYPES)) if not request.kv_type_v else {asked.type_k: None}
    longest = tuple(
        Longest(
            kv_type=kind,
            n_ctx=largest_context(
                first.shape,
                replace(first.context, type_k=kind, type_v=request.kv_type_v or kind),
                memory,
                backend=backend,
                cpu=cpu,
                beside=beside,
            ),
        )
        for kind in types
        if asked.flash_attn or kind in {"f16", "bf16"}
    )
    gpu = BACKENDS[backend].is_gpu
    offload = largest_offload(first.shape, first.context, memory, backend=backend, cpu=cpu, beside=beside)
    return Fit(
        backend=backend,
        memory_bytes=memory,
        memory_source=source,
        models=(first, *others),
        longest=longest,
        offload=offload if gpu else None,
        error=measured_error(),
    )


def _model(name: str, asked: Context, *, backend: str, cpu: str, workspace: Workspace) -> FittedModel:
    stem, _, n_ctx = name.rpartition("@") if re.search(r"@[0-9]{1,8}$", name) else (name, "", "")
    context = replace(asked, n_ctx=int(n_ctx)) if n_ctx and int(n_ctx) else asked
    source, base = find_model(stem, workspace)
    header = header_of(source, cache=workspace.cache, base=base)
    shape = read_shape(header)
    prediction = predict(shape, context, backend=backend, cpu=cpu)
    return FittedModel(
        name=stem,
        shape=shape,
        n_params=header.n_params,
        file_type=header.file_type or "",
        context=context,
        prediction=prediction,
        needed_bytes=needed(prediction, backend=backend),
    )
