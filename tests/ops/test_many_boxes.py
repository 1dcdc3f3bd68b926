"""`box deploy --all` and `box upgrade --all`: which box is brought when, what a failure or a kill stops, where the next run goes on.

The seam is the one step that takes minutes a box: what `ops.aws.deploy.deploy` and `chalice package` do is noted here.
Their real run, on a local AWS, is tests/aws/test_boxes_on_aws.py. Everything around them is real: the command, the project on disk, the
threads, the resume file, and a process that is killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from chalice.constants import MISSING_DEPENDENCIES_TEMPLATE
from click.testing import CliRunner

from ops.aws import bundle, deploy, releases
from ops.aws.deploy import Deployed, RolledBack
from ops.aws.smoke import config_hash
from ops.aws.stack import Say
from ops.boxes.new import create_many
from ops.boxes.output import Failed
from ops.boxes.project import Project, write
from ops.cli import main
from ops.local.process import ROOT

MERCHANTS = ("acme", "globex", "hooli", "initech")
COMMON: dict[str, Any] = {
    "account": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "chain_id": 31337,
    "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "currency": "EUR",
    "time_zone": "Europe/Amsterdam",
    "sale_percent": "10",
}


def stand_in(log: Path, plan: dict[str, str]) -> None:
    """From here on a deployment writes what it does to `log`; `plan` says by merchant what befalls it."""

    def note(what: str) -> str:
        with log.open("a") as file:
            file.write(what + "\n")
        return ""

    def bring(
        project: Project, merchant: str, say: Say, *, rpc_urls: str | None = None, with_provision: bool = True
    ) -> Deployed:
        say(f"{merchant}: {rpc_urls} {with_provision}")
        note(f"begin {merchant}")
        match plan.get(merchant):
            case "hangs":
                time.sleep(60)
            case "fails":
                raise Failed("no such queue")
            case "breaks":
                raise ValueError("something nobody foresaw")
            case "is rolled back":
                raise RolledBack("the smoke test failed: 500. The release before it runs again")
        time.sleep(0.2)
        note(f"end {merchant}")
        return Deployed(merchant, "http://127.0.0.1:9", config_hash(project.config_file(merchant)), 0.2)

    # Not by monkeypatch: a process of its own, to be killed, does it too. The fixture puts it back.
    deploy.deploy = bring


class Operated:
    def __init__(self, folder: Path) -> None:
        self.root, self.log = folder, folder / "log.txt"
        (folder / "configs").mkdir()
        (folder / "chalicelib").mkdir()
        for name in ("app.py", "requirements.txt", "chalicelib/tag.js"):
            (folder / name).write_text("1\n")
        listed = [
            {**COMMON, "merchant": m, "name": m.title(), "site": f"https://{m}.example/", "signer": "keystore"}
            for m in MERCHANTS
        ]
        create_many(Project(folder), listed, "arm64", {})

    @property
    def resume(self) -> Path:
        return self.root / ".chalice" / "deploying.json"

    def run(self, *arguments: str, **plan: str) -> tuple[int, Any, str]:
        """(exit code, the JSON answer or None, stderr)."""
        self.log.write_text("")
        stand_in(self.log, plan)
        done = CliRunner().invoke(main, [*arguments, "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr

    def ended_while_at(self, merchant: str, how: signal.Signals, **plan: str) -> None:
        """`box deploy --all`, one at a time, in a process that gets the signal while it deploys that merchant."""
        self.log.write_text("")
        code = (
            # A shell that runs the tests in the background has children ignore Ctrl-C; this one must hear it.
            "import json, signal, sys, pathlib; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from tests.ops import test_many_boxes as t; "
            "t.stand_in(pathlib.Path(sys.argv.pop(1)), json.loads(sys.argv.pop(1))); t.main()"
        )
        arguments = [str(self.log), json.dumps(plan), "deploy", "--all", "--at-once", "1"]
        started = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], cwd=self.root, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        deadline = time.monotonic() + 60
        while merchant not in self.begun:
            assert time.monotonic() < deadline and started.poll() is None
            time.sleep(0.01)
        started.send_signal(how)
        assert started.wait(30) != 0

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    @property
    def begun(self) -> list[str]:
        return [line.removeprefix("begin ") for line in self.lines if line.startswith("begin ")]


@pytest.fixture
def operated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operated:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(deploy, "deploy", deploy.deploy)
    return Operated(tmp_path)


def test_every_box_is_deployed_once_and_nothing_is_left_to_resume(operated: Operated) -> None:
    code, answer, _ = operated.run("deploy", "--all", "--at-once", "2")
    assert code == 0
    assert sorted(operated.begun) == sorted(answer["done"]) == list(MERCHANTS)
    assert not operated.resume.exists()


@pytest.mark.parametrize("there", ["nothing", "half of it"])
def test_boxes_that_are_deployed_at_once_share_one_build(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    project = Project(operated.root)
    package, built = bundle.package_file(project, "arm64"), []

    def chalice(_: Project, *arguments: str) -> str:
        built.append(arguments)
        package.write_bytes(b"PK\3\4")
        time.sleep(0.2)
        with zipfile.ZipFile(package, "w") as held:
            held.writestr("app.py", "")
        return ""

    monkeypatch.setattr(bundle, "run_chalice", chalice)
    if there == "half of it":
        package.parent.mkdir(parents=True)
        package.write_bytes(b"PK\3\4")
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(lambda merchant: bundle.build(project, merchant, "arm64", print), MERCHANTS))
    assert len(built) == 1
    assert zipfile.is_zipfile(package)


@pytest.mark.parametrize(
    ("zipped", "unzipped", "taken"), [(40.0, 120.0, True), (40.1, 120.0, False), (39.0, 120.1, False)]
)
def test_a_deployment_says_what_its_bundle_weighs_and_stops_at_one_that_is_too_heavy(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, zipped: float, unzipped: float, taken: bool
) -> None:
    project = Project(operated.root)
    said: list[str] = []
    package = bundle.package_file(project, "arm64")
    package.parent.mkdir(parents=True)
    with zipfile.ZipFile(package, "w") as held:
        held.writestr("app.py", "1\n")
    monkeypatch.setattr(bundle, "sizes", lambda _: (int(zipped * 1e6), int(unzipped * 1e6)))
    told = f"the bundle has {zipped:.1f} MB zipped, {unzipped:.1f} MB unzipped"
    if taken:
        bundle.build(project, "acme", "arm64", said.append)
        assert said == [f"acme: {told}"]
    else:
        with pytest.raises(Failed, match=f"{told}: more than 40 and 120 MB"):
            bundle.build(project, "acme", "arm64", said.append)


def test_a_bundle_that_chalice_left_a_dependency_out_of_is_not_used(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chalice says so, and ends well."""
    project = Project(operated.root)
    package = bundle.package_file(project, "arm64")

    def chalice(_: Project, *__: str) -> str:
        zipped(package)
        return MISSING_DEPENDENCIES_TEMPLATE % "web3==9.9\nnothing==1.0"

    monkeypatch.setattr(bundle, "run_chalice", chalice)
    with pytest.raises(Failed, match=r"no wheel for Lambda of web3==9\.9, nothing==1\.0"):
        bundle.build(project, "acme", "arm64", print)
    assert not package.exists()


def test_old_bundles_go_but_for_those_that_a_box_runs(operated: Operated) -> None:
    project = Project(operated.root)
    package = bundle.package_file(project, "arm64")
    running, old, young = (package.with_name(f"{name}.zip") for name in ("running", "old", "young"))
    for file in (package, running, old, young):
        zipped(file)
    for file in (package, running, old):
        os.utime(file, (1, 1))
    releases.keep(project, releases.Release("acme", "0", "0", str(running), "deployment", {}))
    bundle.build(project, "acme", "arm64", print)
    assert set(package.parent.glob("*.zip")) == {package, running, young}


def zipped(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as held:
        held.writestr("app.py", "")


def test_no_more_boxes_are_at_work_at_once_than_asked_for(operated: Operated) -> None:
    operated.run("deploy", "--all", "--at-once", "2")
    at_work, most = 0, 0
    for line in operated.lines:
        at_work += line.startswith("begin ") - line.startswith("end ")
        most = max(most, at_work)
    assert most == 2


def test_a_box_that_fails_stops_no_other_and_is_the_only_one_in_the_next_run(operated: Operated) -> None:
    code, answer, _ = operated.run("deploy", "--all", globex="fails", hooli="breaks")
    assert code == 1
    assert answer["done"].keys() == {"acme", "initech"}
    assert answer["failed"] == {"globex": "no such queue", "hooli": "something nobody foresaw"}
    code, answer, told = operated.run("deploy", "--all")
    assert (code, sorted(operated.begun)) == (0, ["globex", "hooli"])
    assert answer["done"].keys() == set(MERCHANTS)
    assert "2 of 4 were done before" in told
    assert not operated.resume.exists()


def test_a_run_that_was_killed_goes_on_where_it_was(operated: Operated) -> None:
    operated.ended_while_at("hooli", signal.SIGKILL, hooli="hangs")
    code, _, _ = operated.run("deploy", "--all", "--at-once", "1")
    assert (code, operated.begun) == (0, ["hooli", "initech"])


def test_what_is_done_is_kept_before_the_next_box_is_begun(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk: whenever the run is killed, no box that was done is brought again."""

    def slowly(path: Path, text: str) -> None:
        time.sleep(0.2)
        write(path, text)
        with operated.log.open("a") as file:
            file.write("kept\n")

    monkeypatch.setattr("ops.aws.deploy.write", slowly)
    operated.run("deploy", "--all", "--at-once", "1", hooli="fails")
    assert operated.lines == [
        *("begin acme", "end acme", "kept"),
        *("begin globex", "end globex", "kept"),
        *("begin hooli", "kept"),
        *("begin initech", "end initech", "kept"),
    ]


def test_after_an_interrupt_no_further_box_is_begun(operated: Operated) -> None:
    operated.ended_while_at("acme", signal.SIGINT)
    assert "initech" not in operated.begun


@pytest.mark.parametrize("changed", ["configs/acme.json", "chalicelib/tag.js", "app.py", "requirements.txt"])
def test_what_changed_since_makes_the_next_run_begin_anew(operated: Operated, changed: str) -> None:
    operated.run("deploy", "--all", globex="fails")
    assert operated.resume.exists()
    file = operated.root / changed
    file.write_text(file.read_text() + "\n")
    operated.run("deploy", "--all")
    assert sorted(operated.begun) == list(MERCHANTS)


def test_an_upgrade_brings_the_canary_first_and_the_others_only_after_it(operated: Operated) -> None:
    code, answer, _ = operated.run("upgrade", "--all", "--canary", "hooli")
    assert code == 0
    assert operated.lines[:2] == ["begin hooli", "end hooli"]
    assert sorted(operated.begun) == sorted(answer["done"]) == list(MERCHANTS)


def test_a_canary_that_is_rolled_back_keeps_the_others_as_they_are(operated: Operated) -> None:
    code, answer, told = operated.run("upgrade", "--all", "--canary", "hooli", hooli="is rolled back")
    assert code == 3
    assert operated.begun == ["hooli"]
    assert "runs again" in told
    assert "runs again" in answer["error"]
    operated.run("upgrade", "--all", "--canary", "hooli")
    assert operated.begun[0] == "hooli"


def test_an_upgrade_tells_which_box_was_rolled_back_after_the_canary_held(operated: Operated) -> None:
    code, answer, _ = operated.run("upgrade", "--all", "--canary", "acme", globex="is rolled back")
    assert code == 1
    assert answer["done"].keys() == {"acme", "hooli", "initech"}
    assert "runs again" in answer["failed"]["globex"]
    operated.run("upgrade", "--all", "--canary", "acme")
    assert operated.begun == ["globex"]


def test_a_canary_nobody_knows_is_refused_before_anything_is_done(operated: Operated) -> None:
    code, _, told = operated.run("upgrade", "--all", "--canary", "hoolli")
    assert (code, operated.begun) == (2, [])
    assert "hoolli" in told


def test_a_box_that_is_named_twice_is_brought_once(operated: Operated) -> None:
    code, answer, told = operated.run("deploy", "acme", "globex", "acme")
    assert (code, sorted(operated.begun)) == (0, ["acme", "globex"])
    assert answer["done"].keys() == {"acme", "globex"}
    assert "2 of 2 deployed" in told
    operated.run("deploy", "acme", "acme")
    assert operated.begun == ["acme"]


@pytest.mark.parametrize(
    "command",
    [
        "deploy here",
        "deploy acme here",
        "upgrade acme here --canary acme",
        "provision here",
        "gateway here",
        "smoke here",
    ],
)
def test_a_box_of_this_machine_is_not_brought_to_aws(operated: Operated, command: str) -> None:
    """Refused before anything is asked of AWS, where it would get tables and a stack that nothing writes to."""
    here = {**COMMON, "merchant": "here", "name": "Here", "site": "https://here.example/", "signer": "local"}
    create_many(Project(operated.root), [here], "arm64", {})
    code, _, told = operated.run(*command.split())
    assert (code, operated.begun) == (2, [])
    assert "`box up`" in told
    assert operated.run("deploy", "--all")[1]["done"].keys() == set(MERCHANTS)


@pytest.mark.parametrize("command", ["deploy acme nobody", "upgrade acme nobody --canary acme", "gateway nobody"])
def test_a_merchant_without_a_config_is_refused_before_any_other_is_brought(operated: Operated, command: str) -> None:
    code, _, told = operated.run(*command.split())
    assert (code, operated.begun) == (2, [])
    assert "no configs/nobody.json" in told
