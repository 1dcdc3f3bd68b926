"""Each client against the whole box: what its answers really look like, and that the box believes the signatures."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from ops.asking import ask
from ops.local.dynoxide import Dynoxide
from ops.local.running import RunningBox
from tests.clients.languages import Command, Language, Outcome
from tests.shopper import as_merchant, follow_link

PAGE_SECRETS = ["page_new-secret-0123456789abcdef", "page_old-secret-0123456789abcdef"]
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def own_box(dynamodb: Dynoxide, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    """A box whose page secrets the test knows, under a stage prefix as on AWS."""
    directory = tmp_path_factory.mktemp("clients-box")
    running = RunningBox(directory, "--port", "0", "--prefix", "/api", "--dynamodb", dynamodb.url)
    state = boto3.client("dynamodb", endpoint_url=dynamodb.url)
    (table,) = [
        name
        for name in state.list_tables()["TableNames"]
        if name.endswith("-state") and name.startswith(f"merchant-box-{running.line['merchant']}")
    ]
    item = {"name": {"S": "page-secrets"}, "body": {"S": json.dumps(PAGE_SECRETS)}}
    state.put_item(TableName=table, Item=item)
    yield running
    running.stop()


def order(client: Language) -> str:
    return f"{client.name}-{next(numbers)}-€"


def call(box: RunningBox, operation: str, argument: object, key: str = "server", **more: object) -> Command:
    return {"operation": operation, "url": box.url, "key": box.keys[key], "argument": argument, **more}


def sale(order_id: str, amount: str = "100.00", **more: object) -> dict[str, Any]:
    return {"action": "sale", "orderId": order_id, "values": [amount], "currency": "EUR", **more}


def refused(outcome: Outcome) -> tuple[int, str]:
    return outcome["failed"]["status"], outcome["failed"]["code"]


def test_a_report_is_stored_once_whoever_repeats_it(own_box: RunningBox, client: Language) -> None:
    order_id = order(client)
    report = call(own_box, "report", sale(order_id, clickId=follow_link(own_box)))
    first, again = client.run(report, report)
    assert (first["ok"]["code"], first["ok"]["duplicate"], first["ok"]["attributed"]) == (202, False, True)
    assert (again["ok"]["code"], again["ok"]["duplicate"]) == (200, True)
    held = as_merchant(own_box, "GET", f"/v1/conversions/{again['ok']['conversionId']}")
    assert (held["orderId"], held["amount"], held["verified"]) == (order_id, "100.00", True)
    assert held["publisherId"] == own_box.line["publisherId"]


def test_the_same_order_with_other_values_is_a_conflict(own_box: RunningBox, client: Language) -> None:
    order_id = order(client)
    commands = [call(own_box, "report", sale(order_id, amount)) for amount in ("100.00", "101.00")]
    assert refused(client.run(*commands)[1]) == (409, "conflict")


def test_an_order_nobody_earns_on_says_why(own_box: RunningBox, client: Language) -> None:
    (outcome,) = client.run(call(own_box, "report", sale(order(client), clickId="never-clicked")))
    assert outcome["ok"]["attributed"] is False
    told = outcome["ok"]["reason"] if client.name == "dotnet" else outcome["ok"]["attribution"]["reason"]
    assert told == "unknown_click"


def test_keys_and_values_are_refused_with_the_boxs_codes(own_box: RunningBox, client: Language) -> None:
    unknown = {**call(own_box, "report", sale(order(client))), "key": "box_" + "x" * 32}
    lesser = call(own_box, "report", sale(order(client)), key="readonly")
    comma = call(own_box, "report", sale(order(client), "12,50"))
    outcomes = client.run(unknown, lesser, comma)
    assert [refused(one) for one in outcomes] == [
        (401, "key_invalid"),
        (403, "scope_missing"),
        (422, "amount_invalid"),
    ]


def test_every_field_a_client_can_send_is_one_the_box_knows(own_box: RunningBox, client: Language) -> None:
    full = sale(
        order(client),
        clickId=follow_link(own_box),
        voucher="NOBODYS",
        items=[{"group": "default", "quantity": 2, "unitPrice": "50.00", "sku": "S-1", "name": "Boots"}],
        metadata={"bookingReference": "é\u2028🛒"},
        eventId="ev-1",
        customerStatus="new",
        isTest=True,
    )
    (outcome,) = client.run(call(own_box, "report", full))
    held = as_merchant(own_box, "GET", f"/v1/conversions/{outcome['ok']['conversionId']}")
    assert (held["isTest"], held["metadata"]) == (True, {"bookingReference": "é\u2028🛒"})


def test_a_merchant_approves_amends_and_rejects(own_box: RunningBox, client: Language) -> None:
    order_id = order(client)
    (reported,) = client.run(call(own_box, "report", sale(order_id, clickId=follow_link(own_box))))
    conversion_id = reported["ok"]["conversionId"]
    changes = [{"status": "approved"}, {"amount": "80.00"}, {"status": "rejected", "reason": "returned"}]
    commands = [call(own_box, "change", change, conversionId=conversion_id) for change in changes]
    outcomes = client.run(*commands, call(own_box, "change", {"status": "rejected"}, conversionId=conversion_id))
    assert [one["ok"]["status"] for one in outcomes[:3]] == ["approved", "approved", "rejected"]
    assert refused(outcomes[3]) == (422, "reason_invalid")
    held = as_merchant(own_box, "GET", f"/v1/conversions/{conversion_id}")
    assert (held["status"], held["amount"], held["reason"]) == ("rejected", "80.00", "returned")


def test_an_order_of_several_groups_is_reported_and_amended_by_them(own_box: RunningBox, client: Language) -> None:
    baskets = []
    for _ in range(2):
        items = [
            {"unitPrice": "60.00", "quantity": 1, "group": "default"},
            {"unitPrice": "20.00", "quantity": 2, "group": "vouchers"},
        ]
        baskets.append({"action": "sale", "orderId": order(client), "currency": "EUR", "items": items})
    ids = [one["ok"]["conversionId"] for one in client.run(*(call(own_box, "report", one) for one in baskets))]
    lines = {"default": "60.00", "vouchers": "20.00"}
    changed, validated = client.run(
        call(own_box, "change", {"lines": lines}, conversionId=ids[0]),
        call(own_box, "validate", [{"conversionId": ids[1], "lines": lines}]),
    )
    assert (changed["ok"]["code"], validated["ok"][0]["code"]) == (200, 200), (changed, validated)
    assert [as_merchant(own_box, "GET", f"/v1/conversions/{one}")["amount"] for one in ids] == ["80.00", "80.00"]


def page_reports(box: RunningBox, signature: str, order_id: str, amount: str = "100.00") -> tuple[int, Any]:
    """What the tag sends from a page that carries a signature."""
    body = {
        "action": "sale",
        "values": [amount],
        "metadata": {"orderId": order_id},
        "eventId": "page-1",
        "currency": "EUR",
        "signature": signature,
    }
    answer = ask("POST", f"{box.url}/v1/beacon/conversion", body, Content_Type="text/plain", Origin=box.line["shop"])
    return answer.status, answer.json


@pytest.mark.parametrize("secret", PAGE_SECRETS, ids=["new", "old"])
def test_the_box_believes_a_page_that_the_client_signed(own_box: RunningBox, client: Language, secret: str) -> None:
    order_id = order(client) + ' "\\/\u2028🛒'
    command = {"operation": "signPage", "secret": secret, "orderId": order_id}
    (signed,) = client.run({**command, "action": "sale", "values": ["100.00"], "currency": "EUR"})
    altered, problem = page_reports(own_box, signed["ok"], order_id, amount="900.00")
    assert (altered, problem["code"]) == (422, "signature_invalid")
    status, answer = page_reports(own_box, signed["ok"], order_id)
    assert status == 202
    held = as_merchant(own_box, "GET", f"/v1/conversions/{answer['conversionId']}")
    assert (held["orderId"], held["source"], held["verified"]) == (order_id, "signed-tag", True)


def test_a_batch_answers_row_by_row(own_box: RunningBox, client: Language) -> None:
    good, bad, again = sale(order(client)), sale(order(client), "12,50"), sale(order(client))
    client.run(call(own_box, "report", again))
    (outcome,) = client.run(call(own_box, "reportBatch", [good, bad, again]))
    rows = outcome["ok"]
    assert [(row["index"], row["code"]) for row in rows] == [(0, 202), (1, 422), (2, 200)]
    told = rows[1]["error"] if client.name == "dotnet" else rows[1]["error"]["code"]
    assert told == "amount_invalid"
    assert rows[2]["duplicate"] is True
    held = as_merchant(own_box, "GET", f"/v1/conversions/{rows[0]['conversionId']}")
    assert held["orderId"] == good["orderId"]


def test_validations_find_a_conversion_by_its_id_or_its_order(own_box: RunningBox, client: Language) -> None:
    sales = [sale(order(client)) for _ in range(2)]
    ids = [row["conversionId"] for row in client.run(call(own_box, "reportBatch", sales))[0]["ok"]]
    validations = [
        {"conversionId": ids[0], "status": "approved"},
        {"orderId": sales[1]["orderId"], "action": "sale", "status": "rejected", "reason": "returned"},
        {"conversionId": "none-such", "status": "approved"},
    ]
    (outcome,) = client.run(call(own_box, "validate", validations))
    assert [row["code"] for row in outcome["ok"]] == [200, 200, 404]
    held = [as_merchant(own_box, "GET", f"/v1/conversions/{one}") for one in ids]
    assert [one["status"] for one in held] == ["approved", "rejected"]
