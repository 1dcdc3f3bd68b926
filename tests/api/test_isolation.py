"""Every private route, with no key, a wrong key, a key of lesser scope and another publisher's key: nothing leaks."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import Unprocessable
from chalicelib.routes.openapi import OPERATIONS
from chalicelib.services.access import create_key, key_hash
from tests.api.conftest import Desk

PRIVATE = {route: operation for route, operation in OPERATIONS.items() if operation.scopes}
ROUTES = sorted(PRIVATE)
KINDS = ("admin", "server", "readonly", "publisher")


@pytest.fixture(scope="module")
def mine(desk: Desk) -> dict[str, str]:
    """What the demo's publisher has, and nobody else may see."""
    click_id = desk.click()
    order_id = desk.order_id("secret")
    sold = desk.sell(order_id, "77.77", clickId=click_id, metadata={"note": "private-note"}).json["conversionId"]
    made = desk.ask("POST", "/v1/postbacks", {"url": "http://127.0.0.1:9999/mine"}, key="publisher").json
    return {
        "conversion_id": sold,
        "click_id": click_id,
        "order_id": order_id,
        "postback_id": made["postbackId"],
        "publisher_id": desk.box.line["publisherId"],
        "month": "2026-11",
        "secret": made["secret"],
    }


def call(desk: Desk, route: tuple[str, str], mine: dict[str, str], key: str | None, **headers: str) -> Any:
    method, path = route
    body: Any = None if method in ("GET", "DELETE") else {}
    return desk.ask(method, path.format(**mine), body, key=key, **headers)


def test_there_are_private_routes_to_look_at() -> None:
    assert len(ROUTES) >= 18


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_without_a_valid_key_every_private_route_answers_401_and_nothing_else(
    desk: Desk, mine: dict[str, str], route: tuple[str, str]
) -> None:
    revoked = create_key(desk.inside, "revoked", "admin")
    desk.inside.keys.revoke(key_hash(revoked), desk.inside.now())
    wrong = ["box_" + "A" * 32, revoked, desk.box.keys["admin"][:-1], desk.box.keys["admin"] + "x", "nonsense"]
    answers = [call(desk, route, mine, None)] + [call(desk, route, mine, key) for key in wrong]
    answers.append(call(desk, route, mine, None, Authorization=f"Basic {desk.box.keys['admin']}"))
    for answer in answers:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="merchant box"')
        assert set(answer.json) == {"type", "title", "status", "code", "detail"}


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_key_in_the_url_is_no_key(desk: Desk, mine: dict[str, str], route: tuple[str, str]) -> None:
    method, path = route
    query = f"?key={desk.box.keys['admin']}&access_token={desk.box.keys['admin']}&authorization=Bearer%20{desk.box.keys['admin']}"
    assert desk.ask(method, path.format(**mine) + query, {} if method != "GET" else None).status == 401


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_key_of_another_scope_is_refused(desk: Desk, mine: dict[str, str], route: tuple[str, str]) -> None:
    for kind in KINDS:
        if kind not in (*PRIVATE[route].scopes, "admin"):
            answer = call(desk, route, mine, kind)
            assert (answer.status, answer.json["code"]) == (403, "scope_missing"), kind


@pytest.mark.parametrize("route", [route for route in ROUTES if "publisher" in PRIVATE[route].scopes], ids=" ".join)
def test_another_publishers_key_finds_none_of_it(desk: Desk, mine: dict[str, str], route: tuple[str, str]) -> None:
    stranger = desk.publisher_key("stranger")
    queries = ("", f"?publisherId={mine['publisher_id']}", f"?orderId={mine['order_id']}", "?by=publisher", "?by=subId")
    method, path = route
    if method == "DELETE":
        assert call(desk, route, mine, stranger).status == 404
        return
    for query in queries if method == "GET" else queries[:2]:
        body: Any = None if method == "GET" else {}
        answer = desk.ask(method, path.format(**mine) + query, body, key=stranger)
        text = answer.body.decode()
        assert answer.status in (200, 403, 404, 422), (query, text)
        for name in ("conversion_id", "click_id", "order_id", "postback_id", "publisher_id", "secret"):
            assert mine[name] not in text, (query, name)
        assert "77.77" not in text and "private-note" not in text


def test_a_publishers_own_key_sees_its_rows_without_what_is_the_merchants(desk: Desk, mine: dict[str, str]) -> None:
    listed = desk.ask("GET", "/v1/conversions?limit=200", key="publisher").body.decode()
    assert mine["conversion_id"] in listed
    exported = desk.ask("GET", "/v1/export/conversions.csv", key="publisher").body.decode()
    assert mine["conversion_id"] in exported
    one = desk.ask("GET", f"/v1/conversions/{mine['conversion_id']}", key="publisher").body.decode()
    for text in (listed, exported, one):
        assert mine["order_id"] not in text and "private-note" not in text
    searched = desk.ask("GET", f"/v1/conversions?orderId={mine['order_id']}", key="publisher")
    assert mine["order_id"] not in searched.body.decode()
    assert [row["conversionId"] for row in searched.json["conversions"]] == [mine["conversion_id"]]


@pytest.mark.parametrize("path", ["/v1/conversions", "/v1/stats", "/v1/export/conversions.csv"])
def test_a_publishers_key_that_asks_for_anothers_rows_is_told_so(desk: Desk, mine: dict[str, str], path: str) -> None:
    stranger = desk.publisher_key("stranger")
    refused = desk.ask("GET", f"{path}?publisherId={mine['publisher_id']}", key=stranger)
    assert (refused.status, refused.json["code"]) == (403, "publisher_not_yours")
    assert desk.ask("GET", f"{path}?publisherId=stranger", key=stranger).status == 200


def test_an_order_of_another_publisher_is_not_found_by_its_number(desk: Desk, mine: dict[str, str]) -> None:
    stranger = desk.publisher_key("stranger")
    assert desk.ask("GET", f"/v1/conversions?orderId={mine['order_id']}", key=stranger).json["conversions"] == []


@pytest.mark.parametrize(
    "scopes",
    [("readonly", "publisher:one"), ("publisher:one", "publisher:two"), ("publisher:",), ("publisher",), ("owner",)],
)
def test_a_publishers_key_has_that_one_scope(desk: Desk, scopes: tuple[str, ...]) -> None:
    with pytest.raises(Unprocessable):
        create_key(desk.inside, "odd", *scopes)


def test_a_key_of_before_with_more_scopes_names_no_other_publisher(desk: Desk) -> None:
    desk.inside.keys.create(key_hash("box_old"), "old", frozenset(("readonly", "publisher:other")), desk.inside.now())
    answer = desk.ask("GET", "/v1/postbacks?publisherId=demo-publisher", key="box_old")
    assert (answer.status, answer.json["code"]) == (403, "scope_not_alone")


def test_a_key_is_kept_as_its_hash_alone_and_shows_its_last_use(desk: Desk) -> None:
    key = create_key(desk.inside, "a key", "readonly")
    assert desk.ask("GET", "/v1/conversions?limit=1", key=key).status == 200
    kept = desk.inside.keys.get(key_hash(key))
    assert kept is not None and key not in repr(kept)
    assert kept.last_used_at is not None and kept.last_used_at <= desk.inside.now()
