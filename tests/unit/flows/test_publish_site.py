"""A site as it is written and as a reader checks it: what may not be published is refused, changes are found."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import BenchError, CellsFailedError, InputError
from harness.flows.publish_site import PublishRequest, publish
from harness.flows.verify_site import verify_any, verify_site
from harness.flows.workspace import Workspace
from harness.store.manifest import MANIFEST, SIGNATURE, list_files, read_manifest, render_manifest
from harness.store.signature import check_signature
from tests.rig.repository import change, repository, workspace


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    publish(PublishRequest(title="Ours"), repository(root))
    return root


@pytest.fixture
def made(published: Path, tmp_path: Path) -> Workspace:
    """A copy of a whole repository with its site."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return workspace(tmp_path)


def findings(made: Workspace) -> list[str]:
    return [str(finding) for finding in verify_site(made.cwd / "site", made).findings]


def fit_manifest(site: Path) -> None:
    """As somebody does who changes a file and knows of the manifest."""
    manifest = read_manifest((site / MANIFEST).read_bytes(), where="m")
    from dataclasses import replace

    (site / MANIFEST).write_bytes(render_manifest(replace(manifest, files=list_files(site))))


def test_what_was_published_is_verified(made: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    verify_any("site", workspace=made)
    assert "as they were measured, and every page follows" in " ".join(capsys.readouterr().out.split())
    names = {file.path for file in list_files(made.cwd / "site")}
    assert {"index.html", "matrices/demo.html", "reports/demo/report.md", "reports/demo/index.html"} <= names
    assert any(name.startswith("machines/") for name in names)


def test_the_same_reports_give_the_same_bytes(made: Workspace) -> None:
    before = (made.cwd / "site" / MANIFEST).read_bytes()
    publish(PublishRequest(title="Ours"), made)
    assert (made.cwd / "site" / MANIFEST).read_bytes() == before
    assert sorted(path.name for path in made.cwd.iterdir()) == ["reports", "site"]


def test_a_changed_missing_or_added_file_is_found(made: Workspace) -> None:
    site = made.cwd / "site"
    page = site / "matrices/demo.html"
    page.write_text(page.read_text().replace("Demo", "Demon"))
    (site / "reports/demo/report.md").unlink()
    (site / "more.html").write_text("x")
    found = findings(made)
    assert any(f.startswith("matrices/demo.html: was changed") for f in found)
    assert "reports/demo/report.md: is missing" in found
    assert "more.html: is not in the manifest" in found


@pytest.mark.parametrize(
    "path", ["index.html", "matrices/demo.html", "reports/demo/index.html", "reports/demo/report.md"]
)
def test_a_changed_page_is_found_even_if_the_manifest_is_made_to_fit(made: Workspace, path: str) -> None:
    page = made.cwd / "site" / path
    page.write_text(page.read_text().replace("749", "947"))
    fit_manifest(made.cwd / "site")
    if path.endswith("demo/index.html"):
        page.write_text(page.read_text().replace("Demo", "Demon"))
        fit_manifest(made.cwd / "site")
    assert any(finding.startswith(path) for finding in findings(made))


def test_a_page_of_somebody_else_is_found_even_if_the_manifest_names_it(made: Workspace) -> None:
    (made.cwd / "site/extra.html").write_text("<script>alert(1)</script>")
    fit_manifest(made.cwd / "site")
    assert findings(made) == ["extra.html: belongs to no report, and is no page"]


def test_a_changed_record_is_found_even_if_all_of_it_is_made_to_fit_but_the_row(made: Workspace) -> None:
    def faster(value: dict) -> None:
        for outcome in value["outcomes"]:
            outcome["samples_ns"] = [ns // 2 for ns in outcome["samples_ns"]]

    change(made.cwd / "site/reports/demo", record=faster)
    fit_manifest(made.cwd / "site")
    assert any("not those of the row" in finding for finding in findings(made))


def test_links_in_a_site_are_not_followed(made: Workspace) -> None:
    (made.cwd / "site/link.html").symlink_to("/etc/hostname")
    assert any("link.html" in finding and "no file of a site" in finding for finding in findings(made))


def without_control(root: Path) -> None:
    """A report whose control has lost its second arm: the labels differ in nothing any more, since there are none."""
    folder = root / "reports/demo"

    def session(data: dict) -> None:
        data["cells"] = [cell for cell in data["cells"] if cell["label"] != "b"]
        data["keys"] = {cell["id"]: data["keys"][cell["id"]] for cell in data["cells"]}

    change(folder, session=session)
    records = next((folder / "records").glob("*.jsonl"))
    kept = [line for line in records.read_bytes().splitlines() if b'"label":"b"' not in line]
    gone = {json.loads(x)["id"] for x in records.read_bytes().splitlines()} - {json.loads(x)["id"] for x in kept}
    records.write_bytes(b"\n".join(kept) + b"\n")
    journal = folder / "journal" / records.name
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(line for line in lines if not any(id_ in line for id_ in gone)) + "\n")


def test_a_missing_control_is_refused_and_shown_where_it_is_declared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = repository(tmp_path)
    without_control(tmp_path)
    with pytest.raises(CellsFailedError) as caught:
        publish(PublishRequest(), made)
    assert "--declare" in caught.value.remedy
    assert "no-control" in capsys.readouterr().out
    assert not (tmp_path / "site").exists()
    publish(PublishRequest(declare=("demo:no-control=<b>lent</b> for an hour",)), made)
    page = (tmp_path / "site/matrices/demo.html").read_text()
    assert "No A/A control, declared by whoever published this: &lt;b&gt;lent&lt;/b&gt; for an hour" in page
    assert "declared: no-control" in (tmp_path / "site/index.html").read_text()
    assert verify_site(tmp_path / "site", made).findings == ()
    shutil.rmtree(tmp_path / "site")
    (tmp_path / "reports/demo/declared.yaml").write_text("no-control: by file\n")
    publish(PublishRequest(), made)
    assert "by file" in (tmp_path / "site/matrices/demo.html").read_text()


def test_an_unfinished_plan_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = repository(tmp_path)
    change(tmp_path / "reports/demo", session=lambda data: data.update(rounds=7))
    with pytest.raises(CellsFailedError):
        publish(PublishRequest(), made)
    assert "is not finished [incomplete]" in capsys.readouterr().out


def test_screening_and_changes_in_no_commit_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = repository(tmp_path)
    change(tmp_path / "reports/demo", session=lambda d: d.update(screening=True, harness_source="abc-dirty"))
    with pytest.raises(CellsFailedError):
        publish(PublishRequest(), made)
    said = capsys.readouterr().out
    assert "[screening]" in said
    assert "[uncommitted]" in said


def simulated(root: Path) -> Workspace:
    """As a test rig leaves it: a folder `simulated` within that of the matrix."""
    made = repository(root)
    folder = root / "reports/demo/simulated"
    shutil.copytree(root / "reports/demo", root / "copy")
    shutil.rmtree(root / "reports/demo")
    shutil.copytree(root / "copy", folder)
    change(folder, record=lambda value: value.update(simulated=True))
    return made


def test_simulated_results_are_published_only_if_named_and_declared_and_are_marked(tmp_path: Path) -> None:
    made = simulated(tmp_path)
    with pytest.raises(InputError, match="no records"):
        publish(PublishRequest(), made)
    with pytest.raises(CellsFailedError):
        publish(PublishRequest(reports=("demo/simulated",)), made)
    publish(PublishRequest(reports=("demo/simulated",), declare=("demo/simulated:simulated=a test",)), made)
    page = (tmp_path / "site/matrices/demo.simulated.html").read_text()
    assert "Simulated: no hardware was measured" in page
    assert "Demo (simulated)" in (tmp_path / "site/index.html").read_text()
    assert verify_site(tmp_path / "site", made).findings == ()


def test_simulated_records_in_a_real_folder_cannot_be_declared(tmp_path: Path) -> None:
    made = repository(tmp_path)
    change(tmp_path / "reports/demo", record=lambda value: value.update(simulated=True))
    with pytest.raises(BenchError):
        publish(PublishRequest(declare=("demo:simulated=a test",)), made)
    assert not (tmp_path / "site").exists()


def test_a_person_in_a_record_is_on_no_page(tmp_path: Path) -> None:
    made = repository(tmp_path)
    change(tmp_path / "reports/demo", session=lambda data: data.update(notes="ask bird@mail.example.org or Canary"))
    publish(PublishRequest(strike=("Canary",)), made)
    for path in (tmp_path / "site").rglob("*"):
        if path.is_file():
            assert b"bird@mail" not in path.read_bytes(), path
            assert b"Canary" not in path.read_bytes(), path
    assert "was struck out of 1 record" in (tmp_path / "site/matrices/demo.html").read_text()
    assert verify_site(tmp_path / "site", made).findings == ()
    assert b"bird@mail" in next((tmp_path / "reports/demo/sessions").iterdir()).read_bytes()


def test_a_word_in_the_name_of_a_machine_or_cell_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    made = repository(tmp_path)
    (machine,) = (path.stem for path in (made.reports / "demo/records").glob("*.jsonl"))
    for word, what in ((machine, f"the name of machine {machine}"), ("gemma3-270m-q4_k_m", "the id of cell cpu/gemma")):
        with pytest.raises(InputError, match=f"stands in {what}.* of demo, and cannot be struck out") as error:
            publish(PublishRequest(strike=("Canary", word)), made)
        assert error.value.where == f"--strike {word}"
        assert str(tmp_path) not in str(error.value)
        assert "matrix --machine" in error.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (PublishRequest(reports=("nowhere",)), "no such report"),
        (PublishRequest(reports=("../demo",)), "no name that can stand in an address"),
        (PublishRequest(declare=("demo=x",)), "is no declaration"),
        (PublishRequest(declare=("demo:whatever=x",)), "is no declaration"),
        (PublishRequest(declare=("demo:simulated=",)), "is no declaration"),
        (PublishRequest(declare=("other:simulated=x",)), "no report 'other'"),
        (PublishRequest(strike=("a",)), "too short"),
        (PublishRequest(title=""), "no text"),
        (PublishRequest(out="reports"), "something else than a site"),
        (PublishRequest(key="nowhere"), "no such key"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(tmp_path: Path, request_: PublishRequest, said: str) -> None:
    made = repository(tmp_path)
    with pytest.raises(InputError, match=said):
        publish(request_, made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reports"]


@pytest.mark.parametrize("text", ["a: [1", "- x\n", "whatever: x\n", "no-control: 5\n", 'no-control: ""\n'])
def test_a_file_of_declarations_with_mistakes_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    made = repository(tmp_path)
    (tmp_path / "reports/demo/declared.yaml").write_text(text)
    with pytest.raises(InputError, match=r"declared\.yaml"):
        publish(PublishRequest(), made)


def new_key(place: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(place)], check=True)
    return place


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on PATH (Debian: openssh-client)")
def test_a_signature_says_who_published(made: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    key, other = new_key(made.cwd / "key"), new_key(made.cwd / "other")
    site = made.cwd / "site"
    publish(PublishRequest(title="Ours", key="key"), made)
    assert (site / SIGNATURE).is_file()
    signers = made.cwd / "signers"
    signers.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    assert check_signature(site / MANIFEST, site / SIGNATURE, signers) == "ada@example.org"
    verify_any("site", signers="signers", workspace=made)
    assert "signed by ada@example.org" in capsys.readouterr().out
    signers.write_text(f"eve@example.org {other.with_suffix('.pub').read_text()}")
    with pytest.raises(CellsFailedError, match="not signed by anybody"):
        verify_any("site", signers="signers", workspace=made)
    signers.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    (site / "index.html").write_text("x")
    fit_manifest(site)
    with pytest.raises(CellsFailedError, match="not signed by anybody"):
        verify_any("site", signers="signers", workspace=made)
    (site / SIGNATURE).unlink()
    with pytest.raises(CellsFailedError, match="is not signed"):
        verify_any("site", signers="signers", workspace=made)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on PATH (Debian: openssh-client)")
def test_a_signature_for_another_purpose_is_none(made: Workspace) -> None:
    key, site = new_key(made.cwd / "key"), made.cwd / "site"
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "git", str(site / MANIFEST)]
    subprocess.run(command, check=True, capture_output=True)
    (made.cwd / "signers").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    with pytest.raises(CellsFailedError, match="not signed by anybody"):
        verify_any("site", signers="signers", workspace=made)


def test_nowhere_is_told_as_what_it_is(made: Workspace) -> None:
    with pytest.raises(InputError) as caught:
        verify_any("nowhere", workspace=made)
    assert "no such folder" in caught.value.what
    assert caught.value.where == "nowhere"
    assert "--file" not in str(caught.value)
    verify_any("demo", workspace=made)
    verify_any("demo.yaml", workspace=made)


def test_the_findings_as_json(made: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (made.cwd / "site/index.html").write_text("x")
    with pytest.raises(CellsFailedError):
        verify_any("site", as_json=True, workspace=made)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["findings"][0]["where"]) == (False, "index.html")
