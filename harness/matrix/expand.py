"""From the matrix to its cells: crossing, including, excluding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import product
from math import prod

from harness.errors import InputError
from harness.matrix.cell_ids import cell_id, default_params
from harness.values.cell import Cell, Test
from harness.values.matrix import CellGroup, Matrix

MAX_CELLS = 10_000


Spread = Callable[[Cell], tuple[Cell, ...]]
"""What one cell of the file becomes on this machine: itself, or a cell for each device."""


def _itself(cell: Cell) -> tuple[Cell, ...]:
    return (cell,)


def expand(matrix: Matrix, *, n_threads: int, only: Sequence[str] = (), spread: Spread = _itself) -> tuple[Cell, ...]:
    """The cells that a matrix asks for, in the order of the file.

    Args:
        n_threads: what cells get that do not name a number of threads: the machine's physical cores.
        only: globs from the command line, beside those of the file.
        spread: `include`, `exclude` and `only` match a cell as it stands in the file; `only` also what it becomes.

    Raises:
        InputError: a glob of `only` matches no cell that the file asks for.
    """
    asked = [cell for _, cell in expand_all(matrix, n_threads=n_threads) if kept(cell.id, matrix)]
    cells = [(cell.id, part) for cell in asked for part in spread(cell)]
    for glob in only:
        if not any(_fits(glob, identity, part) for identity, part in cells):
            raise InputError(
                f"{glob!r} matches no cell; cells look like {cells[0][1].id!r}",
                where="--only",
                remedy="`invoke plan` shows the cells of a matrix file.",
            )
    return tuple(part for identity, part in cells if not only or any(_fits(glob, identity, part) for glob in only))


def _fits(glob: str, identity: str, part: Cell) -> bool:
    return fnmatchcase(identity, glob) or fnmatchcase(part.id, glob)


def timeouts(matrix: Matrix, *, spread: Spread = _itself) -> dict[str, float]:
    """The deadlines that the file gives, in seconds for one run, by cell id."""
    seconds = {group.index: group.timeout_s for group in matrix.groups}
    return {
        part.id: timeout
        for index, cell in expand_all(matrix, n_threads=1)
        if (timeout := seconds[index]) is not None and kept(cell.id, matrix)
        for part in spread(cell)
    }


def kept(identity: str, matrix: Matrix) -> bool:
    """Whether a cell stays after `include` and `exclude`. `*` in a glob also stands for `/`."""
    included = not matrix.includes or any(fnmatchcase(identity, glob) for glob in matrix.includes)
    return included and not any(fnmatchcase(identity, glob) for glob in matrix.excludes)


def expand_all(matrix: Matrix, *, n_threads: int) -> Iterator[tuple[int, Cell]]:
    """Every cell before `include` and `exclude`, with the index of its entry."""
    for group in matrix.groups:
        for cell in _crossed(group, n_threads):
            yield group.index, cell


def count(group: CellGroup) -> int:
    """How many cells an entry gives."""
    outer = (group.images, group.models, group.devices, group.labels, *group.params.values())
    shapes = (group.tests, group.depths, group.parallel, group.cold, group.sustained_s, group.prompts)
    return prod(len(values) for values in (*outer, *shapes))


def _shapes(group: CellGroup) -> Iterator[Test]:
    shapes = product(group.depths, group.tests, group.parallel, group.cold, group.sustained_s, group.prompts)
    for depth, (n_prompt, n_gen), parallel, cold, sustained_s, prompts in shapes:
        yield Test(
            n_prompt=n_prompt,
            n_gen=n_gen,
            n_depth=depth,
            measurement=group.measurement,
            n_parallel=parallel,
            cold=cold,
            sustained_s=sustained_s,
            against=group.against,
            prompts=prompts,
            draft=group.draft,
        )


def _crossed(group: CellGroup, n_threads: int) -> Iterator[Cell]:
    outer = product(group.models, group.images, group.devices, group.labels)
    for model, image, device, label in outer:
        for values in product(*group.params.values()):
            given = dict(zip(group.params, values, strict=True))
            params = {"n_threads": n_threads} | default_params(group.backend, given) | given
            for test in _shapes(group):
                yield Cell(
                    id=cell_id(
                        backend=group.backend,
                        image=image,
                        device=device,
                        model=model,
                        test=test,
                        given=given,
                        label=label,
                        beside=group.beside,
                        beside_busy=group.beside_busy,
                    ),
                    label=label,
                    backend=group.backend,
                    image=image,
                    model=model,
                    device=device,
                    params=params,
                    test=test,
                    beside=group.beside,
                    beside_busy=group.beside_busy,
                )
