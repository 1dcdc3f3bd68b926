"""`box destroy`: in which order a box goes, and what must be kept first.

What AWS and Chalice delete is noted here (their real run is in tests/aws/test_boxes_on_aws.py); the tables are real.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner, Result

from chalicelib.adapters import tables
from chalicelib.domain.config import parse
from ops.aws import bundle, left_behind, provision, secrets, signing_keys, stack
from ops.aws.names import Names
from ops.boxes.new import create
from ops.boxes.project import Project, write
from ops.boxes.stages import read_stage, write_stage
from ops.cli import main
from ops.local.dynoxide import Dynoxide
from tests.ops.test_many_boxes import COMMON

MERCHANT = "leaving"
STREAM = (
    "arn:aws:dynamodb:eu-north-1:111122223333:table/merchant-box-leaving-conversions/stream/2026-11-26T05:00:00.000"
)


class Leaving:
    """A box that stands, with one publisher; another one is noted while `chalice delete` is at work."""

    def __init__(self, root: Path, dynamodb: Dynoxide) -> None:
        self.project, self.deleted, self.export = Project(root), list[str](), root / "exports" / "last.jsonl.gz"
        self.stack = "UPDATE_COMPLETE"
        self._dynamodb = dynamodb
        answers = {**COMMON, "name": "Leaving", "site": "https://leaving.example/", "signer": "keystore"}
        self.project.configs.mkdir()
        (root / "app.py").touch()
        create(self.project, MERCHANT, "arm64", answers)
        write(self.project.chalice / "deployed" / f"{MERCHANT}.json", json.dumps({"resources": [{"name": "rest_api"}]}))
        self.put("before")

    def put(self, publisher_id: str) -> None:
        tables.bind(f"merchant-box-{MERCHANT}", "eu-central-1", self._dynamodb.url)
        tables.create_all()
        tables.Publishers(publisher_id, body="{}").save()

    def empty(self) -> None:
        for one in tables.Publishers.scan():
            one.delete()

    def chalice(self, _: Project, command: str, *__: str) -> str:
        self.deleted.append(f"chalice {command}")
        self.put("meanwhile")
        return ""

    def run(self) -> Result:
        arguments = ["destroy", MERCHANT, "--confirm", MERCHANT, "--export", str(self.export), "--json"]
        return CliRunner().invoke(main, arguments, env={"DYNAMODB_URL": self._dynamodb.url})

    @property
    def exported(self) -> list[str]:
        lines = [json.loads(line) for line in gzip.decompress(self.export.read_bytes()).splitlines()]
        return sorted(line["item"]["publisherId"]["S"] for line in lines if line.get("table") == "publishers")


@pytest.fixture
def leaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dynamodb: Dynoxide) -> Leaving:
    monkeypatch.chdir(tmp_path)
    made = Leaving(tmp_path, dynamodb)

    def gone(what: str) -> Callable[..., list[str]]:
        def note(*_: Any) -> list[str]:
            made.deleted.append(what)
            return []

        return note

    monkeypatch.setattr(stack, "describe", lambda _: {"StackStatus": made.stack})
    monkeypatch.setattr(stack, "remove", gone("stack"))
    monkeypatch.setattr(left_behind, "write_down", lambda *_: None)
    monkeypatch.setattr(secrets, "remove_all", gone("secrets"))
    monkeypatch.setattr(bundle, "run_chalice", made.chalice)
    return made


def test_what_came_in_until_the_traffic_stopped_is_in_the_export(leaving: Leaving) -> None:
    done = leaving.run()
    assert done.exit_code == 0, done.stderr
    assert leaving.deleted == ["chalice delete", "stack", "secrets"]
    assert leaving.exported == ["before", "meanwhile"]


def test_a_config_with_a_mistake_stops_it_before_anything_is_deleted(leaving: Leaving) -> None:
    file = leaving.project.config_file(MERCHANT)
    file.write_text(file.read_text().replace('"currency"', '"curency"'))
    done = leaving.run()
    assert (done.exit_code, "curency" in done.stderr) == (2, True), done.stderr
    assert leaving.deleted == []


def test_what_cannot_be_exported_is_not_deleted(leaving: Leaving) -> None:
    tables.Vouchers.delete_table()
    done = leaving.run()
    assert (done.exit_code, "vouchers" in done.stderr) == (1, True), (done.stderr, done.exception)
    assert leaving.deleted == []
    assert not leaving.export.exists()


def test_a_deletion_that_broke_off_is_finished_without_the_tables_that_are_gone(leaving: Leaving) -> None:
    tables.Vouchers.delete_table()
    leaving.stack = "DELETE_FAILED"
    done = leaving.run()
    assert done.exit_code == 0, done.stderr
    assert leaving.deleted == ["chalice delete", "stack", "secrets"]
    assert json.loads(done.stdout)["export"] is None


def test_a_box_that_was_never_deployed_goes_although_it_holds_nothing(leaving: Leaving) -> None:
    leaving.project.forget_deployed(MERCHANT)
    leaving.empty()
    done = leaving.run()
    assert done.exit_code == 0, done.stderr
    assert leaving.deleted == ["stack", "secrets"]


def test_an_empty_export_of_a_box_that_takes_sales_stops_it(leaving: Leaving) -> None:
    leaving.empty()
    done = leaving.run()
    assert (done.exit_code, "the export is empty" in done.stderr) == (1, True), done.stderr
    assert leaving.deleted == []


def test_a_box_whose_stack_could_not_be_made_goes_without_an_export(leaving: Leaving) -> None:
    """It has no tables, or not all of them."""
    leaving.project.forget_deployed(MERCHANT)
    tables.Vouchers.delete_table()
    leaving.stack = "ROLLBACK_COMPLETE"
    done = leaving.run()
    assert done.exit_code == 0, done.stderr
    assert leaving.deleted == ["stack", "secrets"]


def test_a_box_that_stands_in_another_region_is_not_called_gone(
    leaving: Leaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is found here, and Chalice takes what it does not find for deleted."""
    signer = parse(leaving.project.config_file(MERCHANT).read_bytes(), "its config").signer
    stage = read_stage(leaving.project, MERCHANT, signer)
    assert stage is not None
    write_stage(leaving.project, replace(stage, conversions_stream=STREAM))
    monkeypatch.setattr(provision, "region", lambda: "eu-west-1")
    monkeypatch.setattr(provision, "account", lambda: "111122223333")
    monkeypatch.setattr(stack, "describe", lambda _: None)
    done = leaving.run()
    assert (done.exit_code, "stands in eu-north-1" in done.stderr) == (1, True), done.stderr
    assert leaving.deleted == []
    assert leaving.project.deployed(MERCHANT) != {}


def test_a_key_of_somebody_else_that_nobody_here_may_look_at_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """KMS lists every key of the account, and a key's own policy says who may ask about it."""
    secret, own = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
    kms = boto3.client("kms", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")
    monkeypatch.setattr(signing_keys, "client", lambda _: kms)
    about = {"KeyId": own, "KeyManager": "CUSTOMER", "KeyState": "Enabled"}
    with Stubber(kms) as aws:
        aws.add_response("list_aliases", {"Aliases": []})
        aws.add_response("list_keys", {"Keys": [{"KeyId": secret}, {"KeyId": own}]})
        aws.add_client_error("describe_key", "AccessDeniedException")
        aws.add_response("describe_key", {"KeyMetadata": about})
        aws.add_response("list_resource_tags", {"Tags": [{"TagKey": "merchant-box", "TagValue": MERCHANT}]})
        aws.add_response("schedule_key_deletion", {})
        assert signing_keys.retire_keys(Names(MERCHANT)) == 1
