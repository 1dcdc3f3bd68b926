"""A command that is broken off, and two that are at work on one box: nothing half is left, and neither does what the other is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ops.boxes import transfer
from ops.boxes.new import create
from ops.boxes.output import Failed
from ops.boxes.project import Project
from ops.cli import main
from ops.local.dynoxide import Dynoxide
from tests.ops.test_many_boxes import COMMON

MERCHANT = "leaving"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "app.py").touch()
    made = Project(tmp_path)
    answers = {**COMMON, "name": "Leaving", "site": "https://leaving.example/", "signer": "keystore"}
    create(made, MERCHANT, "arm64", answers)
    return made


@pytest.fixture
def signals_as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("signals_as_they_were")
def test_a_command_that_is_ended_clears_away_what_it_had_half_done(
    project: Project, dynamodb: Dynoxide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export holds salts and order numbers: half of one is not to lie about under a name that nobody knows."""

    def ended(*_: Any) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        raise AssertionError("it goes on")

    monkeypatch.setattr(transfer, "_write", ended)
    folder = project.root / "kept"
    done = CliRunner().invoke(
        main, ["export", MERCHANT, str(folder / "all.jsonl.gz")], env={"DYNAMODB_URL": dynamodb.url}
    )
    assert (done.exit_code, "Aborted" in done.stderr) == (1, True), (done.stderr, done.exception)
    assert list(folder.iterdir()) == []


def test_a_second_command_for_a_box_is_told_of_the_first(project: Project) -> None:
    other = Project(project.root)
    with (
        project.at_work_on(MERCHANT),
        pytest.raises(Failed, match=f"at work on {MERCHANT}"),
        other.at_work_on(MERCHANT),
    ):
        pass
    with project.at_work_on("another"), other.at_work_on(MERCHANT):
        pass


def test_what_chalice_goes_on_with_for_a_command_that_was_killed_is_waited_for(project: Project) -> None:
    other = Project(project.root)
    with project.at_work_on(MERCHANT):
        # As bundle.run_chalice starts it. The lock is given up here, as by a command that is killed; the child still has it.
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=project.locks, text=True
        )
    with pytest.raises(Failed, match="left Chalice at it"), other.at_work_on(MERCHANT):
        pass
    child.communicate("\n")
    with other.at_work_on(MERCHANT):
        pass
