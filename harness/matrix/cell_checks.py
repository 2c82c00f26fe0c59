"""Mistakes in a matrix file that show only once its cells are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from harness.errors import Problem
from harness.formats.document import Document, KeyPath
from harness.formats.schema_errors import show
from harness.matrix.expand import MAX_CELLS, count, expand_all, kept
from harness.matrix.groups import TOGETHER, as_list, seconds
from harness.values.cell import Cell
from harness.values.matrix import Matrix
from harness.values.measurement import BATCHED, BENCH, CONTEXT, LATENCY, LOAD, QUALITY

REQUESTS = (LATENCY, BATCHED)
"""Measurements whose tests have a prompt and a generation."""

LEAST_SUSTAINED_S, MOST_SUSTAINED_S = 10, 6 * 3600

_SHAPES = frozenset({"tests", "n_prompt", "n_gen", "n_depth", "parallel"})
_SERVED = frozenset({"prompts", "draft"})
_UNFIT_KEYS = {
    BENCH: _SERVED | {"parallel", "page_cache", "against"},
    LATENCY: frozenset({"pg", "page_cache", "embeddings", "against", "sustained"}),
    BATCHED: _SERVED | {"pg", "page_cache", "n_depth", "embeddings", "against", "sustained"},
    LOAD: _SHAPES | _SERVED | {"pg", "embeddings", "against", "sustained"},
    CONTEXT: (_SHAPES - {"n_prompt"}) | _SERVED | {"pg", "page_cache", "embeddings", "against", "sustained"},
    QUALITY: (_SHAPES - {"n_prompt"}) | _SERVED | {"pg", "page_cache", "embeddings", "sustained"},
}
"""Keys of an entry that a measurement has no use for."""


def check_cells(document: Document, matrix: Matrix) -> list[Problem]:
    """Too many cells; cells that stand twice; parameters that contradict each other; globs without effect."""
    total = sum(count(group) for group in matrix.groups)
    if total > MAX_CELLS:
        largest = max(matrix.groups, key=count)
        message = f"these lists cross to {count(largest):,} cells, {total:,} in the file; at most {MAX_CELLS:,} are run"
        return [document.problem(("cells", largest.index), message)]
    cells = list(expand_all(matrix, n_threads=1))
    remaining = [(index, cell) for index, cell in cells if kept(cell.id, matrix)]
    problems = [*_twice(document, remaining), *_micro_batches(document, remaining), *_splits(document, remaining)]
    problems += _measurements(document, matrix)
    problems += _globs(document, [cell.id for _, cell in cells])
    if not remaining and not problems:
        key = "exclude" if matrix.excludes else "include"
        problems.append(document.problem((key,), "no cell is left; `invoke plan` shows the cells and their ids"))
    return problems


def _twice(document: Document, cells: Iterable[tuple[int, Cell]]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    told: set[tuple[int, int]] = set()
    for index, cell in cells:
        if cell.id not in first:
            first[cell.id] = index
            continue
        other = first[cell.id]
        if (other, index) in told:
            continue
        told.add((other, index))
        if other == index:
            message = f"gives the cell {cell.id} twice; name each test and each value once"
        else:
            line, column = document.place(("cells", other))
            message = (
                f"gives the cell {cell.id}, as does $.cells[{other}] at {line}:{column}; remove one or add a `label`"
            )
        yield document.problem(("cells", index), message)


def _micro_batches(document: Document, cells: Iterable[tuple[int, Cell]]) -> Iterator[Problem]:
    told: set[int] = set()
    for index, cell in cells:
        batch, micro_batch = int(cell.params["n_batch"]), int(cell.params["n_ubatch"])
        if micro_batch > batch and index not in told:
            told.add(index)
            path: KeyPath = ("cells", index, "n_ubatch")
            yield document.problem(path, f"{micro_batch} is more than n_batch, which is {batch} in {cell.id}")


def _splits(document: Document, cells: Iterable[tuple[int, Cell]]) -> Iterator[Problem]:
    """Main GPUs and shares for devices that are not there; how many `all` are is known on the machine only."""
    told: set[tuple[int, str]] = set()
    for index, cell in cells:
        if cell.device == "all" or cell.backend == "cpu":
            continue
        devices = cell.device.count(TOGETHER) + 1
        shares = len(str(cell.params.get("tensor_split", "")).split("/"))
        main = int(cell.params.get("main_gpu", 0))
        several = 'name several, as in `device: "0+1"` or `device: all`'
        if shares > devices > 1 and (index, "tensor_split") not in told:
            told.add((index, "tensor_split"))
            what = f"{shares} shares for {devices} device{'s' * (devices > 1)} in {cell.id}; {several}"
            yield document.problem(("cells", index, "tensor_split"), what)
        if main >= devices and (index, "main_gpu") not in told:
            told.add((index, "main_gpu"))
            what = f"{main} counts from 0, and there {'are' if devices > 1 else 'is'} {devices} in {cell.id}; {several}"
            yield document.problem(("cells", index, "main_gpu"), what)


def _measurements(document: Document, matrix: Matrix) -> Iterator[Problem]:
    """Keys that a measurement has no use for, and tests that it cannot make."""
    for group in matrix.groups:
        name = group.measurement
        entry = document.data["cells"][group.index]
        if "beside_load" in entry and not group.beside:
            message = "says what the models beside it do, and `beside` names none"
            yield document.problem(("cells", group.index, "beside_load"), message)
        for key in sorted(_UNFIT_KEYS.get(name, frozenset()) & set(entry)):
            yield document.problem(("cells", group.index, key), f"means nothing with `measure: {name}`; remove it")
        for value in as_list(entry.get("sustained", [])):
            if not LEAST_SUSTAINED_S <= seconds(str(value)) <= MOST_SUSTAINED_S:
                yield document.problem(("cells", group.index, "sustained"), f"{value} is out of range: 10s to 6h")
        if name in REQUESTS and not all(prompt and gen for prompt, gen in group.tests):
            message = f"`measure: {name}` needs prompt and generation together, as in pp512+tg64"
            yield document.problem(("cells", group.index, "tests"), message)


def _globs(document: Document, ids: Sequence[str]) -> Iterator[Problem]:
    for key in ("include", "exclude"):
        value = document.data.get(key, [])
        for index, glob in enumerate(as_list(value)):
            if not any(fnmatchcase(identity, glob) for identity in ids):
                path: KeyPath = (key, index) if isinstance(value, list) else (key,)
                yield document.problem(path, f"{show(glob)} matches no cell; cells look like {ids[0]!r}")
