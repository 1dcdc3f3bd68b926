"""`make test` must never pass by skipping."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ops.local.process import ROOT

SKIPPING = """
import pytest
@pytest.mark.skip(reason="no browser here")
def test_something_important(): raise AssertionError
def test_something_else(): pass
"""
PASSING = "def test_something(): pass\n"


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize(("tests", "code"), [(SKIPPING, 1), (PASSING, 0)])
def test_a_run_with_a_skipped_test_fails(tmp_path: Path, tests: str, code: int, workers: str) -> None:
    (tmp_path / "test_it.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", workers]
    command += ["--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stdout
    assert ("that is a failure here" in run.stdout) == bool(code)
