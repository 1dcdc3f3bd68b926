"""A page's sale through API Gateway, Lambda, table, stream, signer and chain, on boxes deployed as an operator deploys them."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from ops.aws.names import Names
from ops.story import Answer, ask
from tests.aws.conftest import BY_BOX, BY_CHALICE, LATER, SIGNERS, Boxes, keystore, open_for_business
from tests.aws.local_aws import ACCOUNT
from tests.aws.operating import new_merchant

pytestmark = pytest.mark.timeout(1200)
RECEIPT_SECONDS = 120.0


def click(boxes: Boxes, merchant: str) -> str:
    answer = ask("GET", f"{boxes.urls[merchant]}/click/slow-table?subId=spring")
    assert answer.status == 302, answer.body
    assert answer.headers["Location"].startswith(f"https://{merchant}.example/")
    return parse_qs(urlsplit(str(answer.headers["Location"])).query)["clickId"][0]


def sale(boxes: Boxes, merchant: str, click_id: str | None = None, order: str | None = None) -> Answer:
    """As the tag reports it from the merchant's page."""
    order = order or f"B-{secrets.token_hex(5)}"
    report = {
        "action": "sale",
        "values": ["100.00"],
        "metadata": {"orderId": order},
        "eventId": order,
        "clickId": click_id,
    }
    return ask(
        "POST",
        f"{boxes.urls[merchant]}/v1/beacon/conversion",
        report,
        Content_Type="text/plain;charset=UTF-8",
        Origin=f"https://{merchant}.example",
    )


def receipt_of(boxes: Boxes, merchant: str, conversion_id: str, ready: Callable[[Any], bool] = bool) -> Any:
    deadline = time.monotonic() + RECEIPT_SECONDS
    while True:
        answer = ask("GET", f"{boxes.urls[merchant]}/v1/receipts/{conversion_id}")
        if answer.status == 200 and ready(answer.json):
            return answer.json
        assert time.monotonic() < deadline, f"no receipt in time: {answer.body[:400]!r}; see {boxes.aws.log}"
        time.sleep(0.5)


@pytest.mark.parametrize("merchant", [BY_BOX, BY_CHALICE])
def test_a_sale_on_the_page_ends_as_a_receipt_that_verifies_against_the_chain(
    boxes: Boxes, merchant: str, tmp_path: Path
) -> None:
    answer = sale(boxes, merchant, click(boxes, merchant))
    assert answer.status == 202, answer.body
    assert answer.json["attributed"]
    receipt = receipt_of(boxes, merchant, answer.json["conversionId"])
    assert receipt["commission"] == "10.00"
    (tmp_path / "receipt.json").write_text(json.dumps(receipt))
    verified = boxes.operator.run("verify", str(tmp_path / "receipt.json"), "--rpc", boxes.network.url)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_stream_brings_a_sale_to_the_network_without_waiting_for_the_schedule(boxes: Boxes) -> None:
    """The schedules run by the minute: several sales in a row within seconds each can only have come by the stream."""
    waited = []
    for _ in range(3):
        started = time.monotonic()
        conversion_id = sale(boxes, BY_CHALICE, click(boxes, BY_CHALICE)).json["conversionId"]
        deadline = started + RECEIPT_SECONDS
        headers = {"Authorization": f"Bearer {boxes.keys[BY_CHALICE]}"}
        while True:
            held = ask("GET", f"{boxes.urls[BY_CHALICE]}/v1/conversions/{conversion_id}", **headers).json
            if held["network"]["state"] in ("sent", "mined", "confirmed"):
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        waited.append(time.monotonic() - started)
    assert sorted(waited)[1] < 20, waited


def test_a_key_of_one_box_opens_no_other(boxes: Boxes) -> None:
    assert len(boxes.keys) >= 2
    for holder, key in boxes.keys.items():
        for merchant, url in boxes.urls.items():
            answer = ask("GET", f"{url}/v1/conversions", Authorization=f"Bearer {key}")
            assert answer.status == (200 if merchant == holder else 401), (holder, merchant, answer.body)


def root_client(boxes: Boxes, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=boxes.aws.url,
        region_name=boxes.aws.environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=boxes.aws.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=boxes.aws.environment["AWS_SECRET_ACCESS_KEY"],
    )


def client_as(boxes: Boxes, service: str, function: str, merchant: str) -> Any:
    """A client with the rights that a deployed function has, and no more."""
    role, iam = Names(merchant).role(function), root_client(boxes, "iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}],
    }
    kept = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    try:
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        got = root_client(boxes, "sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(kept))
    return boto3.client(
        service,
        endpoint_url=boxes.aws.url,
        region_name=boxes.aws.environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=got["AccessKeyId"],
        aws_secret_access_key=got["SecretAccessKey"],
        aws_session_token=got["SessionToken"],
    )


def refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDeniedException", "AccessDenied"), error
        return True
    return False


def test_only_the_signer_may_use_the_key_and_no_function_reaches_another_merchants_tables(boxes: Boxes) -> None:
    stages = json.loads((boxes.operator.project / ".chalice" / "config.json").read_text())["stages"]
    key = stages["acme"]["environment_variables"]["KMS_KEY_ID"]

    def sign(function: str) -> bool:
        kms = client_as(boxes, "kms", function, "acme")
        asked = {"Message": b"\1" * 32, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        return refused(lambda: kms.sign(KeyId=key, **asked))

    def read(function: str, merchant: str, table: str = "state") -> bool:
        dynamodb = client_as(boxes, "dynamodb", function, "acme")
        name = f"{Names(merchant).prefix}-{table}"
        return refused(lambda: dynamodb.get_item(TableName=name, Key={"name": {"S": "id-secret"}}))

    assert sign("api_handler")
    assert not sign("sign_on_change")
    assert not read("api_handler", "acme")
    assert read("api_handler", "initech")
    assert read("sign_on_change", "initech")
    parameters = client_as(boxes, "ssm", "sign_on_change", "initech")
    assert not refused(lambda: parameters.get_parameter(Name="/merchant-box/initech/keystore"))
    assert refused(lambda: parameters.get_parameter(Name="/merchant-box/acme/rpc-urls"))
    web = client_as(boxes, "ssm", "api_handler", "initech")
    assert refused(lambda: web.get_parameter(Name="/merchant-box/initech/keystore"))


def test_errors_that_the_gateway_makes_are_problems_with_cors(boxes: Boxes) -> None:
    for url in boxes.urls.values():
        answer = ask("GET", f"{url}/v1/no-such-thing", Origin="https://acme.example")
        assert (answer.status, answer.json["code"]) == (404, "not_found")
        assert answer.headers["Access-Control-Allow-Origin"] is not None


def test_provisioning_again_changes_nothing_and_a_dry_run_says_so(boxes: Boxes) -> None:
    assert boxes.operator.box("provision", "acme")["changes"] == []
    assert boxes.operator.box("provision", "acme", "--dry-run")["changes"] == []


@pytest.mark.long
def test_a_config_edit_goes_live_and_loses_no_sale_in_flight(boxes: Boxes) -> None:
    """Sales come in all through the deployment of an edit; every one has its receipt in the end.

    The local AWS ends a function's process when its code changes, with the call that it was at: the sale is sent again, as the tag does.
    """
    config = boxes.operator.config("acme")
    config["tracking"] = {"viaParameter": "from"}
    click_id = click(boxes, "acme")
    accepted: list[str] = []
    refusals: list[bytes] = []
    ending = threading.Event()

    def shop() -> None:
        while not ending.wait(0.7):
            order = f"E-{secrets.token_hex(5)}"
            answer = sale(boxes, "acme", click_id, order)
            if answer.status >= 500 and b"Worker process exited" in answer.body:
                answer = sale(boxes, "acme", click_id, order)
            if answer.status in (200, 202):
                accepted.append(answer.json["conversionId"])
            else:
                refusals.append(answer.body)

    shopping = threading.Thread(target=shop)
    shopping.start()
    try:
        boxes.operator.write_config("acme", config)
        changed = boxes.operator.box("config", "diff", "acme")["changes"]
        assert [line["path"] for line in changed] == ["$.tracking"]
        boxes.operator.box("deploy", "acme")
    finally:
        ending.set()
        shopping.join()
    assert ask("GET", f"{boxes.urls['acme']}/v1/config").json["viaParameter"] == "from"
    assert boxes.operator.box("config", "diff", "acme")["changes"] == []
    assert len(accepted) > 5
    assert refusals == []
    for conversion_id in accepted:
        receipt_of(boxes, "acme", conversion_id)


@pytest.mark.long
def test_the_operator_sees_each_box_and_its_events(boxes: Boxes) -> None:
    conversion_id = sale(boxes, "initech", click(boxes, "initech")).json["conversionId"]
    receipt_of(boxes, "initech", conversion_id)
    told = {one["merchant"]: one for one in json.loads(boxes.operator.run("status", "--json").stdout)["boxes"]}
    assert told.keys() >= {BY_BOX, BY_CHALICE}
    assert told["initech"]["status"] == "ok"
    assert told["initech"]["config"] == "as here"
    lines = boxes.operator.run("tail", "initech", "--once", "--json").stdout.splitlines()
    assert conversion_id in {json.loads(line)["conversionId"] for line in lines}
    held = boxes.operator.box("signer", "show", "initech")
    assert held["authorised"]
    assert held["kind"] == "keystore"


@pytest.mark.long
def test_a_release_that_fails_its_smoke_test_is_taken_back(boxes: Boxes) -> None:
    before = ask("GET", f"{boxes.urls['acme']}/v1/status").json["configHash"]
    tag = boxes.operator.project / "chalicelib" / "routes" / "tag.py"
    sound = tag.read_text()
    config = boxes.operator.config("acme")
    try:
        tag.write_text(
            sound.replace(
                "def _library(name: str) -> Response:",
                "def _library(name: str) -> Response:\n    raise ValueError(name)\n",
            )
        )
        boxes.operator.write_config("acme", {**config, "timeZone": "Europe/Berlin"})
        done = boxes.operator.run("deploy", "acme")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "runs again" in done.stderr
    finally:
        tag.write_text(sound)
        boxes.operator.write_config("acme", config)
    assert ask("GET", f"{boxes.urls['acme']}/v1/status").json["configHash"] == before
    assert ask("GET", f"{boxes.urls['acme']}/libs/mtag.js").status == 200
    assert sale(boxes, "acme").status == 202


@pytest.mark.long
def test_a_third_box_is_deployed_beside_the_others_and_takes_sales(boxes: Boxes, tmp_path: Path) -> None:
    """`box deploy --all`: the two that stand are brought to the new bundle, the third is new."""
    owner = new_merchant(boxes.operator, boxes.network, LATER, SIGNERS[LATER])
    boxes.files[f"{LATER}-owner"] = keystore(owner, tmp_path)
    done = boxes.operator.box("deploy", "--all", "--at-once", "2", "--rpc", boxes.network.url)
    assert done["failed"] == {}
    assert done["done"].keys() == SIGNERS.keys()
    assert not (boxes.operator.project / ".chalice" / "deploying.json").exists()
    open_for_business(boxes, LATER)
    answer = sale(boxes, LATER, click(boxes, LATER))
    receipt_of(boxes, LATER, answer.json["conversionId"])
    test_a_key_of_one_box_opens_no_other(boxes)


def resources_of(boxes: Boxes, merchant: str) -> list[str]:
    """Everything on this AWS whose name has the merchant's in it."""

    def client(service: str) -> Any:
        return root_client(boxes, service)

    names = [
        *client("dynamodb").list_tables()["TableNames"],
        *(one["FunctionName"] for one in client("lambda").list_functions()["Functions"]),
        *(one["RoleName"] for one in client("iam").list_roles()["Roles"]),
        *(one["Name"] for one in client("events").list_rules()["Rules"]),
        *client("sqs").list_queues().get("QueueUrls", []),
        *(one["name"] for one in client("apigateway").get_rest_apis()["items"]),
        *(one["AliasName"] for one in client("kms").list_aliases()["Aliases"]),
        *(one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(one["DashboardName"] for one in client("cloudwatch").list_dashboards()["DashboardEntries"]),
        *(one["TopicArn"] for one in client("sns").list_topics()["Topics"]),
        *(one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]),
        *(one["Name"] for one in client("ssm").describe_parameters()["Parameters"]),
        *(one["FunctionArn"] for one in client("lambda").list_event_source_mappings()["EventSourceMappings"]),
    ]
    return sorted(name for name in names if merchant in name)


@pytest.mark.long
def test_destroy_keeps_an_export_and_leaves_nothing_else(boxes: Boxes, tmp_path: Path) -> None:
    """Last in this file: it takes initech's box away."""
    held = resources_of(boxes, "initech")
    assert len(held) > 30
    others = resources_of(boxes, "acme")
    assert boxes.operator.run("destroy", "initech", "--confirm", "acme").returncode == 2
    assert resources_of(boxes, "initech") == held
    kept = tmp_path / "initech.jsonl.gz"
    boxes.operator.box("destroy", "initech", "--confirm", "initech", "--export", str(kept), "--forget-stage")
    assert kept.stat().st_size > 1_000
    assert resources_of(boxes, "initech") == []
    assert resources_of(boxes, "acme") == others
    assert not (boxes.operator.project / ".chalice" / "policies" / "initech").exists()
