"""Tasks that share results: merging those of many machines, taking in those of others, giving ours to others."""

from __future__ import annotations

from invoke import Context, task

from tasks_told import told as _told


@task(
    positional=["sources"],
    iterable=["source"],
    help={
        "sources": "folders, files of records, archives, or names under reports/, with commas between them",
        "source": "a further one; may be repeated",
        "out": "folder to merge into: a path, or a name under reports/; what it holds stays in it",
        "no_report": "write no report",
    },
)
@_told
def merge(
    _context: Context, sources: str, source: list[str] | None = None, out: str = "merged", no_report: bool = False
) -> None:
    """Put the records of any machines into one folder: each once, checked, and never against what contradicts them."""
    from harness.flows.merge import MergeRequest
    from harness.flows.merge import merge as merge_records

    # Invoke gives a task one positional argument; what follows it would be the name of the next task.
    merge_records(MergeRequest(sources=(*sources.split(","), *(source or ())), out=out, report=not no_report))


@task(
    help={
        "report": "a folder, or a name under reports/",
        "format": "csv, json, jsonl, parquet, sqlite, scoreboard or badge",
        "out": "file to write; without it text goes to the standard output",
    },
)
@_told
def export(_context: Context, report: str = "demo", format: str = "csv", out: str = "") -> None:  # noqa: A002 - the flag
    """Write a report's results in the formats of others: tables, llama.cpp's comparison script, scoreboards, badges."""
    from harness.flows.export import export as export_report

    export_report(report, format_=format, out=out)


@task(
    name="import",
    positional=["file"],
    help={
        "file": "output of llama-bench (Markdown, JSON, JSON Lines, CSV, SQL), llama-batched-bench, ramalama bench or "
        "llama-benchy, or a scoreboard's table; - for the standard input",
        "out": "folder that takes the rows: a path, or a name under reports/",
        "source": "where it is from, such as a link; else the file's name",
        "device": "what it was measured on, where the file does not say",
    },
)
@_told
def import_(_context: Context, file: str, out: str = "imported", source: str = "", device: str = "") -> None:
    """Take in results of other programs, marked as unverified: shown with their source, never ranked with ours."""
    from harness.flows.import_results import ImportRequest, import_results

    import_results(ImportRequest(file=file, out=out, source=source, device=device))
