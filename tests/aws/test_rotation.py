"""`box signer rotate` on a provisioned box: both keys may act for a while, the old one's transactions are seen through, the new one stays.

Stack, keys, parameters, tables, roles and network are real ones (a local AWS, an EVM node). The seam is what the functions run: they are
made here with an empty bundle instead of by `chalice deploy`, for a rotation touches their environment, concurrency and roles alone.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest

from chalicelib.domain.transaction import Transaction
from ops.aws import releases
from ops.aws.functions import functions
from ops.aws.names import Names
from ops.aws.policies import ACCESS
from ops.aws.releases import Release
from ops.aws.rotation import FOLLOWER
from ops.boxes.project import Project
from ops.local.anvil import Anvil
from ops.local.process import ROOT
from tests.aws.conftest import PASSWORD, keystore
from tests.aws.local_aws import REGION, LocalAws
from tests.aws.operating import Network, Operator, new_merchant

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
ACCOUNT_ROLE = "arn:aws:iam::000000000000:role/"


class Rotated:
    """A provisioned box whose operational key is funded and authorised."""

    def __init__(self, aws: LocalAws, chain: Anvil, folder: Path, signer: str) -> None:
        self.merchant, self._aws = f"{signer}-shop", aws
        self.names = Names(self.merchant)
        self.operator = Operator(folder / "project", {**aws.environment, "BOX_KEYSTORE_PASSWORD": PASSWORD})
        self.network = Network(chain.url, folder / "accounts")
        self.owner = str(keystore(new_merchant(self.operator, self.network, self.merchant, signer), folder))
        self.operator.box("provision", self.merchant, "--rpc", chain.url)
        for function in functions():
            self._make(function.name)
        self.let_act()

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._aws.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    @property
    def stage(self) -> dict[str, Any]:
        held = json.loads((self.operator.project / ".chalice" / "config.json").read_text())["stages"][self.merchant]
        return dict(held["environment_variables"])

    def _make(self, name: str) -> None:
        role, bundle = self.names.role(name), io.BytesIO()
        with zipfile.ZipFile(bundle, "w") as held:
            held.writestr("app.py", "def app(event, context):\n    return None\n")
        policy = (self.operator.project / ".chalice" / "policies" / self.merchant / f"{name}.json").read_text()
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
        ]}  # fmt: skip
        self.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        self.client("iam").put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=policy)
        self.client("lambda").create_function(
            FunctionName=self.names.function(name),
            Runtime="python3.13",
            Handler="app.app",
            Role=ACCOUNT_ROLE + role,
            Code={"ZipFile": bundle.getvalue()},
            Environment={"Variables": self.stage},
        )
        if name == "sign_on_change":
            self.client("lambda").put_function_concurrency(
                FunctionName=self.names.function(name), ReservedConcurrentExecutions=1
            )

    def let_act(self, *which: str) -> None:
        self.operator.box("signer", "fund", self.merchant, *which, "--amount", "1", "--keystore", self.owner)
        self.operator.box("signer", "authorise", self.merchant, *which, "--keystore", self.owner)

    def put_transaction(self, signer: str, state: str) -> None:
        """As the signer's function would have left it."""
        one = Transaction(signer=signer, nonce=0, kind="record", gas=100_000, state=state, claimed=True)  # type: ignore[arg-type]
        body = msgspec.json.encode(one).decode()
        item = {"signer": {"S": signer}, "nonce": {"N": "0"}, "version": {"N": "1"}, "body": {"S": body}}
        self.client("dynamodb").put_item(TableName=f"{self.names.prefix}-transactions", Item=item)

    def keep_release(self) -> None:
        """As `box deploy` leaves it, with the environment of now."""
        package = self.operator.project / "bundle.zip"
        package.touch()
        releases.keep(
            Project(self.operator.project),
            Release(self.merchant, "0", "0", str(package), "deployment", self.environment("sign_on_schedule")),
        )

    def kept_release(self) -> dict[str, str]:
        held = releases.last(Project(self.operator.project), self.merchant)
        assert held is not None
        return held.environment

    def wait_until_nothing_signs(self, command: subprocess.Popen[str]) -> None:
        signing = [name for name, does in ACCESS.items() if does.signs and name != FOLLOWER]
        wait_until(lambda: {self.at_once(name) for name in signing} == {0}, command)

    def wait_until_the_first_function_has(self, address: str, command: subprocess.Popen[str]) -> None:
        wait_until(lambda: self.environment(next(iter(ACCESS)))["SIGNER_ADDRESS"] == address, command)

    def at_once(self, name: str) -> int | None:
        found = self.client("lambda").get_function_concurrency(FunctionName=self.names.function(name))
        value: int | None = found.get("ReservedConcurrentExecutions")
        return value

    def environment(self, name: str) -> dict[str, str]:
        found = self.client("lambda").get_function_configuration(FunctionName=self.names.function(name))
        return dict(found["Environment"]["Variables"])

    def policy(self, name: str) -> str:
        role = self.names.role(name)
        return json.dumps(self.client("iam").get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"])


def wait_until(so: Callable[[], bool], command: subprocess.Popen[str]) -> None:
    """While the command is at it."""
    deadline = time.monotonic() + 120
    while not so():
        assert time.monotonic() < deadline and command.poll() is None, command.communicate()
        time.sleep(0.02)


@pytest.fixture(scope="module", params=["kms", "keystore"])
def rotated(
    aws: LocalAws, mined_each_second: Anvil, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Rotated]:
    yield Rotated(aws, mined_each_second, tmp_path_factory.mktemp("rotated"), request.param)


def finishing(box: Rotated) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ops.cli", "signer", "rotate", box.merchant, "--finish", "--json"]
    environment = {**os.environ, **box.operator.environment, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command,
        cwd=box.operator.project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_key_is_replaced_with_overlap_after_its_transactions_are_final_and_stays_replaced(rotated: Rotated) -> None:
    merchant, operator = rotated.merchant, rotated.operator
    old = operator.box("signer", "show", merchant)["address"]
    key_before = rotated.stage.get("KMS_KEY_ID")

    # The next key is there and the same however often it is asked for; the old one goes on alone.
    following = operator.box("signer", "rotate", merchant)["address"]
    assert operator.box("signer", "rotate", merchant)["address"] == following != old
    assert operator.box("signer", "show", merchant)["address"] == old

    early = operator.run("signer", "rotate", merchant, "--finish")
    assert (early.returncode, "not authorised yet" in early.stderr) == (1, True), early.stderr
    assert rotated.at_once("sign_on_schedule") is None
    rotated.let_act("--address", following)

    # Both may act now. While the old key's transaction is open nothing signs, and the old key is the box's.
    rotated.put_transaction(old, "sent")
    rotated.keep_release()
    killed = finishing(rotated)
    rotated.wait_until_nothing_signs(killed)
    killed.kill()
    killed.communicate()
    assert rotated.at_once("sign_on_schedule") == rotated.at_once("sign_on_change") == 0  # as a power cut leaves it

    # Doing it again finishes it, whether it was killed while it waited or later.
    switching = finishing(rotated)
    try:
        rotated.wait_until_nothing_signs(switching)
        time.sleep(4)
        assert switching.poll() is None, switching.communicate()
        assert rotated.stage["SIGNER_ADDRESS"] == rotated.environment("sign_on_schedule")["SIGNER_ADDRESS"] == old
        assert rotated.at_once("confirm_on_schedule") is None  # the follower goes on
        rotated.put_transaction(old, "confirmed")
        rotated.wait_until_the_first_function_has(following, switching)
    finally:
        switching.kill()
    switching.communicate()
    assert rotated.stage["SIGNER_ADDRESS"] == old
    assert {rotated.environment(name)["SIGNER_ADDRESS"] for name in ACCESS} == {old, following}, "killed half-way"

    # Nor does it matter that it was killed while it switched.
    third = finishing(rotated)
    out, err = third.communicate(timeout=180)
    assert third.returncode == 0, err
    assert (json.loads(out)["before"], json.loads(out)["address"]) == (old, following)

    # Finishing what is finished makes no further key.
    again = operator.run("signer", "rotate", merchant, "--finish")
    assert (again.returncode, "no next key waits" in again.stderr) == (1, True), again.stderr

    for name in ACCESS:
        assert rotated.environment(name)["SIGNER_ADDRESS"] == following
        assert rotated.at_once(name) == (1 if name == "sign_on_change" else None)
    if key_before is not None:
        key = rotated.stage["KMS_KEY_ID"]
        assert key != key_before
        assert rotated.environment("sign_on_change")["KMS_KEY_ID"] == key
        assert key in rotated.policy("sign_on_change")
        assert key_before not in rotated.policy("sign_on_change")
        assert key not in rotated.policy("api_handler")

    # Neither going back to the last release nor a later provisioning brings the old key back, and the old one is worthless
    # once revoked.
    assert rotated.kept_release()["SIGNER_ADDRESS"] == following
    assert rotated.kept_release().get("KMS_KEY_ID") == rotated.stage.get("KMS_KEY_ID")
    operator.box("provision", merchant)
    assert operator.box("signer", "show", merchant)["address"] == following
    operator.box("signer", "revoke", merchant, "--address", old, "--keystore", rotated.owner)
    assert operator.box("signer", "show", merchant)["authorised"]


def test_destroying_the_box_leaves_no_key_of_a_rotation_in_use(rotated: Rotated, tmp_path: Path) -> None:
    """Last in this file: it takes the box away."""
    rotated.operator.box("signer", "rotate", rotated.merchant)
    merchant, kept = rotated.merchant, tmp_path / "kept.jsonl.gz"
    ours = {"TagKey": "merchant-box", "TagValue": merchant}
    kms = rotated.client("kms")

    def states() -> list[str]:
        keys = [one["KeyId"] for one in kms.list_keys()["Keys"]]
        held = [key for key in keys if ours in kms.list_resource_tags(KeyId=key)["Tags"]]
        return [kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in held]

    if "KMS_KEY_ID" in rotated.stage:
        assert "Enabled" in states()
    rotated.operator.box("destroy", merchant, "--confirm", merchant, "--export", str(kept))
    assert set(states()) <= {"PendingDeletion"}
    assert not [one for one in kms.list_aliases()["Aliases"] if merchant in one["AliasName"]]
    parameters = rotated.client("ssm").describe_parameters()["Parameters"]
    assert not [one["Name"] for one in parameters if f"/{merchant}/" in one["Name"]]
