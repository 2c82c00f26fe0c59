"""The doctor as a whole: what it prints, its JSON, its exit codes. It works without an engine and changes nothing."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from harness.errors import CellsFailedError, EngineError, InputError
from harness.flows import doctor
from harness.flows.checkup import host
from harness.flows.console import Display
from harness.flows.doctor import document, examine, not_ready, show
from harness.flows.workspace import CHECKOUT
from harness.machine.gate import GateResult
from harness.values.failure import Reason
from harness.values.finding import Finding, green, red, yellow

SCHEMA = json.loads((CHECKOUT / "harness/flows/doctor.schema.json").read_text(encoding="utf-8"))
CHECKS = SCHEMA["$defs"]["finding"]["properties"]["check"]["enum"]
NO_ENGINE = red("engine", "none answers", todo="start one")
NO_CARD = red("card", "none", todo="buy one", reason="no_device")


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_LOCK_DIR", str(tmp_path))
    quiet = GateResult(passed=True, waited_s=0.0, foreign_cpu=0.0, steal=0.0)
    monkeypatch.setattr(host, "wait_until_quiet", lambda **_: quiet)
    yield
    assert not (tmp_path / "cache").exists()  # it changes nothing


@pytest.mark.parametrize("file", ["", "rtx4090.yaml", "demo.yaml"])
@pytest.mark.usefixtures("without_engine")
def test_without_an_engine_everything_else_is_looked_at(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError):
        examine(file)
    told = capsys.readouterr().out
    assert "red    engine: " in told
    assert "\x1b" not in told
    for check in ("machine", "clock", "disk", "load", "lock"):
        assert re.search(rf"^(green |yellow) {check}: ", told, re.MULTILINE), check


@pytest.mark.parametrize("file", ["", "rtx4090.yaml", "strix-halo.yaml"])
@pytest.mark.usefixtures("without_engine")
def test_json_is_one_document_that_fits_its_schema(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError):
        examine(file, as_json=True)
    found = json.loads(capsys.readouterr().out)
    Draft202012Validator(SCHEMA).validate(found)
    assert (found["ready"], found["exit_code"], found["file"]) == (False, 3, file or None)


@pytest.mark.usefixtures("without_engine")
def test_a_mistake_in_the_file_is_told_before_anything_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError):
        examine("rtx4091.yaml")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("findings", "kind", "code"),
    [
        ((green("disk", "enough"), yellow("swap", "some", todo="off")), None, 0),
        ((NO_CARD,), CellsFailedError, 1),
        ((NO_CARD, NO_ENGINE), EngineError, 3),
    ],
)
def test_the_exit_code_follows_the_reddest_finding(findings: tuple[Finding, ...], kind: Any, code: int) -> None:
    error = not_ready(findings)
    assert (type(error) if error else None) is kind
    written = document("x.yaml", findings, error)
    Draft202012Validator(SCHEMA).validate(written)
    assert (written["exit_code"], written["ready"]) == (code, code == 0)


def test_every_check_is_in_the_documentation_and_in_the_schema() -> None:
    text = (CHECKOUT / "docs/doctor.md").read_text(encoding="utf-8").partition("## Why")[0]
    documented = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert documented == CHECKS
    sources = [*(CHECKOUT / "harness/flows/checkup").glob("*.py")]
    used = {
        name
        for source in sources
        for name in re.findall(r"\b(?:green|yellow|red)\(\s*\"(\w+)\"", source.read_text(encoding="utf-8"))
    }
    assert used == set(CHECKS)


def shown(finding: Finding, **options: Any) -> str:
    stream = io.StringIO()
    show(finding, Display(stream=Console(file=stream, width=200, soft_wrap=True, **options)))
    return stream.getvalue()


def test_colour_on_a_terminal_only_and_not_where_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in shown(NO_CARD, force_terminal=True)
    assert "\x1b" not in shown(NO_CARD)
    monkeypatch.setenv("NO_COLOR", "1")
    told = shown(NO_CARD, force_terminal=True)
    assert "\x1b[31m" not in told
    assert "\x1b[1;31m" not in told


def test_words_of_others_are_no_markup() -> None:
    assert "[[gpu]] [red]x[/red]" in shown(green("way", "capabilities: [[gpu]] [red]x[/red]"))


def test_the_module_says_which_schema_it_writes() -> None:
    assert SCHEMA["properties"]["schema"]["const"] == doctor.SCHEMA
    assert SCHEMA["properties"]["version"]["const"] == doctor.VERSION


def test_the_reasons_in_the_documentation_are_those_of_failures() -> None:
    text = (CHECKOUT / "docs/doctor.md").read_text(encoding="utf-8").partition("## Why")[2].partition("## JSON")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert documented <= {reason.value for reason in Reason}
    assert {"no_runtime", "cdi_off", "cdi_device", "group", "request_dropped", "device_node"} < documented
