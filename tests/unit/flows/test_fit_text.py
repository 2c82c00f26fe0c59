"""The words of `invoke fit`: what its own error holds for."""

from harness.analysis.fit.answer import Fit, FittedModel
from harness.analysis.fit.context import Context
from harness.analysis.fit.error import MeasuredError
from harness.analysis.fit.predict import predict
from harness.artifacts.model_header import recipe_header
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.flows.fit_text import fit_text
from harness.formats.gguf_shape import read_shape

RECIPE = {
    "architecture": "llama", "n_layers": 2, "n_embd": 256, "n_ff": 512, "n_heads": 4, "n_kv_heads": 4,
    "n_vocab": 1000, "n_ctx": 512, "quantization": "Q4_0", "seed": 1,
}  # fmt: skip
ERROR = MeasuredError(
    backend="cpu", build="b11312", date="2026-11-25", combinations=13, median=0.0138, worst=0.0488, within_5_percent=13
)


def test_the_error_is_given_with_what_it_was_measured_on() -> None:
    shape, context = read_shape(recipe_header(parse_recipe(RECIPE, where="test"))), Context(n_ctx=512)
    found = predict(shape, context, backend="cpu")
    model = FittedModel(
        name="small", shape=shape, n_params=1, file_type="Q4_0", context=context, prediction=found, needed_bytes=1
    )
    answer = Fit(
        backend="cpu", memory_bytes=2**30, memory_source="asked", models=(model,), longest=(), offload=None, error=ERROR
    )
    last = fit_text(answer).splitlines()[-1]
    assert "1.4 % (median of 13 runs of b11312 with one test each; worst 4.9 %)" in last
    assert "another test of the same run has filled" in last
