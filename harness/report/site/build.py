"""All pages of a site, from the reports in its folder. The same reports give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.report.site import index_page, machine_page, matrix_page
from harness.report.site.content import read_content
from harness.store.manifest import PublishedReport


def site_pages(root: Path, reports: Sequence[PublishedReport], *, title: str) -> Mapping[str, str]:
    """The text of the index and of the page of every matrix and machine, by their paths below the site's root.

    Raises:
        InputError: records are missing or damaged.
    """
    # It takes half a second and 40 MB, which no other task has to pay.
    from harness.report.writers import svg  # noqa: PLC0415

    content = read_content(root, reports, title=title)
    pages = {"index.html": index_page.write(content)}
    for report in content.reports:
        pages[report.published.page] = matrix_page.write(content, report, root=root, picture=svg.write)
    for name, own in content.of_machine().items():
        pages[f"machines/{name}.html"] = machine_page.write(content, name, own)
    return pages
