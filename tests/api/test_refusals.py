"""What the box refuses, how it says so, and that nothing of it is stored."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.parse import quote

import pytest

from ops.asking import Answer, opener
from tests.api.conftest import Desk

GOOD: dict[str, Any] = {"action": "sale", "orderId": "refused", "values": ["12.50"]}
BAD_VALUES = [
    ({"values": ["12,50"]}, 422, "amount_invalid"),
    ({"values": ["-1"]}, 422, "amount_invalid"),
    ({"values": ["1e3"]}, 422, "amount_invalid"),
    ({"values": ["NaN"]}, 422, "amount_invalid"),
    ({"values": [" 1"]}, 422, "amount_invalid"),
    ({"values": ["1."]}, 422, "amount_invalid"),
    ({"values": ["\u0661"]}, 422, "amount_invalid"),
    ({"values": ["1.001"]}, 422, "amount_precision"),
    ({"values": ["99999999999.00"]}, 422, "amount_too_large"),
    ({"values": ["9" * 9000]}, 422, "amount_too_large"),
    ({"values": []}, 422, "values_missing"),
    ({"values": None}, 400, "body_invalid"),
    ({"values": [12.5]}, 400, "body_invalid"),
    ({"values": "12.50"}, 400, "body_invalid"),
    ({"values": {"a": "1"}}, 400, "body_invalid"),
    ({"action": "refund"}, 422, "action_unknown"),
    ({"action": 1}, 400, "body_invalid"),
    ({"orderId": ""}, 422, "order_id_missing"),
    ({"orderId": 7}, 400, "body_invalid"),
    ({"orderId": "x" * 129}, 422, "order_id_invalid"),
    ({"orderId": "a\u0000b"}, 422, "order_id_invalid"),
    ({"orderId": "r\ufffd1"}, 422, "order_id_invalid"),
    ({"currency": "eur"}, 422, "currency_invalid"),
    ({"currency": "XTS"}, 422, "currency_not_accepted"),
    ({"eventId": "zwei W\u00f6rter"}, 422, "event_id_invalid"),
    ({"metadata": {"a": {"b": 1}}}, 422, "metadata_nested"),
    ({"metadata": {"a": "x" * 2100}}, 422, "metadata_too_large"),
    ({"metadata": {str(n): n for n in range(21)}}, 422, "metadata_too_large"),
    ({"metadata": []}, 400, "body_invalid"),
    ({"items": [{"unitPrice": "1.00"}]}, 422, "items_sum_mismatch"),
    ({"items": [{"unitPrice": "12.50", "quantity": 0}]}, 400, "body_invalid"),
    ({"items": [{"price": "12.50"}]}, 400, "body_invalid"),
    ({"isTest": "yes"}, 400, "body_invalid"),
    ({"clickID": "misspelt"}, 400, "body_invalid"),
    ({"customerStatus": "old"}, 400, "body_invalid"),
]


def raw(desk: Desk, path: str, body: bytes, content_type: str | None, key: str | None = "server") -> Answer:
    request = urllib.request.Request(desk.box.url + path, body, method="POST")
    if content_type:
        request.add_header("Content-Type", content_type)
    if key:
        request.add_header("Authorization", f"Bearer {desk.box.keys[key]}")
    try:
        with opener.open(request, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def check(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json.get("code")) == (status, code), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "code", "detail"}
    assert answer.json["status"] == status and answer.json["detail"].endswith(".")


def listed(desk: Desk) -> int:
    return len(desk.ask("GET", "/v1/conversions?limit=200&orderId=refused", key="server").json["conversions"])


@pytest.mark.parametrize(("wrong", "status", "code"), BAD_VALUES, ids=lambda value: str(value)[:40])
def test_a_wrong_value_has_a_stable_code_and_stores_nothing(
    desk: Desk, wrong: dict[str, Any], status: int, code: str
) -> None:
    check(desk.ask("POST", "/v1/conversions", {**GOOD, **wrong}, key="server"), status, code)
    assert listed(desk) == 0


@pytest.mark.parametrize("missing", ["action", "values", "orderId"])
def test_a_missing_field_is_named(desk: Desk, missing: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != missing}
    answer = desk.ask("POST", "/v1/conversions", body, key="server")
    assert answer.status in (400, 422)
    assert missing in answer.json["detail"]
    assert listed(desk) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "json_malformed"),
        (b"", "body_missing"),
        (b"[]", "body_invalid"),
        (b"null", "body_invalid"),
        (b'"sale"', "body_invalid"),
        (b"\xff\xfe{}", "json_malformed"),
        (b'{"action":"sale"}{}', "json_malformed"),
        (b"[" * 10_000, "body_invalid"),
        (b'{"action":"sale","metadata":{"a":' + b"[" * 10_000, "json_malformed"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/conversions", "/v1/beacon/conversion"])
def test_a_body_that_is_not_a_json_object_is_malformed(desk: Desk, path: str, body: bytes, code: str) -> None:
    check(raw(desk, path, body, "application/json"), 400, code)


def test_a_body_over_the_limit_is_too_large(desk: Desk) -> None:
    check(raw(desk, "/v1/conversions", b" " * 65_537, "application/json"), 413, "body_too_large")


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/xml"])
def test_a_body_of_another_media_type_is_told_which_header_to_send(desk: Desk, content_type: str) -> None:
    answer = raw(desk, "/v1/conversions", b"{}", content_type)
    check(answer, 415, "media_type_not_supported")
    assert "Content-Type: application/json" in answer.json["detail"]
    assert "text/csv" not in answer.json["detail"]
    for path in ("/v1/conversions/batch", "/v1/validations"):
        assert "text/csv" in raw(desk, path, b"orderId\n", content_type).json["detail"]


def test_a_beacon_takes_plain_text_as_the_tag_sends_it(desk: Desk) -> None:
    body = b'{"action":"lead","values":["0"],"metadata":{},"eventId":"plain-text"}'
    assert raw(desk, "/v1/beacon/conversion", body, "text/plain;charset=UTF-8", key=None).status == 202


def test_another_pages_origin_is_refused(desk: Desk) -> None:
    for path in ("/v1/beacon/conversion", "/v1/beacon/click"):
        answer = desk.ask("POST", path, GOOD, Origin="https://shop.example")
        check(answer, 403, "origin_not_allowed")
        assert answer.headers["Access-Control-Allow-Origin"] is None


def test_the_merchants_origin_is_echoed_with_credentials(desk: Desk) -> None:
    answer = desk.beacon(desk.order_id())
    assert answer.headers["Access-Control-Allow-Origin"] == desk.box.line["shop"]
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("path", ["/v1/beacon/conversion", "/v1/beacon/click"])
def test_a_page_that_asks_first_whether_it_may_send_json_is_told_so(desk: Desk, path: str) -> None:
    """The tag needs no preflight; a page that posts JSON by its own code does."""
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = desk.ask("OPTIONS", path, Origin=desk.box.line["shop"], **asks)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == desk.box.line["shop"]
    assert (answer.headers["Access-Control-Allow-Methods"], answer.headers["Access-Control-Allow-Headers"]) == (
        "POST",
        "content-type",
    )
    assert desk.ask("OPTIONS", path, Origin="https://elsewhere.example").headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example", "http://127.0.0.1:1@evil.example/", "javascript:1"]
)
def test_a_deep_link_never_leads_away_from_the_merchant(desk: Desk, url: str) -> None:
    answer = desk.ask("GET", f"/click/{desk.box.line['publisherId']}?url={quote(url, safe='')}")
    check(answer, 400, "url_not_allowed")
    assert answer.headers["Location"] is None


def test_a_page_signature_that_does_not_hold_is_refused_and_stores_nothing(desk: Desk) -> None:
    answer = desk.beacon("refused", signature="0" * 64)
    check(answer, 422, "signature_invalid")
    assert listed(desk) == 0


def test_the_image_is_an_image_whatever_happens(desk: Desk) -> None:
    for query in (
        "",
        "?action=sale",
        "?action=sale&values=1,50&orderId=g1",
        "?action=nothing",
        "?isTest=maybe&values=",
    ):
        answer = desk.ask("GET", f"/v1/beacon/conversion.gif{query}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml")


def test_the_image_stores_nothing_without_an_order_or_event_id(desk: Desk) -> None:
    answer = desk.ask("GET", "/v1/beacon/conversion.gif?action=sale&values=1.00")
    assert answer.headers["X-Conversion-Code"] == "order_id_missing"


LONG = "x" * 3000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/receipts/{}"),
        ("GET", "/v1/clicks/{}/proof"),
        ("GET", "/click/{}"),
        ("GET", "/v1/conversions/{}"),
        ("PATCH", "/v1/conversions/{}"),
        ("GET", "/v1/postbacks/{}?publisherId=demo-publisher"),
        ("DELETE", "/v1/postbacks/{}?publisherId=demo-publisher"),
    ],
)
def test_an_id_longer_than_any_is_not_found(desk: Desk, method: str, path: str) -> None:
    body = {"status": "approved"} if method == "PATCH" else None
    check(desk.ask(method, path.format(LONG), body, key="admin"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/conversions?publisherId={}"),
        ("GET", "/v1/conversions?orderId={}"),
        ("GET", "/v1/conversions?cursor={}"),
        ("GET", "/v1/stats?publisherId={}"),
        ("GET", "/v1/export/conversions.csv?publisherId={}"),
        ("GET", "/v1/postbacks?publisherId={}"),
        ("POST", "/v1/postbacks?publisherId={}"),
    ],
)
@pytest.mark.parametrize("said", [LONG, quote("\u20ac" * 700)])
def test_a_filter_longer_than_any_id_is_no_mistake_of_ours(desk: Desk, method: str, path: str, said: str) -> None:
    body = {"url": "https://example.com/"} if method == "POST" else None
    assert desk.ask(method, path.format(said), body, key="admin").status < 500


def test_a_link_with_an_unreadable_address_or_note_is_told_or_followed_but_never_fails(desk: Desk) -> None:
    check(desk.ask("GET", "/click/demo-publisher?url=http://["), 400, "url_not_allowed")
    for sub_id in ("x" * 200, "a%0ab"):
        answer = desk.ask("GET", f"/click/demo-publisher?subId={sub_id}")
        assert (answer.status, "clickId=" in answer.headers["Location"]) == (302, True)
    deep_link = desk.box.line["shop"] + "/\u20ac/\xfc"
    answer = desk.ask("GET", f"/click/demo-publisher?url={quote(deep_link, safe='')}")
    assert answer.status == 302
    assert "/%E2%82%AC/%C3%BC?" in answer.headers["Location"]


def test_order_numbers_that_were_no_utf8_are_refused_rather_than_taken_for_each_other(desk: Desk) -> None:
    rows = b"orderId,value\nr\xe9,9.00\nr\xe8,9.00\n"
    answer = raw(desk, "/v1/conversions/batch", rows, "text/csv")
    assert [row["error"]["code"] for row in answer.json["results"]] == ["order_id_invalid"] * 2
