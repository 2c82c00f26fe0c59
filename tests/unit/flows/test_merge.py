"""A merge looks at its sources and its folder before it makes anything."""

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.flows.import_results import ImportRequest, import_results
from harness.flows.merge import MergeRequest, merge
from harness.flows.workspace import Workspace
from tests.rig.repository import repository


@pytest.fixture
def made(tmp_path: Path) -> Workspace:
    return repository(tmp_path)


def the_records(made: Workspace) -> Path:
    (path,) = (made.reports / "demo/records").glob("*.jsonl")
    return path


@pytest.mark.parametrize("left", [b"", b'{"schema": "llama-b'])
@pytest.mark.parametrize("whole", [True, False])
def test_a_source_without_a_whole_record_is_named_and_nothing_is_made(
    made: Workspace, left: bytes, whole: bool
) -> None:
    the_records(made).write_bytes(left)
    source = "demo" if whole else str(the_records(made))
    with pytest.raises(InputError, match="holds no whole record") as error:
        merge(MergeRequest(sources=(source,), out="o-f"), made)
    assert error.value.where == source
    assert not (made.reports / "o-f").exists()


def test_a_source_that_is_refused_leaves_no_folder(made: Workspace) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        merge(MergeRequest(sources=("nosuch",), out="o-f"), made)
    (made.cwd / "empty").mkdir()
    with pytest.raises(InputError, match="holds no records"):
        merge(MergeRequest(sources=("empty",), out="o-f"), made)
    assert not (made.reports / "o-f").exists()


def test_what_the_folder_holds_stays_also_where_it_is_named_as_a_source(made: Workspace) -> None:
    first = merge(MergeRequest(sources=("demo",), out="o"), made)
    again = merge(MergeRequest(sources=("o", "demo"), out="o"), made)
    assert again.records == first.records
    assert merge(MergeRequest(sources=("demo",), out="demo"), made).records == first.records


@pytest.mark.parametrize("out", ["taken/", "./taken", "taken", "taken/in"])
def test_a_file_is_no_folder_to_merge_or_import_into(made: Workspace, out: str) -> None:
    for place in (made.cwd, made.reports):
        (place / "taken").write_text("x")
    (made.cwd / "o.md").write_text("| model | test | t/s |\n|---|---|---|\n| m | tg128 | 10.00 ± 0.10 |\n")
    for work in (
        lambda: merge(MergeRequest(sources=("demo",), out=out), made),
        lambda: import_results(ImportRequest(file="o.md", out=out), made),
    ):
        with pytest.raises(InputError, match="taken is a file") as error:
            work()
        assert error.value.where == f"--out {out}"
