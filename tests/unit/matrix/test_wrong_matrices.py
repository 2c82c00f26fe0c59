# ruff: noqa: E501 - a message stands on one line, as users see it
"""Wrong matrix files, each with exactly the lines that its author sees."""

from pathlib import Path

import pytest

from harness.errors import ProblemsError
from harness.matrix.load import load_matrix
from harness.values.matrix import ModelSource

REGISTRY = {
    name: ModelSource(name=name, kind="synthetic", recipe={})
    for name in ("gemma3-270m-q4_k_m", "synthetic-17m-q4_0", "synthetic-117m-q4_0", "synthetic-7b-q4_0")
}

# An entry that is right, for mistakes in other places.
CELL = "cells:\n  - backend: cpu\n    model: gemma3-270m-q4_k_m\n"
CUDA = CELL.replace("cpu", "cuda")
HASH = "a" * 64
COMMIT = "a" * 40

WRONG: dict[str, tuple[str, list[str]]] = {
    "typo_backend": (
        "cells:\n  - backend: cudda\n    model: gemma3-270m-q4_k_m\n",
        [
            "x.yaml:2:14: $.cells[0].backend: 'cudda' is not one of cpu, cuda, rocm, vulkan. Did you mean 'cuda'?",
        ],
    ),
    "upper_backend": (
        "cells:\n  - backend: CUDA\n    model: gemma3-270m-q4_k_m\n",
        [
            "x.yaml:2:14: $.cells[0].backend: 'CUDA' is not one of cpu, cuda, rocm, vulkan. Did you mean 'cuda'?",
        ],
    ),
    "list_backend": (
        "cells:\n  - backend: [cpu]\n    model: gemma3-270m-q4_k_m\n",
        [
            "x.yaml:2:14: $.cells[0].backend: must be one of cpu, cuda, rocm, vulkan, not a list",
        ],
    ),
    "typo_key": (
        "cells:\n  - backend: cpu\n    modle: gemma3-270m-q4_k_m\n",
        [
            "x.yaml:3:5: $.cells[0].modle: unknown key 'modle'. Did you mean 'model'?",
        ],
    ),
    "short_keys": (
        CELL + "    fa: 1\n    ngl: 99\n    ctk: q8_0\n",
        [
            "x.yaml:4:5: $.cells[0].fa: unknown key 'fa'. Did you mean 'flash_attn'?",
            "x.yaml:5:5: $.cells[0].ngl: unknown key 'ngl'. Did you mean 'n_gpu_layers'?",
            "x.yaml:6:5: $.cells[0].ctk: unknown key 'ctk'. Did you mean 'type_k'?",
        ],
    ),
    "unknown_key": (
        CELL + "    flavour: x\n",
        [
            "x.yaml:4:5: $.cells[0].flavour: unknown key 'flavour'. Known here: backend, image, model, device, label, measure, tests, n_prompt, n_gen, pg, n_depth, parallel, page_cache, sustained, against, beside, beside_load, prompts, draft, timeout, n_gpu_layers, flash_attn, n_batch, n_ubatch, type_k, type_v, load_mode, n_threads, n_cpu_moe, split_mode, main_gpu, no_kv_offload, tensor_split, tensor_buft_overrides, no_op_offload, no_host, repack, embeddings, cpu_mask, cpu_strict, poll, power_limit_w",
        ],
    ),
    "sustained_no_time": (
        CELL + "    sustained: 10\n",
        ["x.yaml:4:16: $.cells[0].sustained: must be a time such as 10m, 90s or 1h or a list of these, not 10"],
    ),
    "sustained_too_short": (
        CELL + "    sustained: [5s, 7h]\n",
        [
            "x.yaml:4:16: $.cells[0].sustained: 5s is out of range: 10s to 6h",
            "x.yaml:4:16: $.cells[0].sustained: 7h is out of range: 10s to 6h",
        ],
    ),
    "sustained_of_a_server": (
        CELL + "    measure: latency\n    sustained: 10m\n",
        ["x.yaml:5:16: $.cells[0].sustained: means nothing with `measure: latency`; remove it"],
    ),
    "top_unknown": (
        "colour: red\n" + CELL,
        [
            "x.yaml:1:1: $.colour: unknown key 'colour'. Known here: name, title, notes, preset, rounds, until, repetitions, seed, memory, price, images, models, cells, include, exclude",
        ],
    ),
    "top_typo": (
        "presset: quick\n" + CELL,
        [
            "x.yaml:1:1: $.presset: unknown key 'presset'. Did you mean 'preset'?",
        ],
    ),
    "missing_model": (
        "cells:\n  - backend: cpu\n",
        [
            "x.yaml:2:5: $.cells[0]: the key 'model' is missing",
        ],
    ),
    "missing_both": (
        "cells:\n  - n_gen: 1\n",
        [
            "x.yaml:2:5: $.cells[0]: the key 'backend' is missing",
            "x.yaml:2:5: $.cells[0]: the key 'model' is missing",
        ],
    ),
    "no_cells": (
        "title: x\n",
        [
            "x.yaml:1:1: $: the key 'cells' is missing",
        ],
    ),
    "empty": (
        "",
        [
            "x.yaml: is empty: a matrix file has at least `cells`",
        ],
    ),
    "comment_only": (
        "# x\n",
        [
            "x.yaml: is empty: a matrix file has at least `cells`",
        ],
    ),
    "scalar_file": (
        "hello\n",
        [
            "x.yaml:1:1: $: must be a mapping of keys to values, not 'hello'",
        ],
    ),
    "list_file": (
        "- a\n",
        [
            "x.yaml:1:1: $: must be a mapping of keys to values, not a list",
        ],
    ),
    "cells_mapping": (
        "cells: {backend: cpu}\n",
        [
            "x.yaml:1:8: $.cells: must be a list, not a mapping",
        ],
    ),
    "cells_empty": (
        "cells: []\n",
        [
            "x.yaml:1:8: $.cells: must not be empty",
        ],
    ),
    "cells_null": (
        "cells:\n",
        [
            "x.yaml:1:7: $.cells: must be a list, not nothing",
        ],
    ),
    "cell_text": (
        "cells:\n  - cpu\n",
        [
            "x.yaml:2:5: $.cells[0]: must be a mapping of keys to values, not 'cpu'",
        ],
    ),
    "unknown_model": (
        "cells:\n  - backend: cpu\n    model: gemma3-270m\n",
        [
            "x.yaml:3:12: $.cells[0].model: 'gemma3-270m' is no model: neither in `models` here nor in matrices/models.yaml. Did you mean 'gemma3-270m-q4_k_m'?",
        ],
    ),
    "unknown_model2": (
        "cells:\n  - backend: cpu\n    model: [gemma3-270m-q4_k_m, qwen]\n",
        [
            "x.yaml:3:33: $.cells[0].model[1]: 'qwen' is no model: neither in `models` here nor in matrices/models.yaml. Known: gemma3-270m-q4_k_m, synthetic-17m-q4_0, synthetic-117m-q4_0, synthetic-7b-q4_0",
        ],
    ),
    "unknown_image": (
        CELL + "    image: ofical\nimages:\n  official: {ref: x/y:z}\n",
        [
            "x.yaml:4:12: $.cells[0].image: 'ofical' is no image: neither in `images` here nor a backend's name. Did you mean 'official'?",
        ],
    ),
    "unknown_image2": (
        CELL + "    image: zzz\n",
        [
            "x.yaml:4:12: $.cells[0].image: 'zzz' is no image: neither in `images` here nor a backend's name. Known: cpu, cuda, rocm, vulkan",
        ],
    ),
    "image_both": (
        "images:\n  x: {build: cpu, ref: a/b}\n" + CELL,
        [
            "x.yaml:2:6: $.images.x: must have exactly one of the keys build, ref, not build and ref together",
        ],
    ),
    "image_none": (
        "images:\n  x: {}\n" + CELL,
        [
            "x.yaml:2:6: $.images.x: must have exactly one of the keys build, ref",
        ],
    ),
    "image_typo": (
        "images:\n  x: {biuld: cpu}\n" + CELL,
        [
            "x.yaml:2:7: $.images.x.biuld: unknown key 'biuld'. Did you mean 'build'?",
        ],
    ),
    "architectures_of_a_pulled_image": (
        "images:\n  x: {ref: 'a/b:c', architectures: [sm_89]}\n" + CELL,
        [
            "x.yaml:2:21: $.images.x.architectures: 'architectures' needs 'build' beside it",
        ],
    ),
    "architectures_wrong": (
        "images:\n  x: {build: cuda, architectures: ['8.9']}\n" + CELL,
        [
            "x.yaml:2:36: $.images.x.architectures[0]: '8.9' is not a GPU architecture such as sm_89 or gfx1100",
        ],
    ),
    "architectures_text": (
        "images:\n  x: {build: cuda, architectures: sm_89}\n" + CELL,
        [
            "x.yaml:2:35: $.images.x.architectures: must be a list of the GPU architectures to compile for, such as [sm_89], not 'sm_89'",
        ],
    ),
    "image_text": (
        "images:\n  x: cpu\n" + CELL,
        [
            "x.yaml:2:6: $.images.x: must be a mapping of keys to values, not 'cpu'",
        ],
    ),
    "preset": (
        "preset: standart\n" + CELL,
        [
            "x.yaml:1:9: $.preset: 'standart' is not one of quick, standard, rigorous, until. Did you mean 'standard'?",
        ],
    ),
    "rounds_zero": (
        "rounds: 0\n" + CELL,
        [
            "x.yaml:1:9: $.rounds: 0 is too small: at least 1",
        ],
    ),
    "until_without_percent": (
        "until: 0.01\n" + CELL,
        [
            "x.yaml:1:8: $.until: must be a width in percent such as 1% or 0.5%, not 0.01",
        ],
    ),
    "until_text": (
        "until: narrow\n" + CELL,
        [
            "x.yaml:1:8: $.until: 'narrow' is not a width in percent such as 1% or 0.5%",
        ],
    ),
    "until_out_of_range": (
        "until: 0.05%\n" + CELL,
        [
            "x.yaml:1:8: $.until: 0.05% is out of range: 0.1% to 20%",
        ],
    ),
    "until_with_rounds": (
        "until: 1%\nrounds: 10\n" + CELL,
        [
            "x.yaml:2:9: $.rounds: with `until` the widths decide, after 8, 12, 16, 20 rounds; remove one of the two",
        ],
    ),
    "until_with_quick": (
        "preset: quick\nuntil: 1%\n" + CELL,
        [
            "x.yaml:1:9: $.preset: 'quick' has one round and no interval for `until`; use standard, rigorous or until",
        ],
    ),
    "rounds_text": (
        "rounds: many\n" + CELL,
        [
            "x.yaml:1:9: $.rounds: must be a whole number, not 'many'",
        ],
    ),
    "rounds_quoted": (
        'rounds: "6"\n' + CELL,
        [
            "x.yaml:1:9: $.rounds: must be a whole number, not '6'; write it without quotes",
        ],
    ),
    "rounds_float": (
        "rounds: 1.5\n" + CELL,
        [
            "x.yaml:1:9: $.rounds: must be a whole number, not 1.5",
        ],
    ),
    "repetitions": (
        "repetitions: 1\n" + CELL,
        [
            "x.yaml:1:14: $.repetitions: 1 is too small: at least 2",
        ],
    ),
    "memory": (
        "memory: 8GB\n" + CELL,
        [
            "x.yaml:1:9: $.memory: '8GB' is not a size such as 8GiB or 512MiB",
        ],
    ),
    "memory_num": (
        "memory: 8\n" + CELL,
        [
            "x.yaml:1:9: $.memory: must be a size such as 8GiB or 512MiB, not 8",
        ],
    ),
    "memory_large": (
        "memory: 999999999999TiB\n" + CELL,
        [
            "x.yaml:1:9: $.memory: '999999999999TiB' is too large for a size such as 8GiB or 512MiB",
        ],
    ),
    "memory_small": (
        "memory: 32MiB\n" + CELL,
        [
            "x.yaml:1:9: $.memory: less than 64MiB is too little for any model",
        ],
    ),
    "name": (
        "name: my report\n" + CELL,
        [
            "x.yaml:1:7: $.name: 'my report' is not a name of letters, digits, '.', '_' and '-', at most 64 of them, beginning with a letter or digit",
        ],
    ),
    "name_num": (
        "name: 1.10\n" + CELL,
        [
            'x.yaml:1:7: $.name: must be text, but 1.10 without quotes is a number: quote it: "1.10"',
        ],
    ),
    "title_on": (
        "title: on\n" + CELL,
        [
            'x.yaml:1:8: $.title: on is a boolean for some readers and text for others: write true, or quote it: "on"',
        ],
    ),
    "test_name": (
        CELL + "    tests: [pp 512]\n",
        [
            "x.yaml:4:13: $.cells[0].tests[0]: 'pp 512' is not a test such as pp512, tg128 or pp512+tg128 (depths are given by n_depth)",
        ],
    ),
    "test_large": (
        CELL + "    tests: [tg999999999, pp0]\n",
        [
            "x.yaml:4:13: $.cells[0].tests[0]: 'tg999999999' is too large for a test such as pp512, tg128 or pp512+tg128 (depths are given by n_depth)",
            "x.yaml:4:26: $.cells[0].tests[1]: 'pp0' is not a test such as pp512, tg128 or pp512+tg128 (depths are given by n_depth)",
        ],
    ),
    "test_depth": (
        CELL + "    tests: pp512@d4096\n",
        [
            "x.yaml:4:12: $.cells[0].tests: 'pp512@d4096' is not a test such as pp512, tg128 or pp512+tg128 (depths are given by n_depth)",
        ],
    ),
    "test_num": (
        CELL + "    tests: [512]\n",
        [
            "x.yaml:4:13: $.cells[0].tests[0]: must be a test such as pp512, tg128 or pp512+tg128 (depths are given by n_depth), not 512",
        ],
    ),
    "tests_map": (
        CELL + "    tests: {pp: 512}\n",
        [
            "x.yaml:4:12: $.cells[0].tests: must be a test such as pp512, tg128 or pp512+tg128 (depths are given by n_depth) or a list of these, not a mapping",
        ],
    ),
    "pg": (
        CELL + "    pg: [512, 128]\n",
        [
            "x.yaml:4:10: $.cells[0].pg[0]: must be a pair [prompt tokens, generated tokens], not 512",
            "x.yaml:4:15: $.cells[0].pg[1]: must be a pair [prompt tokens, generated tokens], not 128",
        ],
    ),
    "pg3": (
        CELL + "    pg: [[512, 128, 1]]\n",
        [
            "x.yaml:4:10: $.cells[0].pg[0]: is too long: 3, at most 2",
        ],
    ),
    "n_prompt_zero": (
        CELL + "    n_prompt: 0\n",
        [
            "x.yaml:4:15: $.cells[0].n_prompt: 0 is too small: at least 1",
        ],
    ),
    "n_prompt_range": (
        CELL + "    n_prompt: 1-4\n",
        [
            "x.yaml:4:15: $.cells[0].n_prompt: must be a whole number or a list of these, not '1-4'",
        ],
    ),
    "depth_neg": (
        CELL + "    n_depth: [0, -1]\n",
        [
            "x.yaml:4:18: $.cells[0].n_depth[1]: -1 is too small: at least 0",
        ],
    ),
    "fa": (
        CELL + "    flash_attn: [0, 2]\n",
        [
            "x.yaml:4:21: $.cells[0].flash_attn[1]: 2 is not one of 0, 1, auto.",
        ],
    ),
    "fa_on": (
        CELL + "    flash_attn: on\n",
        [
            'x.yaml:4:17: $.cells[0].flash_attn: on is a boolean for some readers and text for others: write true, or quote it: "on"',
        ],
    ),
    "fa_q": (
        CELL + "    flash_attn: '1'\n",
        [
            "x.yaml:4:17: $.cells[0].flash_attn: '1' is not one of 0, 1, auto. Write it without quotes.",
        ],
    ),
    "type_k": (
        CELL + "    type_k: q8\n",
        [
            "x.yaml:4:13: $.cells[0].type_k: 'q8' is not one of f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl. Did you mean 'q8_0'?",
        ],
    ),
    "ngl_neg": (
        CUDA + "    n_gpu_layers: -1\n",
        [
            "x.yaml:4:19: $.cells[0].n_gpu_layers: -1 is too small: at least 0",
        ],
    ),
    "ngl_cpu": (
        CELL + "    n_gpu_layers: 99\n",
        [
            "x.yaml:4:19: $.cells[0].n_gpu_layers: cpu offloads no layers; leave `n_gpu_layers` out",
        ],
    ),
    "empty_list": (
        CELL + "    n_batch: []\n",
        [
            "x.yaml:4:14: $.cells[0].n_batch: must not be empty",
        ],
    ),
    "ubatch": (
        CELL + "    n_batch: 256\n    n_ubatch: [128, 512]\n",
        [
            "x.yaml:5:15: $.cells[0].n_ubatch: 512 is more than n_batch, which is 256 in cpu/gemma3-270m-q4_k_m/pp512/b256,ub512",
        ],
    ),
    "dup_value": (
        CELL + "    n_batch: [256, 512, 256]\n",
        [
            "x.yaml:4:25: $.cells[0].n_batch[2]: 256 stands twice in this list; remove one",
        ],
    ),
    "dup_bool": (
        CELL + "    no_host: [1, true]\n",
        [
            "x.yaml:4:18: $.cells[0].no_host[1]: 1 stands twice in this list; remove one",
        ],
    ),
    "dup_test": (
        CELL + "    tests: [pp512]\n    n_prompt: 512\n",
        [
            "x.yaml:2:5: $.cells[0]: gives the cell cpu/gemma3-270m-q4_k_m/pp512 twice; name each test and each value once",
        ],
    ),
    "dup_cells": (
        CELL + "  - backend: cpu\n    model: [synthetic-17m-q4_0, gemma3-270m-q4_k_m]\n",
        [
            "x.yaml:4:5: $.cells[1]: gives the cell cpu/gemma3-270m-q4_k_m/pp512, as does $.cells[0] at 2:5; remove one or add a `label`",
        ],
    ),
    "dev_cpu": (
        CELL + "    device: 0\n",
        [
            "x.yaml:4:13: $.cells[0].device: cpu has no devices to choose from; leave `device` out",
        ],
    ),
    "dev_soft": (
        CUDA + "    device: Software\n",
        [
            "x.yaml:4:13: $.cells[0].device: only vulkan has a software device, cuda has none",
        ],
    ),
    "dev_half": (
        CUDA + "    device: '0+'\n",
        [
            "x.yaml:4:13: $.cells[0].device: '0+' lacks a device beside a `+`; name one on each side, as in \"0+1\"",
        ],
    ),
    "dev_word": (
        CUDA + "    device: [0, 'Software + 1']\n",
        [
            'x.yaml:4:17: $.cells[0].device[1]: `Software` cannot be one of several; name each device, as in "0+1", or write `device: all`',
        ],
    ),
    "dev_twice": (
        CUDA + "    device: '1+0+1'\n",
        [
            "x.yaml:4:13: $.cells[0].device: '1+0+1' names 1 twice; name each device once",
        ],
    ),
    "shares": (
        CUDA + "    device: '0+1'\n    tensor_split: '3/1/1'\n",
        [
            'x.yaml:5:19: $.cells[0].tensor_split: 3 shares for 2 devices in cuda@0+1/gemma3-270m-q4_k_m/pp512/ts3:1:1; name several, as in `device: "0+1"` or `device: all`',
        ],
    ),
    "main_gpu": (
        CUDA + "    main_gpu: 1\n",
        [
            'x.yaml:4:15: $.cells[0].main_gpu: 1 counts from 0, and there is 1 in cuda/gemma3-270m-q4_k_m/pp512/mg1; name several, as in `device: "0+1"` or `device: all`',
        ],
    ),
    "dev_alias": (
        CUDA + "    device: *RTX 4090*\n",
        [
            "x.yaml:4:13: '*' begins an alias, which is not accepted: quote text that begins with '*'",
        ],
    ),
    "dev_pci": (
        CUDA + "    device: 0000:01:00.0\n",
        [
            'x.yaml:4:13: $.cells[0].device: 0000:01:00.0 is a number in base 60 for some readers: quote it: "0000:01:00.0"',
        ],
    ),
    "tsplit": (
        CUDA + "    tensor_split: 1\n",
        [
            'x.yaml:4:19: $.cells[0].tensor_split: must be text without commas (for several values, write a list) or a list of these, not 1; quote it: "1"',
        ],
    ),
    "tsplit2": (
        CUDA + "    tensor_split: '3/1,1/1'\n",
        [
            "x.yaml:4:19: $.cells[0].tensor_split: '3/1,1/1' is not text without commas (for several values, write a list)",
        ],
    ),
    "mask": (
        CELL + "    cpu_mask: 0x3\n",
        [
            'x.yaml:4:15: $.cells[0].cpu_mask: 0x3 is a number for some readers; write it in decimal, or quote it: "0x3"',
        ],
    ),
    "label": (
        CELL + "    label: a b\n",
        [
            "x.yaml:4:12: $.cells[0].label: 'a b' is not a name of letters, digits, '.', '_' and '-', at most 64 of them, beginning with a letter or digit",
        ],
    ),
    "timeout": (
        CELL + "    timeout: 0\n",
        [
            "x.yaml:4:14: $.cells[0].timeout: 0 is too small: more than 0",
        ],
    ),
    "timeout_t": (
        CELL + "    timeout: 5min\n",
        [
            "x.yaml:4:14: $.cells[0].timeout: must be a number, not '5min'",
        ],
    ),
    "include": (
        CELL + "include: [cpu/*, gpu/*]\n",
        [
            "x.yaml:4:18: $.include[1]: 'gpu/*' matches no cell; cells look like 'cpu/gemma3-270m-q4_k_m/pp512'",
        ],
    ),
    "include1": (
        CELL + "include: cuda/*\n",
        [
            "x.yaml:4:10: $.include: 'cuda/*' matches no cell; cells look like 'cpu/gemma3-270m-q4_k_m/pp512'",
        ],
    ),
    "exclude_all": (
        CELL + "exclude: ['*']\n",
        [
            "x.yaml:4:10: $.exclude: no cell is left; `invoke plan` shows the cells and their ids",
        ],
    ),
    "too_many": (
        CELL + f"    n_batch: {[512 + i for i in range(101)]}\n    n_threads: {[1 + i for i in range(100)]}\n",
        [
            "x.yaml:2:5: $.cells[0]: these lists cross to 20,200 cells, 20,200 in the file; at most 10,000 are run",
        ],
    ),
    "no_parameter": (
        CELL + "    rpc: 'h:1'\n",
        [
            "x.yaml:4:5: $.cells[0].rpc: unknown key 'rpc'. Did you mean 'repack'?",
        ],
    ),
    "a_billion": (
        CELL + "".join(f"    {name}: {list(range(1, 1001))}\n" for name in ("n_batch", "n_threads", "n_depth")),
        [
            "x.yaml:2:5: $.cells[0]: these lists cross to 2,000,000,000 cells, 2,000,000,000 in the file; at most 10,000 are run",
        ],
    ),
    "model_none": (
        "models:\n  m: {sha256: " + HASH + "}\n" + CELL,
        [
            "x.yaml:2:6: $.models.m: must have exactly one of the keys file, huggingface, packages, synthetic",
        ],
    ),
    "model_two": (
        "models:\n  m: {file: a.gguf, huggingface: a/b, revision: "
        + COMMIT
        + ", filename: x.gguf, sha256: "
        + HASH
        + "}\n"
        + CELL,
        [
            "x.yaml:2:6: $.models.m: must have exactly one of the keys file, huggingface, packages, synthetic, not file and huggingface together",
        ],
    ),
    "model_rev": (
        "models:\n  m: {huggingface: a/b, revision: main, filename: x.gguf, sha256: " + HASH + "}\n" + CELL,
        [
            "x.yaml:2:35: $.models.m.revision: 'main' is not a commit of 40 hexadecimal digits (branches and tags move)",
        ],
    ),
    "model_missing": (
        "models:\n  m: {huggingface: a/b}\n" + CELL,
        [
            "x.yaml:2:7: $.models.m.huggingface: 'huggingface' needs 'revision' and 'filename' and 'sha256' beside it",
        ],
    ),
    "model_sha": (
        "models:\n  m: {file: a.gguf, sha256: abc}\n" + CELL,
        [
            "x.yaml:2:29: $.models.m.sha256: 'abc' is not a SHA-256 of 64 hexadecimal digits",
        ],
    ),
    "model_dotdot": (
        "models:\n  m: {huggingface: a/b, revision: "
        + COMMIT
        + ", filename: ../x.gguf, sha256: "
        + HASH
        + "}\n"
        + CELL,
        [
            "x.yaml:2:87: $.models.m.filename: '../x.gguf' is not a path of a file within its source, with '/' between folders and without '..'",
        ],
    ),
    "model_clash": (
        "models:\n  synthetic-17m-q4_0: {file: a.gguf}\n" + CELL,
        [
            "x.yaml:2:3: $.models['synthetic-17m-q4_0']: 'synthetic-17m-q4_0' is in the registry already; choose another name",
        ],
    ),
    "model_name": (
        "models:\n  my model: {file: a.gguf}\n" + CELL,
        [
            "x.yaml:2:3: $.models['my model']: 'my model' is not a name of letters, digits, '.', '_' and '-', at most 64 of them, beginning with a letter or digit",
        ],
    ),
    "model_digits": (
        "models:\n  m: {file: a.gguf, sha256: 1111111111111111111111111111111111111111111111111111111111111111}\n"
        + CELL,
        [
            'x.yaml:2:29: $.models.m.sha256: the number 111111111111111111111111111111111111111111111... is too large; quote it if it is text: "111111111111111111111111111111111111111111111..."',
        ],
    ),
    "recipe": (
        "models:\n  m: {synthetic: {architecture: lama, n_layers: 0, quantization: q4_0}}\n" + CELL,
        [
            "x.yaml:2:18: $.models.m.synthetic: the key 'n_ctx' is missing",
            "x.yaml:2:18: $.models.m.synthetic: the key 'n_embd' is missing",
            "x.yaml:2:18: $.models.m.synthetic: the key 'n_ff' is missing",
            "x.yaml:2:18: $.models.m.synthetic: the key 'n_heads' is missing",
            "x.yaml:2:18: $.models.m.synthetic: the key 'n_kv_heads' is missing",
            "x.yaml:2:18: $.models.m.synthetic: the key 'n_vocab' is missing",
            "x.yaml:2:18: $.models.m.synthetic: the key 'seed' is missing",
            "x.yaml:2:33: $.models.m.synthetic.architecture: 'lama' is not one of llama, qwen3, qwen3moe. Did you mean 'llama'?",
            "x.yaml:2:49: $.models.m.synthetic.n_layers: 0 is too small: at least 1",
            "x.yaml:2:66: $.models.m.synthetic.quantization: 'q4_0' is not one of F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_K, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_K, Q4_1, Q4_0. Did you mean 'Q4_0'?",
        ],
    ),
    "dup_key": (
        "title: a\ntitle: b\n" + CELL,
        [
            "x.yaml:2:1: $.title: the key 'title' stands twice, first at 1:1; remove one",
        ],
    ),
    "anchor": (
        "cells:\n  - &x\n    backend: cpu\n    model: gemma3-270m-q4_k_m\n  - *x\n",
        [
            "x.yaml:2:5: '&' begins an anchor, which is not accepted: write the value out, or quote the text",
            "x.yaml:5:5: '*' begins an alias, which is not accepted: quote text that begins with '*'",
        ],
    ),
    "merge": (
        "cells:\n  - <<: {backend: cpu}\n    model: gemma3-270m-q4_k_m\n",
        [
            "x.yaml:2:5: $.cells[0]['<<']: '<<' merges mappings, which is not accepted: write the keys out",
        ],
    ),
    "indent": (
        "cells:\n  - backend: cpu\n   model: x\n",
        [
            "x.yaml:3:4: a '-' is missing, or the indentation differs from that of the entries above",
        ],
    ),
    "colon": (
        "title: a: b\n" + CELL,
        [
            "x.yaml:1:9: a ':' where none can be: quote text that holds ': ', and check the indentation",
        ],
    ),
    "tab": (
        "cells:\n\t- backend: cpu\n",
        [
            "x.yaml:2:1: a tab; use spaces",
        ],
    ),
    "two_docs": (
        "cells:\n  - backend: cpu\n    model: gemma3-270m-q4_k_m\n---\ncells:\n  - backend: cpu\n    model: gemma3-270m-q4_k_m\n",
        [
            "x.yaml:4:1: a second document starts here; keep one document in a file",
        ],
    ),
    "many": (
        "preset: standart\ncells:\n  - backend: cudda\n    model: gema\n    flash_attn: on\n    n_btach: 3\n",
        [
            "x.yaml:1:9: $.preset: 'standart' is not one of quick, standard, rigorous, until. Did you mean 'standard'?",
            "x.yaml:3:14: $.cells[0].backend: 'cudda' is not one of cpu, cuda, rocm, vulkan. Did you mean 'cuda'?",
            "x.yaml:4:12: $.cells[0].model: 'gema' is no model: neither in `models` here nor in matrices/models.yaml. Known: gemma3-270m-q4_k_m, synthetic-17m-q4_0, synthetic-117m-q4_0, synthetic-7b-q4_0",
            'x.yaml:5:17: $.cells[0].flash_attn: on is a boolean for some readers and text for others: write true, or quote it: "on"',
            "x.yaml:6:5: $.cells[0].n_btach: unknown key 'n_btach'. Did you mean 'n_batch'?",
        ],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_matrix(name: str, tmp_path: Path) -> None:
    text, expected = WRONG[name]
    file = tmp_path / "x.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        load_matrix(file, shown="x.yaml", registry=REGISTRY)
    assert [str(problem) for problem in caught.value.problems] == expected
    assert caught.value.exit_code == 2
    assert caught.value.remedy
