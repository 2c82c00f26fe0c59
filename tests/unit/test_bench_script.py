"""The script `bench`, in a copy of its folder, with programs in place of Python, pip and Invoke."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("cat", "chmod", "cksum", "dirname", "flock", "grep", "id", "mkdir", "mv", "readlink", "rm", "sh", "sleep")

# Stands in for Python. `-m venv --clear DIR` makes an environment with itself, which shows how the program of the tasks
# was called; `-m pip` is noted; checks of the version and of modules end as the files beside it say.
PYTHON = """\
#!/bin/sh
here={bin}
case "$1 $2" in
"-m venv")
    echo venv >>"$here/calls"
    rm -rf "$4"
    mkdir -p "$4/bin"
    cat "$here/python3" >"$4/bin/python"
    chmod +x "$4/bin/python"
    ;;
*/tasks_program.py*)
    shift
    echo "cwd=$(pwd)"
    echo "BENCH_CWD=$BENCH_CWD"
    echo "PYTHONPATH=${{PYTHONPATH-unset}}"
    for argument; do echo "arg=$argument"; done
    exit 42
    ;;
"-m pip")
    echo "pip $*" >>"$here/calls"
    [ ! -e "$here/pip-fails" ] || {{ echo 'ERROR: no network' >&2; exit 1; }}
    ;;
-c*version_info*3,*11*) [ ! -e "$here/old" ] ;;
-c*ensurepip*) [ ! -e "$here/no-venv" ] ;;
-c*venv*) echo python3.11-venv ;;
--version*) echo Python 3.9.2 ;;
*) exit 9 ;;
esac
"""


@dataclass
class Checkout:
    """A folder with the script and a lock file, and a PATH with nothing but what the script needs."""

    root: Path
    bin: Path

    def run(self, *arguments: str, cwd: Path | None = None, script: Path | None = None, **env: str):
        return subprocess.run(
            [script or self.root / "bench", *arguments],
            cwd=cwd or self.root.parent,
            env={"PATH": str(self.bin), "HOME": str(self.root.parent), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        """What was asked of Python and pip, in order."""
        file = self.bin / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, programs = tmp_path / "a checkout", tmp_path / "bin"
    root.mkdir()
    programs.mkdir()
    shutil.copy(ROOT / "bench", root / "bench")
    (root / "requirements.lock").write_text("invoke==1\n")
    for tool in TOOLS:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"{tool} is not installed")
        (programs / tool).symlink_to(found)
    (programs / "python3").write_text(PYTHON.format(bin=programs))
    (programs / "python3").chmod(0o755)
    return Checkout(root=root, bin=programs)


def test_the_script_is_posix_sh():
    for shell in ("sh", "dash", "bash", "busybox"):
        if shutil.which(shell):
            command = [shell, "sh", "-n"] if shell == "busybox" else [shell, "-n"]
            subprocess.run([*command, ROOT / "bench"], check=True)
    assert os.access(ROOT / "bench", os.X_OK)


def test_shellcheck_has_nothing_to_say():
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    for script in ("bench", ".ci/run"):
        done = subprocess.run(["shellcheck", ROOT / script], capture_output=True, text=True, check=False)
        assert done.stdout == ""


def test_the_first_call_makes_the_environment_from_the_lock_with_hashes(checkout):
    done = checkout.run("matrix", "--file", "demo.yaml")
    assert done.returncode == 42
    venv, pip = checkout.calls
    assert venv == "venv"
    assert "--require-hashes" in pip
    assert f"-r {checkout.root}/requirements.lock" in pip
    assert "making the Python environment" in done.stderr
    assert "bench:" not in done.stdout


def test_arguments_reach_invoke_one_by_one_in_the_checkout(checkout, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    done = checkout.run("matrix", "--file", "my file.yaml", "*", "", cwd=elsewhere)
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"cwd={checkout.root}", f"BENCH_CWD={elsewhere}"]
    arguments = [line.removeprefix("arg=") for line in lines if line.startswith("arg=")]
    assert arguments == ["--write-pyc", "matrix", "--file", "my file.yaml", "*", ""]


def test_no_arguments_list_the_tasks(checkout):
    assert checkout.run().stdout.splitlines()[-1] == "arg=--list"


def test_the_second_call_makes_nothing_and_starts_no_python(checkout):
    checkout.run()
    before = checkout.calls
    (checkout.bin / "python3").unlink()
    done = checkout.run("plan")
    assert done.returncode == 42
    assert done.stderr == ""
    assert checkout.calls == before


def test_it_is_found_through_a_link_and_called_by_sh(checkout, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(checkout.root / "bench")
    assert f"cwd={checkout.root}" in checkout.run(script=link).stdout
    done = subprocess.run(
        ["sh", "bench"],
        cwd=checkout.root,
        env={"PATH": str(checkout.bin)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"cwd={checkout.root}" in done.stdout


def test_a_changed_lock_makes_the_environment_anew(checkout):
    checkout.run()
    (checkout.root / "requirements.lock").write_text("invoke==2\n")
    checkout.run()
    assert checkout.calls.count("venv") == 2


def test_a_moved_checkout_makes_the_environment_anew(checkout, tmp_path):
    checkout.run()
    checkout.root = checkout.root.rename(tmp_path / "moved")
    assert f"cwd={tmp_path}/moved" in checkout.run().stdout
    assert checkout.calls.count("venv") == 2


def test_an_interpreter_that_went_away_makes_the_environment_anew(checkout, tmp_path):
    checkout.run()
    python = checkout.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert checkout.run().returncode == 42
    assert checkout.calls.count("venv") == 2


def test_an_installation_that_failed_is_repeated(checkout):
    (checkout.bin / "pip-fails").touch()
    done = checkout.run()
    assert done.returncode == 3
    assert "ERROR: no network" in done.stderr
    assert "requirements.lock could not be installed" in done.stderr
    assert "->" in done.stderr
    (checkout.bin / "pip-fails").unlink()
    assert checkout.run().returncode == 42
    assert checkout.calls.count("venv") == 2


def test_an_old_python_is_told_with_what_to_do(checkout):
    (checkout.bin / "old").touch()
    done = checkout.run()
    assert done.returncode == 3
    assert "no Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert "apt-get install python3" in done.stderr
    assert not (checkout.root / ".venv").exists()


def test_no_python_at_all_is_told_with_what_to_do(checkout):
    (checkout.bin / "python3").unlink()
    done = checkout.run()
    assert done.returncode == 3
    assert "no Python 3.11 or newer" in done.stderr


def test_a_newer_python_beside_an_old_one_is_found(checkout):
    newer = checkout.bin / "python3.12"
    newer.write_text((checkout.bin / "python3").read_text().replace('[ ! -e "$here/old" ]', "true"))
    newer.chmod(0o755)
    (checkout.bin / "old").touch()
    assert checkout.run().returncode == 42


def test_a_missing_venv_module_names_the_package(checkout):
    (checkout.bin / "no-venv").touch()
    done = checkout.run()  # there is no apt-get on PATH
    assert done.returncode == 3
    assert "apt-get install python3.11-venv" in done.stderr


def test_root_on_debian_gets_the_venv_package_installed_after_being_told(checkout):
    if os.geteuid() != 0 or not re.search(r"^ID(_LIKE)?=.*(debian|ubuntu)", _os_release(), re.MULTILINE):
        pytest.skip("needs root on Debian or Ubuntu")
    (checkout.bin / "no-venv").touch()
    apt = checkout.bin / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "apt $*" >>{checkout.bin}/calls\nrm -f {checkout.bin}/no-venv\n')
    apt.chmod(0o755)
    done = checkout.run()
    assert done.returncode == 42
    assert "installing python3.11-venv with apt-get" in done.stderr
    assert [call for call in checkout.calls if call.startswith("apt")][-1].endswith("python3.11-venv")


def test_packages_of_other_programs_do_not_shadow_the_lock(checkout):
    assert "PYTHONPATH=unset" in checkout.run(PYTHONPATH="/opt/other").stdout


def test_an_environment_in_use_is_not_exchanged_under_a_running_benchmark(checkout):
    checkout.run()
    (checkout.root / "requirements.lock").write_text("invoke==2\n")
    folder = os.open(checkout.root, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_SH)  # as held by a running ./bench
    waiting = subprocess.Popen(
        [checkout.root / "bench"],
        env={"PATH": str(checkout.bin)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stderr is not None
    assert "waiting for another ./bench" in waiting.stderr.readline()
    time.sleep(0.1)
    assert checkout.calls.count("venv") == 1
    os.close(folder)
    waiting.communicate(timeout=30)
    assert waiting.returncode == 42
    assert checkout.calls.count("venv") == 2


def test_the_real_lock_has_a_hash_for_every_package_and_names_no_host():
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert "://" not in text
    assert "--index" not in text


def test_every_direct_dependency_is_in_the_lock_and_is_explained():
    lock = (ROOT / "requirements.lock").read_text()
    explained = (ROOT / "docs/dependencies.md").read_text()
    for file in ("requirements.in", "requirements-dev.in"):
        for name in re.findall(r"^[A-Za-z][\w-]*", (ROOT / file).read_text(), re.MULTILINE):
            assert re.search(rf"^{name.lower().replace('_', '-')}==", lock, re.MULTILINE), name
            assert f"`{name}`" in explained, name


def _os_release() -> str:
    try:
        return Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return ""
