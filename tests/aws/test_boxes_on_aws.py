"""A page's sale through API Gateway, Lambda, table, stream, signer and chain, on boxes deployed as an operator deploys them."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from ops.asking import Answer, ask
from ops.aws.names import RULE_SUFFIX, Names
from ops.chain_reader import Chain
from ops.ledger import Ledger
from tests.aws.conftest import BESIDE_IT, BY_BOX, BY_CHALICE, KEYS, SIGNERS, Boxes
from tests.aws.local_aws import ACCOUNT

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


def sale_recorded(boxes: Boxes, merchant: str) -> str:
    """A click, the sale it led to, and its way to the network; the conversion's id."""
    answer = sale(boxes, merchant, click(boxes, merchant))
    assert answer.status == 202, answer.body
    assert answer.json["attributed"]
    conversion_id: str = answer.json["conversionId"]
    receipt_of(boxes, merchant, conversion_id)
    return conversion_id


@pytest.fixture(scope="module")
def sold(boxes: Boxes) -> dict[str, str]:
    """A conversion of each box, recorded: the three wait for their schedules at the same time."""
    with ThreadPoolExecutor() as at_once:
        return dict(zip(SIGNERS, at_once.map(lambda merchant: sale_recorded(boxes, merchant), SIGNERS), strict=True))


def assert_verifies(boxes: Boxes, receipt: Any, folder: Path) -> None:
    file = folder / f"{receipt['conversionId']}.json"
    file.write_text(json.dumps(receipt))
    verified = boxes.operator.run("verify", str(file), "--rpc", boxes.network.url)
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize("merchant", SIGNERS)
def test_a_sale_on_the_page_ends_as_a_receipt_that_verifies_against_the_chain(
    boxes: Boxes, sold: dict[str, str], merchant: str, tmp_path: Path
) -> None:
    receipt = receipt_of(boxes, merchant, sold[merchant])
    assert receipt["commission"] == "10.00"
    assert receipt["merchant"] == boxes.operator.config(merchant)["merchant"]["account"]
    assert_verifies(boxes, receipt, tmp_path)


def test_the_stream_brings_a_sale_to_the_network_without_the_schedule(boxes: Boxes) -> None:
    rule, events = Names(BY_CHALICE).function("sign_on_schedule") + RULE_SUFFIX, root_client(boxes, "events")
    headers = {"Authorization": f"Bearer {boxes.keys[BY_CHALICE]}"}
    events.disable_rule(Name=rule)
    try:
        conversion_id = sale(boxes, BY_CHALICE, click(boxes, BY_CHALICE)).json["conversionId"]
        deadline = time.monotonic() + RECEIPT_SECONDS
        while True:
            held = ask("GET", f"{boxes.urls[BY_CHALICE]}/v1/conversions/{conversion_id}", **headers).json
            if held["network"]["state"] in ("sent", "mined", "confirmed"):
                break
            assert time.monotonic() < deadline, held["network"]
            time.sleep(0.2)
    finally:
        events.enable_rule(Name=rule)


def test_two_keys_of_one_box_share_its_sales(boxes: Boxes, tmp_path: Path) -> None:
    """Each sale falls to a share by chance: that one key gets none of sixteen happens once in 30,000 runs."""
    shown = boxes.operator.box("signer", "show", BESIDE_IT)
    addresses = {one["address"].lower() for one in shown["keys"]}
    assert len(addresses) == KEYS[BESIDE_IT]
    click_id = click(boxes, BESIDE_IT)
    with ThreadPoolExecutor(4) as at_once:
        answers = list(at_once.map(lambda _: sale(boxes, BESIDE_IT, click_id), range(16)))
    receipts = [receipt_of(boxes, BESIDE_IT, answer.json["conversionId"]) for answer in answers]
    chain = Chain(boxes.network.url, boxes.network.contract)
    found = {name: chain.transaction(name) for name in {receipt["transaction"] for receipt in receipts}}
    assert {sent["from"].lower() for sent in found.values() if sent} == addresses
    assert len({receipt["sequence"] for receipt in receipts}) == 16
    assert_verifies(boxes, receipts[0], tmp_path)


def test_a_key_of_one_box_opens_no_other(boxes: Boxes) -> None:
    assert boxes.keys.keys() == boxes.urls.keys() == SIGNERS.keys()
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


class Shop:
    """Sales one after another, each reported as the tag does: again, until the box itself has answered.

    The local AWS kills a function's process when its code changes, with the call that it was at, and answers that call itself (AWS lets
    it end). What nobody accepted may be sent again; what the box answered 202 never is, and has to be on the network in the end.
    """

    def __init__(self, boxes: Boxes, merchant: str) -> None:
        self._boxes, self._merchant, self._click = boxes, merchant, click(boxes, merchant)
        self.accepted: list[str] = []
        self.refusals: list[bytes] = []
        self.dropped: list[str] = []
        self._closing = threading.Event()
        self._open = threading.Thread(target=self._sell)

    def __enter__(self) -> Shop:
        self._open.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._open.join()

    def _sell(self) -> None:
        while not self._closing.wait(0.3):
            self._report(f"E-{secrets.token_hex(5)}")

    def _report(self, order: str) -> None:
        deadline = time.monotonic() + RECEIPT_SECONDS
        while True:
            try:
                answer = sale(self._boxes, self._merchant, self._click, order)
            except OSError as error:
                self.dropped.append(str(error))
            else:
                # A repeat of what the local AWS dropped after it was stored is told that it is one.
                if answer.status == 202 or (answer.status == 200 and answer.json["duplicate"]):
                    self.accepted.append(answer.json["conversionId"])
                    return
                if not is_the_local_awss_own(answer) or time.monotonic() > deadline:
                    self.refusals.append(answer.body)
                    return
                self.dropped.append(answer.body.decode())
            time.sleep(0.2)


def is_the_local_awss_own(answer: Answer) -> bool:
    """The box fails with a problem document, which has a code."""
    return answer.status >= 500 and b'"code"' not in answer.body


def assert_on_chain_once(boxes: Boxes, merchant: str, shop: Shop) -> None:
    """Each sale that was accepted has its receipt, and the chain, read from its first block, holds what that is about once."""
    print(
        f"{len(shop.accepted)} sales accepted; {len(shop.dropped)} reports the local AWS dropped: {set(shop.dropped)}"
    )
    assert shop.refusals == []
    assert len(set(shop.accepted)) == len(shop.accepted) > 20
    commitments = [receipt_of(boxes, merchant, one)["commitment"] for one in shop.accepted]
    account = boxes.operator.config(merchant)["merchant"]["account"]
    ledger = Ledger(Chain(boxes.network.url, boxes.network.contract), account)
    assert ledger.findings == []
    on_chain = Counter("0x" + held.entry.commitment.hex() for held in ledger.conversions.values())
    assert {on_chain[one] for one in commitments} == {1}


def test_a_config_edit_goes_live_and_loses_no_sale_in_flight(boxes: Boxes) -> None:
    """Sales come in all through the deployment of an edit; every one that was accepted is on the chain, once."""
    config = boxes.operator.config(BY_BOX)
    config["tracking"] = {"viaParameter": "from"}
    with Shop(boxes, BY_BOX) as shop:
        boxes.operator.write_config(BY_BOX, config)
        changed = boxes.operator.box("config", "diff", BY_BOX)["changes"]
        assert [line["path"] for line in changed] == ["$.tracking"]
        boxes.operator.box("deploy", BY_BOX)
    assert ask("GET", f"{boxes.urls[BY_BOX]}/v1/config").json["viaParameter"] == "from"
    assert boxes.operator.box("config", "diff", BY_BOX)["changes"] == []
    print(
        f"{len(shop.accepted)} sales accepted; {len(shop.dropped)} reports the local AWS dropped: {set(shop.dropped)}"
    )
    assert shop.refusals == []
    assert len(set(shop.accepted)) == len(shop.accepted) > 20
    assert_on_chain_once(boxes, BY_BOX, shop)


def test_the_operator_sees_each_box_and_its_events(boxes: Boxes, sold: dict[str, str]) -> None:
    told = {one["merchant"]: one for one in json.loads(boxes.operator.run("status", "--json").stdout)["boxes"]}
    assert told.keys() == SIGNERS.keys()
    assert (told["initech"]["status"], told["initech"]["config"]) == ("ok", "as here")
    lines = boxes.operator.run("tail", "initech", "--once", "--since", "60", "--json").stdout.splitlines()
    assert sold["initech"] in {json.loads(line)["conversionId"] for line in lines}
    held = boxes.operator.box("signer", "show", "initech")
    assert (held["authorised"], held["kind"]) == (True, "keystore")


def test_a_key_is_replaced_while_sales_come_in(boxes: Boxes, tmp_path: Path) -> None:
    """What came in before, in between and after is on the chain once; the old key, revoked at last, is missed by nothing."""
    operator, owner = boxes.operator, str(boxes.files[f"{BY_BOX}-owner"])
    old = operator.box("signer", "show", BY_BOX)["address"]
    following = operator.box("signer", "rotate", BY_BOX)["address"]
    operator.box("signer", "authorise", BY_BOX, "--address", following, "--keystore", owner)
    operator.box("signer", "fund", BY_BOX, "--address", following, "--amount", "1", "--keystore", owner)
    with Shop(boxes, BY_BOX) as shop:
        sale_recorded(boxes, BY_BOX)
        finished = operator.run("signer", "rotate", BY_BOX, "--finish", "--json")
        operator.box("signer", "revoke", BY_BOX, "--address", old, "--keystore", owner)
        after = sale_recorded(boxes, BY_BOX)
    assert finished.returncode == 0, finished.stderr
    switched = json.loads(finished.stdout)
    assert (switched["before"], switched["address"]) == (old, following)
    # Nothing was sent any more: it waited, three seconds at a time, for what was under way, not for a lucky moment.
    assert finished.stderr.count("not final yet") < 10, finished.stderr
    assert {one["SIGNER_ADDRESS"] for one in environments(boxes, BY_BOX).values()} == {following}
    assert_on_chain_once(boxes, BY_BOX, shop)
    chain = Chain(boxes.network.url, boxes.network.contract)
    senders = []
    for one in (shop.accepted[0], after):
        receipt = receipt_of(boxes, BY_BOX, one)
        assert_verifies(boxes, receipt, tmp_path)
        transaction = chain.transaction(receipt["transaction"])
        assert transaction is not None
        senders.append(transaction["from"].lower())
    assert senders == [old.lower(), following.lower()]


def environments(boxes: Boxes, merchant: str) -> dict[str, dict[str, str]]:
    """Of every function of the merchant, by its name."""
    found = root_client(boxes, "lambda").list_functions()["Functions"]
    ours = [one for one in found if f"-{merchant}" in one["FunctionName"]]
    return {one["FunctionName"]: one["Environment"]["Variables"] for one in ours}


@pytest.mark.long
def test_a_release_that_fails_its_smoke_test_is_taken_back(boxes: Boxes) -> None:
    before = ask("GET", f"{boxes.urls['acme']}/v1/status").json["configHash"]
    held = environments(boxes, "acme")
    tag = boxes.operator.project / "chalicelib" / "routes" / "tag.py"
    sound = tag.read_text()
    config = boxes.operator.config("acme")
    try:
        serves = "def _library(request: Request, name: str) -> Response:\n"
        broken = sound.replace(serves, f"{serves}    1 / 0\n")
        assert broken != sound
        tag.write_text(broken)
        boxes.operator.write_config("acme", {**config, "timeZone": "Europe/Berlin"})
        set_by_hand(boxes, "acme", NEW_RELEASE="yes")
        done = boxes.operator.run("deploy", "acme")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "runs again" in done.stderr
        assert "MB zipped" in done.stderr
    finally:
        tag.write_text(sound)
        boxes.operator.write_config("acme", config)
        set_by_hand(boxes, "acme")
    assert ask("GET", f"{boxes.urls['acme']}/v1/status").json["configHash"] == before
    assert ask("GET", f"{boxes.urls['acme']}/libs/mtag.js").status == 200
    assert environments(boxes, "acme") == held
    sale_recorded(boxes, "acme")


def set_by_hand(boxes: Boxes, merchant: str, **variables: str) -> None:
    """In the stage's environment, beside what is ours."""
    file = boxes.operator.project / ".chalice" / "config.json"
    held = json.loads(file.read_text())
    environment = held["stages"][merchant]["environment_variables"]
    environment.pop("NEW_RELEASE", None)
    environment.update(variables)
    file.write_text(json.dumps(held))


@pytest.mark.long
def test_all_boxes_are_brought_to_a_new_bundle_and_each_keeps_the_node_it_had(boxes: Boxes, tmp_path: Path) -> None:
    """An address given with `--rpc` is for boxes that have none; `box provision` replaces, and the functions that start anew use it."""
    silent = "http://127.0.0.1:9"
    boxes.operator.box("provision", BESIDE_IT, "--rpc", f"{silent},{boxes.network.url}")
    config = boxes.operator.config(BY_CHALICE)
    boxes.operator.write_config(BY_CHALICE, {**config, "timeZone": "Europe/Berlin"})
    done = boxes.operator.box("deploy", "--all", "--at-once", "2", "--rpc", silent)
    assert done["failed"] == {}
    assert done["done"].keys() == SIGNERS.keys()
    assert not (boxes.operator.project / ".chalice" / "deploying.json").exists()
    ssm = root_client(boxes, "ssm")
    nodes = {
        merchant: ssm.get_parameter(Name=f"/merchant-box/{merchant}/rpc-urls", WithDecryption=True)["Parameter"][
            "Value"
        ]
        for merchant in SIGNERS
    }
    assert nodes == {**dict.fromkeys(SIGNERS, boxes.network.url), BESIDE_IT: f"{silent},{boxes.network.url}"}
    for merchant in SIGNERS:
        assert_verifies(boxes, receipt_of(boxes, merchant, sale_recorded(boxes, merchant)), tmp_path)


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
