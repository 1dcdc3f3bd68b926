"""`box demo --once` proves the whole story, and says so only when it is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops.local.process import ROOT
from ops.story import tell


def test_every_step_holds_with_its_evidence() -> None:
    command = [sys.executable, "-m", "ops.cli", "demo", "--once"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.rstrip().endswith("Every step held.")
    for evidence in (
        r"click [a-z2-7]{24}",
        r"conversion [a-z2-7]{26}, status open",
        r"transaction 0x[0-9a-f]{64}, block \d+, sequence 1, commission 10\.00 EUR",
        r"status approved, by the chain alone",
        r"commission approved 10\.00 EUR",
    ):
        assert re.search(evidence, run.stdout), evidence


def test_the_first_step_that_does_not_hold_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((ROOT / "configs" / "demo.json").read_text())
    config["agreementDefaults"]["rules"][0]["percent"] = "9"
    stingy = tmp_path / "stingy.json"
    stingy.write_text(json.dumps(config))
    assert not tell(tmp_path / "in json", "--config", str(stingy), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["held"], [step["held"] for step in document["steps"]]) == (False, [True] * 5 + [False])
    assert not tell(tmp_path, "--config", str(stingy))
    told = capsys.readouterr().out
    assert "DOES NOT HOLD: the commission that the contract computed is '9.00', not '10.00'" in told
    assert "Every step held." not in told
    assert "The statistics show it" not in told
