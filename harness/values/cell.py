"""One thing to measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from harness.values.measurement import (
    BATCHED,
    BENCH,
    CONTEXT,
    LATENCY,
    LOAD,
    MEASUREMENTS,
    QUALITY,
    RANDOM,
    TEXT,
)

ParameterValue = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One llama-bench parameter.

    Attributes:
        name: llama-bench's own field name in its JSON output (`n_gpu_layers`).
        flag: its short option (`-ngl`); empty where it is not a program's but the device's.
        short: its mark in cell ids (`ngl`).
        kind: `int`, `bool` (given as 0/1), `str`, or `fa` (0, 1 or "auto").
        default: what the harness passes when the matrix is silent; None means that the option is left out.
        choices: the accepted values; empty means any of the kind.
        minimum: smallest accepted integer.
        ranked: whether rows that differ in it may not be ranked against each other (MEASUREMENT, "Comparability").
    """

    name: str
    flag: str
    short: str
    kind: str
    default: ParameterValue | None = None
    choices: tuple[ParameterValue, ...] = ()
    minimum: int | None = None
    ranked: bool = False

    def default_on(self, backend: str) -> ParameterValue | None:
        """The default where the matrix is silent: a CPU has nothing to offload layers to."""
        return 0 if self.name == "n_gpu_layers" and backend == "cpu" else self.default


CACHE_TYPES = ("f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")

POWER_LIMIT = "power_limit_w"
"""The one parameter that no program of llama.cpp gets."""

PARAMETERS: MappingProxyType[str, Parameter] = MappingProxyType(
    {
        p.name: p
        for p in (
            # Those with a default are always passed, since llama-bench's own defaults changed between builds and
            # `auto` is printed as -1: what was chosen could not be told from the output.
            Parameter(name="n_gpu_layers", flag="-ngl", short="ngl", kind="int", default=99, minimum=0, ranked=True),
            Parameter(
                name="flash_attn", flag="-fa", short="fa", kind="fa", default=0, choices=(0, 1, "auto"), ranked=True
            ),
            Parameter(name="n_batch", flag="-b", short="b", kind="int", default=2048, minimum=1),
            Parameter(name="n_ubatch", flag="-ub", short="ub", kind="int", default=512, minimum=1),
            Parameter(
                name="type_k", flag="-ctk", short="ctk", kind="str", default="f16", choices=CACHE_TYPES, ranked=True
            ),
            Parameter(
                name="type_v", flag="-ctv", short="ctv", kind="str", default="f16", choices=CACHE_TYPES, ranked=True
            ),
            Parameter(
                name="load_mode",
                flag="-lm",
                short="lm",
                kind="str",
                default="mmap",
                choices=("none", "mmap", "mlock", "mmap+mlock", "dio"),
            ),
            # The default of n_threads is the number of physical cores, known only once the machine is.
            Parameter(name="n_threads", flag="-t", short="t", kind="int", minimum=1),
            Parameter(name="n_cpu_moe", flag="-ncmoe", short="ncmoe", kind="int", minimum=0, ranked=True),
            Parameter(
                name="split_mode",
                flag="-sm",
                short="sm",
                kind="str",
                choices=("none", "layer", "row", "tensor"),
                ranked=True,
            ),
            Parameter(name="main_gpu", flag="-mg", short="mg", kind="int", minimum=0),
            Parameter(name="no_kv_offload", flag="-nkvo", short="nkvo", kind="bool", ranked=True),
            Parameter(name="tensor_split", flag="-ts", short="ts", kind="str", ranked=True),
            Parameter(name="tensor_buft_overrides", flag="-ot", short="ot", kind="str", ranked=True),
            Parameter(name="no_op_offload", flag="-nopo", short="nopo", kind="bool", ranked=True),
            Parameter(name="no_host", flag="--no-host", short="nohost", kind="bool"),
            Parameter(name="repack", flag="--repack", short="repack", kind="bool"),
            Parameter(name="embeddings", flag="-embd", short="embd", kind="bool", ranked=True),
            Parameter(name="cpu_mask", flag="-C", short="C", kind="str"),
            Parameter(name="cpu_strict", flag="--cpu-strict", short="strict", kind="bool"),
            Parameter(name="poll", flag="--poll", short="poll", kind="int", minimum=0),
            # Not llama-bench's: what the harness does to the device for the time of the run.
            Parameter(name=POWER_LIMIT, flag="", short="W", kind="int", minimum=1, ranked=True),
        )
    }
)
"""The llama-bench parameters that a matrix can set, in the order in which cell ids show them."""

MARKS: MappingProxyType[str, str] = MappingProxyType(
    {mark: p.name for p in PARAMETERS.values() for mark in (p.flag.lstrip("-"), p.short) if mark}
)
"""Their names by the marks that reports and llama-bench's flags have for them: `fa`, `ngl`."""


def _time(seconds: int) -> str:
    """`10m`, `90s`."""
    return f"{seconds}s" if seconds % 60 else f"{seconds // 60}m"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Test:
    """The shape of one test: `pp512`, `tg128`, `pp512+tg128`, each at a depth. Sizes in tokens.

    Attributes:
        n_prompt: for the largest context: the longest prompt that is tried, 0 for what the model was trained for.
        n_depth: what lies in the context before; for latency a prefix that the server has in its cache.
        measurement: a name in `MEASUREMENTS`.
        n_parallel: requests or sequences at once.
        cold: the model's file is dropped from the page cache first.
        sustained_s: at least how long its repetitions go on in each run; 0 for as many as the preset has.
        against: for quality: the key of the model whose choice of the next token is held to be right; empty for none.
        prompts: for latency: `random` tokens, or pieces of the project's own `text`.
        draft: for latency: the key of the model that drafts tokens, for speculative decoding; empty for none.
    """

    __test__ = False  # not a test case of pytest

    n_prompt: int = 0
    n_gen: int = 0
    n_depth: int = 0
    measurement: str = BENCH
    n_parallel: int = 1
    cold: bool = False
    sustained_s: int = 0
    against: str = ""
    prompts: str = RANDOM
    draft: str = ""

    @property
    def kind(self) -> str:
        """`pp` prompt processing, `tg` text generation, `pg` both in one sample; else the measurement's name."""
        if self.measurement != BENCH:
            return self.measurement
        if self.n_prompt and self.n_gen:
            return "pg"
        return "pp" if self.n_prompt else "tg"

    @property
    def name(self) -> str:
        """llama.cpp's name without spaces, as its comparison script prints it: `pp512@d4096`.

        Of other programs than llama-bench with a mark before it: `serve:pp512+tg64x4@d4096`. `tg128@10m` goes on for
        ten minutes.
        """
        parts = [f"pp{self.n_prompt}"] * bool(self.n_prompt) + [f"tg{self.n_gen}"] * bool(self.n_gen)
        parts += ["cold" if self.cold else "warm"] * (self.measurement == LOAD)
        if self.measurement == CONTEXT and not self.n_prompt:
            parts = ["pp"]
        if self.measurement == QUALITY:
            parts = [f"c{self.n_prompt}"] + [f"to:{self.against}"] * bool(self.against)
        parts += ["text"] * (self.prompts == TEXT) + [f"draft:{self.draft}"] * bool(self.draft)
        text = "+".join(parts) + (f"x{self.n_parallel}" if self.n_parallel > 1 else "")
        text += f"@d{self.n_depth}" if self.n_depth else ""
        text += f"@{_time(self.sustained_s)}" if self.sustained_s else ""
        mark = MEASUREMENTS[self.measurement].mark if self.measurement in MEASUREMENTS else self.measurement
        return f"{mark}:{text}" if mark else text

    @property
    def n_tokens(self) -> int:
        """How many tokens one of `Outcome.samples_ns` stands for; an untimed depth is not among them.

        llama-bench: prompt and generation. Latency: the prompt, whose samples are times to first token. Batching:
        what all sequences generate together. Loading and quality have no rate in tokens: 1.
        """
        if self.measurement == LATENCY:
            return self.n_prompt
        if self.measurement == BATCHED:
            return self.n_gen * self.n_parallel
        return self.n_prompt + self.n_gen if self.measurement in {BENCH, CONTEXT} else 1

    @property
    def n_context(self) -> int:
        """Tokens of context that it needs, in all sequences at once: what lies before, the prompt, what is generated.

        A program that measures several tests is started with what the largest of them needs.
        """
        return self.n_parallel * (self.n_depth + self.n_prompt + self.n_gen)


TRIAL = "~ctx"
"""Between the id of a search for the largest context and the context that is tried for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One thing to measure: backend, image, model, device, parameters, one test shape.

    Attributes:
        id: printable and unique in its matrix: `vulkan/gemma3-270m-q4_k_m/tg128@d4096/fa1`. Shows the label, where
            there is one, and every parameter that the matrix sets to something else than the default.
        label: tells apart cells that are otherwise equal (the two arms of an A/A control); empty otherwise.
        backend: name in `BACKENDS`.
        image: key in the matrix's `images`.
        model: key in the matrix's `models`.
        device: how the matrix names the device: `default`, an index, a UUID, a PCI address, a name pattern,
            or `software` for Mesa's software device.
        params: every parameter that is passed, by llama-bench's field name; complete except for the device.
        test: the test shape.
        beside: keys of the models that are resident in containers of their own meanwhile; empty for none.
        beside_busy: whether these generate all the time; else they are loaded and idle.
    """

    id: str
    label: str = ""
    backend: str
    image: str
    model: str
    device: str = "default"
    params: Mapping[str, ParameterValue] = field(default_factory=lambda: MappingProxyType({}))
    test: Test
    beside: tuple[str, ...] = ()
    beside_busy: bool = False

    @property
    def planned_id(self) -> str:
        """Its id in the plan: that of the search where it is one of the contexts that were tried for it."""
        return self.id.rpartition(TRIAL)[0] or self.id if self.test.measurement == CONTEXT else self.id

    @property
    def models(self) -> tuple[str, ...]:
        """The keys of all models that it needs: its own, those it is compared and drafted with, those beside it."""
        return (self.model, *(name for name in (self.test.against, self.test.draft) if name), *self.beside)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The keys of those models whose files its runs read; of `against` they read logits that were made before."""
        return (self.model, *((self.test.draft,) if self.test.draft else ()), *self.beside)
