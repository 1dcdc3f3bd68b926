"""`box provision` on a local AWS: what was chosen once stays; and what a deployment that was killed has left is found and goes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.aws.names import Names
from ops.local.anvil import Anvil
from tests.aws.local_aws import ACCOUNT, REGION, LocalAws
from tests.aws.operating import Network, Operator, new_merchant

pytestmark = pytest.mark.timeout(600)
MERCHANT = "early"


WRITE_DOWN = (
    "from ops.aws.left_behind import write_down; from ops.boxes.project import Project; write_down(Project(), 'early')"
)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}


@pytest.fixture
def operator(aws: LocalAws, chain: Anvil, tmp_path: Path) -> Operator:
    made = Operator(tmp_path / "project", aws.environment)
    new_merchant(made, Network(chain.url, tmp_path / "accounts"), MERCHANT, "keystore")
    return made


@pytest.fixture
def client(aws: LocalAws) -> Callable[[str], Any]:
    return lambda service: boto3.client(
        service, endpoint_url=aws.url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )


def test_what_was_chosen_for_the_balance_alarm_stays_and_a_box_without_functions_goes_again(
    operator: Operator, client: Callable[[str], Any], chain: Anvil, tmp_path: Path
) -> None:
    def threshold() -> float:
        name = f"{Names(MERCHANT).prefix}-signer-balance"
        return float(client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["Threshold"])

    without = operator.run("provision", MERCHANT)
    assert (without.returncode, "--rpc" in without.stderr) == (2, True), without.stderr
    assert operator.run("provision", MERCHANT, "--rpc", "rpc.example").returncode == 2
    assert len(operator.box("provision", MERCHANT, "--rpc", chain.url)["changes"]) > 30, "neither made anything"
    assert threshold() == 10_000_000
    operator.box("provision", MERCHANT, "--low-balance-gwei", "77")
    assert operator.box("provision", MERCHANT)["changes"] == []  # as each `box deploy` does it
    assert threshold() == 77

    operator.box("destroy", MERCHANT, "--confirm", MERCHANT, "--export", str(tmp_path / "last.jsonl.gz"))
    assert operator.box("provision", MERCHANT, "--dry-run", "--rpc", chain.url)["changes"] != []


def test_what_a_killed_deployment_has_made_is_found_and_goes_with_the_box(
    operator: Operator, client: Callable[[str], Any], chain: Anvil, tmp_path: Path
) -> None:
    """Chalice writes down what it made at its end alone. Here it made two of the functions and the API, by hand."""
    stream = operator.box("provision", MERCHANT, "--rpc", chain.url)["stream"]
    names, bundle = Names(MERCHANT), io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as held:
        held.writestr("app.py", "def app(event, context):\n    return None\n")
    for name in ("sign_on_change", "api_handler"):
        role = client("iam").create_role(RoleName=names.role(name), AssumeRolePolicyDocument=json.dumps(TRUST))
        client("lambda").create_function(
            FunctionName=names.function(name),
            Runtime="python3.13",
            Handler="app.app",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": bundle.getvalue()},
        )
    mapping = client("lambda").create_event_source_mapping(
        EventSourceArn=stream, FunctionName=names.function("sign_on_change"), StartingPosition="LATEST"
    )
    api = client("apigateway").create_rest_api(name="box")["id"]
    client("lambda").add_permission(
        FunctionName=names.function("api_handler"),
        StatementId="the-gateway",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/*",
    )

    assert operator.python("-c", WRITE_DOWN).returncode == 0
    written = json.loads((operator.project / ".chalice" / "deployed" / f"{MERCHANT}.json").read_text())["resources"]
    assert [one["name"] for one in written] == [
        "api_handler_role",
        "api_handler",
        "sign_on_change_role",
        "sign_on_change",
        "sign_on_change-dynamodb-event-source",
        "rest_api",
    ]
    assert (written[-2]["event_uuid"], written[-1]["rest_api_id"]) == (mapping["UUID"], api)

    (operator.project / ".chalice" / "deployed" / f"{MERCHANT}.json").unlink()
    client("dynamodb").put_item(TableName=f"{names.prefix}-state", Item={"name": {"S": "something"}})
    operator.box("destroy", MERCHANT, "--confirm", MERCHANT, "--export", str(tmp_path / "last.jsonl.gz"))
    left = [one["FunctionName"] for one in client("lambda").list_functions()["Functions"]]
    left += [one["RoleName"] for one in client("iam").list_roles()["Roles"]]
    assert not [name for name in left if MERCHANT in name]
    assert api not in [one["id"] for one in client("apigateway").get_rest_apis()["items"]]
