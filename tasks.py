"""The tasks of `invoke`: they parse flags, call a flow, and turn the one family of errors into an exit code.

Nothing heavy is imported before a task runs, so that `invoke --list` answers at once.
"""

from __future__ import annotations

from invoke import Context, task

from tasks_comparing import bisect, compare
from tasks_predicting import fit, whatif, wins
from tasks_sharing import contribute, export, import_, merge, publish, verify
from tasks_told import told as _told

__all__ = [
    "bisect", "compare", "contribute", "export", "fit", "import_", "merge", "publish", "verify", "whatif", "wins",
]  # fmt: skip


@task(
    help={
        "file": "matrix file: a name in matrices/ or any path",
        "fresh": "start again: what was measured before goes to the report's archive folder",
        "only": "measure only cells whose id matches this glob, such as 'cpu/*/tg*'",
        "machine": "name of this machine in the records (default: from its hardware)",
        "strict": "fail a run instead of flagging it when the machine does not become quiet",
        "gate_wait": "seconds to wait for a quiet machine before each run (default 300)",
        "retry_failed": "run cells again that failed before",
        "only_stale": "run only what was measured before with another image, model, device, driver or protocol",
        "price": "price of a kilowatt-hour, in your currency, for the cost of a million tokens (default: the matrix's)",
        "budget": "as many whole rounds as fit into this time, such as 30m or 2h; at least those of the preset",
        "set_power_limit": "allow changing the power limits of cards for cells that name one; they are put back",
        "locked": "measure exactly the images and models of the lock beside the file (see `invoke lock`)",
    },
    iterable=["only"],
)
@_told
def matrix(
    _context: Context,
    file: str = "demo.yaml",
    fresh: bool = False,
    only: list[str] | None = None,
    machine: str = "",
    strict: bool = False,
    gate_wait: float = 300.0,
    retry_failed: bool = False,
    only_stale: bool = False,
    budget: str = "",
    price: str = "",
    locked: bool = False,
    set_power_limit: bool = False,
) -> None:
    """Measure everything that a matrix file names, and write its report. Continues where it stopped."""
    from harness.flows.measure import measure
    from harness.flows.measure_request import MeasureRequest
    from harness.flows.strategy import read_budget, read_price

    measure(
        MeasureRequest(
            file=file,
            fresh=fresh,
            only=tuple(only or ()),
            machine=machine,
            strict=strict,
            gate_wait_s=float(gate_wait),
            retry_failed=retry_failed,
            only_stale=only_stale,
            budget_s=read_budget(budget),
            price_per_kwh=read_price(price),
            locked=locked,
            set_power_limit=set_power_limit,
        )
    )


@task(help={"file": "matrix file: a name in matrices/ or any path"})
@_told
def lock(_context: Context, file: str = "demo.yaml") -> None:
    """Write down which image, build and model file each name in a matrix stands for now, in a lock beside it."""
    from harness.flows.lock import lock_matrix

    lock_matrix(file)


@task(help={"file": "matrix file: a name in matrices/ or any path", "only": "glob on cell ids"}, iterable=["only"])
@_told
def plan(_context: Context, file: str = "demo.yaml", only: list[str] | None = None) -> None:
    """Show the cells of a matrix file with a time estimate. Runs nothing and needs no engine."""
    from harness.flows.plan import show_plan

    show_plan(file, only=tuple(only or ()))


@task(
    help={
        "file": "matrix file whose images are meant (default: all of images/)",
        "build": "build or pull what is missing; without a file only what takes minutes",
    }
)
@_told
def images(_context: Context, file: str = "", build: bool = False) -> None:
    """List the llama.cpp images and whether they are there; with --build, make them."""
    from harness.flows.images import show_images

    show_images(file, build=build)


@task(
    help={
        "file": "matrix file whose models are meant (default: the registry)",
        "fetch": "fetch or make what is missing",
    }
)
@_told
def models(_context: Context, file: str = "", fetch: bool = False) -> None:
    """List the models and whether they are there; with --fetch, get and verify them."""
    from harness.flows.models import show_models

    show_models(file, fetch=fetch)


@task(
    help={"file": "matrix file, or a folder under reports/", "publish": "also check everything that publishing needs"}
)
@_told
def report(_context: Context, file: str = "demo.yaml", publish: bool = False) -> None:
    """Write the report again from the records. Needs no engine, no model and no image."""
    from harness.flows.publish import rebuild_report

    rebuild_report(file, publish=publish)


@task(
    positional=["first", "second"],
    help={
        "first": "a folder under reports/, FOLDER#MACHINE, a session's file, or a machine's name",
        "second": "likewise",
        "json": "print the differences as JSON",
    },
)
@_told
def diff_env(_context: Context, first: str, second: str, json: bool = False) -> None:
    """Show why two machines, or two days of one, may differ: fields that are not the same, the weightiest first."""
    from harness.flows.diff_env import show_differences

    show_differences(first, second, as_json=json)


@task(
    positional=["folder"],
    help={
        "folder": "a folder under reports/",
        "record": "id of one record, or its beginning: only its cells are meant",
        "of": "machine of the original, where the folder holds several",
        "only": "only cells whose id matches this glob",
        "into": "folder of the new records (default: a new one in reports/)",
        "machine": "name of this machine in the records (default: from its hardware)",
        "gate_wait": "seconds to wait for a quiet machine before each run (default 300)",
    },
    iterable=["only"],
)
@_told
def reproduce(
    _context: Context,
    folder: str,
    record: str = "",
    of: str = "",
    only: list[str] | None = None,
    into: str = "",
    machine: str = "",
    gate_wait: float = 300.0,
) -> None:
    """Measure a report's cells again, with the same images and models, and say whether the numbers are the same."""
    from harness.flows.reproduce import ReproduceRequest
    from harness.flows.reproduce import reproduce as reproduce_report

    reproduce_report(
        ReproduceRequest(
            folder=folder,
            record=record,
            of=of,
            only=tuple(only or ()),
            into=into,
            machine=machine,
            gate_wait_s=float(gate_wait),
        )
    )


@task(help={"file": "look only at what this matrix file needs", "json": "print the findings as JSON"})
@_told
def doctor(_context: Context, file: str = "", json: bool = False) -> None:
    """Look at engine, cards, images, models, disk and load, and say what to do about each. Changes nothing."""
    from harness.flows.doctor import examine

    examine(file, as_json=json)


@task(
    help={
        "images": "also remove the images that were built here",
        "cache": "also remove downloads and generated models",
        "engine": "also stop the engine that ./bench started",
    }
)
@_told
def clean(_context: Context, images: bool = False, cache: bool = False, engine: bool = False) -> None:
    """Remove what was left behind: containers, half-made downloads. Records are never touched."""
    from harness.flows.clean import clean_up

    clean_up(images=images, cache=cache, engine=engine)


@task(help={"tier": "unit (no engine), engine (containers), real (llama.cpp and models), or all"})
@_told
def test(_context: Context, tier: str = "all") -> None:
    """Run the project's own tests; `all` starts an engine and builds the images where they are missing."""
    from harness.flows.own_tests import run_tests

    run_tests(tier)


@task
@_told
def lint(_context: Context) -> None:
    """Check the code: ruff (rules and format) and mypy (strict)."""
    from harness.flows.own_tests import run_lint

    run_lint()
