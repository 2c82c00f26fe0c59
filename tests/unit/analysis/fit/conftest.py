import pytest

from harness.artifacts.model_header import recipe_header
from harness.artifacts.synthetic_recipe import parse_recipe
from harness.formats.gguf_shape import read_shape
from harness.values.model_shape import ModelShape


@pytest.fixture(scope="session")
def llama2_7b() -> ModelShape:
    recipe = {
        "architecture": "llama",
        "n_layers": 32,
        "n_embd": 4096,
        "n_ff": 11008,
        "n_heads": 32,
        "n_kv_heads": 32,
        "n_vocab": 32000,
        "n_ctx": 4096,
        "quantization": "Q4_0",
        "seed": 1,
    }
    return read_shape(recipe_header(parse_recipe(recipe, where="test")))
