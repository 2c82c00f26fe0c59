"""How much memory a model takes, before it is there: from its header to weights, KV cache, compute buffers, the rest.

Each part follows the code of llama.cpp b11312 (see `docs/fit.md`), so that its buffers, which its verbose log prints,
are exact targets; `benchmarks/fit_error.py` measures how far the whole is off.
"""
