"""llama-bench: the command line for the cells of a run, and which row belongs to which cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.measure.parameters import knows, spelled, unsupported
from harness.values.bench import BenchRow
from harness.values.cell import Cell, Test
from harness.values.container import Passthrough
from harness.values.facts import ImageFacts
from harness.values.failure import Failure
from harness.values.measurement import BENCH

MODEL_PATH = "/models/model.gguf"


def argv(
    run_cells: Sequence[Cell],
    image: ImageFacts,
    *,
    passthrough: Passthrough,
    repetitions: int,
    verbose: bool,
    model_path: str = MODEL_PATH,
) -> tuple[str, ...] | Failure:
    """The process of a run: one llama-bench for all its cells.

    Tests are crossed with depths by llama-bench itself. Where the cells are no full product of both, it measures
    more than was asked for; `match` leaves the surplus out.

    Args:
        run_cells: at least one; equal in everything but their tests.
        image: its flags decide how parameters are spelled.
        passthrough: its `device` becomes `-dev`.
        repetitions: samples of each test.
        verbose: log what llama.cpp does (`-v`), for the proofs of the warm-up round.

    Returns:
        Entrypoint and arguments, or a failure that names what this build cannot do.

    Raises:
        ValueError: the cells do not belong into one process.
    """
    first = run_cells[0]
    if any(dict(cell.params) != dict(first.params) for cell in run_cells):
        raise ValueError("the cells of one run differ in their parameters")
    flags = image.flags
    if "jsonl" not in flags.get("-o", "jsonl"):
        return unsupported("this build does not print JSON Lines (-o jsonl)", remedy="Use an image from 2025 or newer.")
    tests = _test_arguments(run_cells, image)
    if isinstance(tests, Failure):
        return tests
    device = _device_arguments(image, passthrough)
    if isinstance(device, Failure):
        return device
    parameters = spelled(first.params, flags)
    if isinstance(parameters, Failure):
        return parameters
    head = (f"{image.binary_dir.rstrip('/')}/llama-bench", "-m", model_path, "-r", str(repetitions), "-o", "jsonl")
    loud = ("-v",) if verbose and knows(flags, "-v") else ()
    return head + loud + tests + device + parameters


def _test_arguments(cells: Sequence[Cell], image: ImageFacts) -> tuple[str, ...] | Failure:
    prompts, generations, pairs, depths = _shapes(cells)
    # Both are always given: 0 switches off the pp512 and tg128 that llama-bench would run by itself.
    arguments = ["-p", _list(prompts), "-n", _list(generations)]
    if pairs and not knows(image.flags, "-pg"):
        return unsupported("this build has no -pg (prompt processing and generation in one test)")
    for n_prompt, n_gen in pairs:
        arguments += ["-pg", f"{n_prompt},{n_gen}"]
    if knows(image.flags, "-d"):
        arguments += ["-d", _list(depths)]
    elif any(depths):
        return unsupported("this build has no -d (tests at a depth)")
    return tuple(arguments)


def _device_arguments(image: ImageFacts, passthrough: Passthrough) -> tuple[str, ...] | Failure:
    if knows(image.flags, "-dev"):
        return ("-dev", passthrough.device)
    if passthrough.device == "none":
        return ()
    return unsupported(
        f"this build has no -dev, so {passthrough.device} cannot be asked for and a fallback to the CPU goes unseen",
        remedy="Use a newer image.",
    )


def _shapes(
    cells: Sequence[Cell],
) -> tuple[list[int], list[int], list[tuple[int, int]], list[int]]:
    """Prompts, generations, pairs and depths, each in order of first appearance.

    A shape that several cells of one depth share (the arms of an A/A control) is there as often as they are.
    """
    depths = list(dict.fromkeys(cell.test.n_depth for cell in cells))
    wanted: Counter[tuple[int, int]] = Counter()
    for depth in depths:
        wanted |= Counter((c.test.n_prompt, c.test.n_gen) for c in cells if c.test.n_depth == depth)
    shapes = [
        shape for shape in dict.fromkeys((c.test.n_prompt, c.test.n_gen) for c in cells) for _ in range(wanted[shape])
    ]
    prompts = [n_prompt for n_prompt, n_gen in shapes if n_prompt and not n_gen]
    generations = [n_gen for n_prompt, n_gen in shapes if n_gen and not n_prompt]
    return prompts, generations, [shape for shape in shapes if all(shape)], depths


def expected_tests(cells: Sequence[Cell]) -> tuple[Test, ...]:
    """The tests in the order in which llama-bench prints their rows: depth by depth; prompts, generations, pairs."""
    prompts, generations, pairs, depths = _shapes(cells)
    shapes = [(p, 0) for p in prompts] + [(0, n) for n in generations] + pairs
    return tuple(Test(n_prompt=p, n_gen=n, n_depth=d) for d in depths for p, n in shapes)


def in_row_order(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells of one run in the order in which llama-bench prints their rows."""
    place = {test: index for index, test in reversed(list(enumerate(expected_tests(cells))))}
    return tuple(sorted(cells, key=lambda cell: place[_shape(cell.test)]))


def _shape(test: Test) -> Test:
    """What a row tells of a test: not how long it was to go on, nor what it is for."""
    return replace(test, sustained_s=0, measurement=BENCH)


def match(cells: Sequence[Cell], rows: Iterable[BenchRow]) -> tuple[BenchRow | None, ...]:
    """The row of each cell, by test shape; None where there is none.

    Every row is given to one cell at most, the first row to the first cell of its shape.
    """
    unused: dict[Test, list[BenchRow]] = {}
    for row in rows:
        unused.setdefault(Test(n_prompt=row.n_prompt, n_gen=row.n_gen, n_depth=row.n_depth), []).append(row)
    return tuple(found.pop(0) if (found := unused.get(_shape(cell.test))) else None for cell in cells)


def _list(values: Sequence[int]) -> str:
    return ",".join(str(value) for value in values) or "0"
