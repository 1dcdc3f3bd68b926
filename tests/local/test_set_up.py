"""The set-up finds what is there, and says in a sentence what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.local.process import ROOT

SETUP = ROOT / "ops" / "setup.sh"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with a shell and nothing that the set-up looks for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "env", "sh"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def set_up(part: str, tools: Path, home: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": str(tools), "HOME": str(home)}
    return subprocess.run([str(SETUP), part], env=env, capture_output=True, text=True, check=False)


WORKING = f'exec "{os.path.realpath(sys.executable)}" "$@"'
BROKEN = "echo 'pyenv: version not selected' >&2; exit 127"


def test_a_shim_that_does_not_run_is_passed_over(tools: Path, tmp_path: Path) -> None:
    script(tools / "python3.13", BROKEN)
    script(tools / "python3.12", BROKEN)
    script(tools / "python3", WORKING)
    found = set_up("which-python", tools, tmp_path)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).resolve() == Path(sys.executable).resolve()


def test_a_newer_python_beside_the_default_one_is_found(tools: Path, tmp_path: Path) -> None:
    script(tools / "python3", BROKEN)
    script(tmp_path / ".pyenv" / "versions" / "3.13.9" / "bin" / "python3.13", WORKING)
    found = set_up("which-python", tools, tmp_path)
    assert found.returncode == 0, found.stderr


def test_without_a_usable_python_it_says_which_is_needed(tools: Path, tmp_path: Path) -> None:
    script(tools / "python3", BROKEN)
    refused = set_up("which-python", tools, tmp_path)
    assert refused.returncode == 1
    assert "Python 3.11 or newer with its venv module is needed" in refused.stderr


def test_without_a_browser_it_says_what_to_install_instead_of_skipping(tools: Path, tmp_path: Path) -> None:
    script(tools / "id", "echo 1000")
    refused = set_up("system", tools, tmp_path)
    assert refused.returncode == 1
    assert "sudo apt-get install chromium firefox-esr mono-mcs mono-runtime php-cli" in refused.stderr


def test_with_the_rights_it_installs_what_is_missing_and_no_more(tools: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    script(tools / "id", "echo 0")
    for there in ("google-chrome", "mcs", "php"):
        script(tools / there, "exit 0")
    script(tools / "apt-get", f'echo "$@" >> {asked}; exit 100')
    refused = set_up("system", tools, tmp_path)
    assert refused.returncode == 1
    assert "could not be installed" in refused.stderr
    assert asked.read_text().splitlines() == ["update -qq"]
    script(tools / "apt-get", f'echo "$@" >> {asked}; [ "$1" = update ]')
    set_up("system", tools, tmp_path)
    assert asked.read_text().splitlines()[-1].endswith(" mono-runtime")
