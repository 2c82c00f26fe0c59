"""Tasks that share results: merging, taking in those of others, giving ours to others, publishing, and checking."""

from __future__ import annotations

from invoke import Context, task

from tasks_told import told as _told


@task(
    positional=["sources"],
    iterable=["source"],
    help={
        "sources": "folders, files of records, archives, or names under reports/: several with blanks between them "
        "(with plain `invoke` with commas)",
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

    # Invoke gives a task one positional argument; `./bench` makes --source of those that follow.
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


@task(
    positional=[],
    iterable=["declare", "strike"],
    help={
        "reports": "names under reports/, with commas between them (default: all that hold records)",
        "out": "folder of the site; a site that is there is replaced",
        "title": "of the site",
        "declare": "REPORT:KIND=REASON: say openly what speaks against publishing; may be repeated",
        "strike": "a further word to strike out of records; may be repeated",
        "key": "SSH key to sign the manifest with",
    },
)
@_told
def publish(
    _context: Context,
    reports: str = "",
    out: str = "site",
    title: str = "llama.cpp benchmarks",
    declare: list[str] | None = None,
    strike: list[str] | None = None,
    key: str = "",
) -> None:
    """Write a static site over all reports: an index, a page a matrix and a machine, a manifest with every hash."""
    from harness.flows.publish_site import PublishRequest
    from harness.flows.publish_site import publish as publish_site

    publish_site(
        PublishRequest(
            reports=tuple(name for name in reports.split(",") if name.strip()),
            out=out,
            title=title,
            declare=tuple(declare or ()),
            strike=tuple(strike or ()),
            key=key,
        )
    )


@task(
    positional=["report"],
    iterable=["declare", "strike"],
    help={
        "report": "a folder, or a name under reports/",
        "to": "your clone of the repository of results",
        "branch": "name of the new branch (default: of the report, the machine and the time)",
        "declare": "REPORT:KIND=REASON: say openly what speaks against publishing; may be repeated",
        "strike": "a further word to strike out of records; may be repeated",
    },
)
@_told
def contribute(
    _context: Context,
    report: str,
    to: str = "",
    branch: str = "",
    declare: list[str] | None = None,
    strike: list[str] | None = None,
) -> None:
    """Put a machine's results, checked and redacted, into a clone of a repository as a commit on a new branch."""
    from harness.flows.contribute import ContributeRequest
    from harness.flows.contribute import contribute as contribute_report

    contribute_report(
        ContributeRequest(report=report, to=to, branch=branch, declare=tuple(declare or ()), strike=tuple(strike or ()))
    )


@task(
    positional=["folder"],
    help={
        "folder": "a folder under reports/, a site's folder, or the address of a site",
        "signers": "file of allowed signers: the site has to be signed by one of them",
        "json": "print the findings as JSON",
    },
)
@_told
def verify(_context: Context, folder: str, signers: str = "", json: bool = False) -> None:
    """Check a report or a site: records, hashes, journal, and every number and page again from the samples."""
    from harness.flows.verify_site import verify_any

    verify_any(folder, as_json=json, signers=signers)
