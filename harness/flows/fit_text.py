"""The words of `invoke fit`."""

from __future__ import annotations

from harness.analysis.fit.answer import Fit, FittedModel
from harness.analysis.fit.predict import bytes_per_context_token
from harness.flows.tables import columns, size
from harness.values.backend import BACKENDS

_BILLION = 1e9


def fit_text(answer: Fit) -> str:
    """Everything, as text."""
    title = BACKENDS[answer.backend].title
    lines = [f"{title}, {size(answer.memory_bytes)} of memory ({answer.memory_source})"]
    for model in answer.models:
        lines += ["", *_model(model, gpu=BACKENDS[answer.backend].is_gpu)]
    lines += ["", _verdict(answer), *_longest(answer), *_offload(answer), "", _error(answer)]
    return "\n".join(lines)


def _model(model: FittedModel, *, gpu: bool) -> list[str]:
    shape, context = model.shape, model.context
    parts = model.prediction.parts
    kinds = context.type_k if context.type_k == context.type_v else f"{context.type_k}/{context.type_v}"
    head = (
        f"{model.name}: {shape.architecture}, {model.n_params / _BILLION:.3g}B parameters, {model.file_type or '?'}, "
        f"{shape.n_layers} layers; {context.n_ctx} tokens of context, KV cache {kinds}, flash attention "
        f"{'on' if context.flash_attn else 'off'}, micro-batch {context.n_ubatch}"
    )
    if gpu:
        offloaded = min(context.n_gpu_layers, shape.n_layers + 1)
        head += f", {offloaded} of {shape.n_layers + 1} layers on the device"
        rows = [(p.name, size(p.device) if p.device else "-", size(p.host) if p.host else "-") for p in parts]
        rows.append(("together", size(model.prediction.device), size(model.prediction.host)))
        table = columns(("part", "device", "host"), rows)
    else:
        rows_host = [(p.name, size(p.host)) for p in parts if p.host]
        rows_host.append(("together", size(model.prediction.host)))
        table = columns(("part", "memory"), rows_host)
    more = [f"Another 1024 tokens of context take {size(1024 * bytes_per_context_token(shape, context))}."]
    if shape.context_length and context.n_ctx > shape.context_length:
        more.append(f"It was trained for {shape.context_length} tokens only.")
    if not shape.graph_known:
        more.append(f"The compute buffer of {shape.architecture} is approximated by that of a plain transformer.")
    return [head, table, *more]


def _verdict(answer: Fit) -> str:
    left = answer.memory_bytes - answer.needed_bytes
    together = " together" if len(answer.models) > 1 else ""
    if answer.fits:
        return f"Fits{together}: {size(answer.needed_bytes)} of {size(answer.memory_bytes)}, {size(left)} are left."
    return (
        f"Does not fit{together}: {size(answer.needed_bytes)} are needed, {size(-left)} more than "
        f"{size(answer.memory_bytes)}."
    )


def _longest(answer: Fit) -> list[str]:
    beside = " beside the others" if len(answer.models) > 1 else ""
    limit = answer.models[0].shape.context_length
    found = []
    for each in answer.longest:
        if each.n_ctx is None:
            found.append((each.kv_type, "none fits"))
        else:
            full = ", all that it was trained for" if limit and each.n_ctx >= limit else ""
            found.append((each.kv_type, f"{each.n_ctx} tokens{full}"))
    return ["", columns(("KV cache", f"longest context of {answer.models[0].name}{beside}"), found)] if found else []


def _offload(answer: Fit) -> list[str]:
    if not BACKENDS[answer.backend].is_gpu:
        return []
    shape = answer.models[0].shape
    if answer.offload is None:
        return ["No layer fits on the device with this context."]
    everything = answer.offload >= shape.n_layers + 1
    words = "all layers fit" if everything else f"at most {answer.offload} of {shape.n_layers + 1} layers fit"
    return [f"With this context {words}: -ngl {99 if everything else answer.offload}."]


def _error(answer: Fit) -> str:
    found = answer.error
    if found is None:
        return "Predicted, not measured. How far such predictions are off has not been measured yet."
    text = (
        f"Predicted, not measured. On the {BACKENDS[found.backend].title} such predictions of the peak were off by "
        f"{100 * found.median:.1f} % (median of {found.combinations} runs of "
        f"{found.build} with one test each; worst {100 * found.worst:.1f} %). They are too high for a test at a depth "
        "that another test of the same run has filled."
    )
    backend = BACKENDS[answer.backend]
    if backend.is_gpu:
        text += (
            f" On a card it has not been measured: {size(backend.overhead_bytes)} for driver and libraries are assumed."
        )
    return text + " See docs/fit.md."
