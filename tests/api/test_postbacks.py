"""Postbacks to publishers: each event once, signed, with what reconciles it from the chain; retried, logged, switched off."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from chalicelib.domain.postback import RETRY_SECONDS
from chalicelib.domain.webhook_signature import verify_webhook
from chalicelib.services import notify
from tests.api.conftest import Desk
from tests.shopper import final_receipt

DAY_MS = 86_400_000


@dataclass
class Got:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def signed(self) -> bytes:
        return self.body if self.method == "POST" else urlsplit(self.path).query.encode()


@dataclass
class Receiver:
    """A publisher's server. `status` is what it answers."""

    status: int = 200
    got: list[Got] = field(default_factory=list)
    url: str = ""

    def of(self, conversion_id: str) -> list[Got]:
        return [got for got in self.got if conversion_id in got.path or conversion_id.encode() in got.body]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def receive(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept.got.append(Got(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = receive

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield kept
    server.shutdown()
    server.server_close()


def create(desk: Desk, **fields: Any) -> dict[str, Any]:
    answer = desk.ask("POST", "/v1/postbacks", fields, key="publisher")
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json
    return made


@pytest.fixture
def postback(desk: Desk, receiver: Receiver) -> Iterator[dict[str, Any]]:
    made = create(desk, url=f"{receiver.url}/told")
    yield made
    desk.ask("DELETE", f"/v1/postbacks/{made['postbackId']}", key="publisher")


def until(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.1)
    return found


def deliveries(desk: Desk, made: dict[str, Any]) -> list[dict[str, Any]]:
    answer = desk.ask("GET", f"/v1/postbacks/{made['postbackId']}/deliveries?limit=200", key="publisher")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["deliveries"]
    return found


def test_a_sale_is_told_when_recorded_amended_and_approved_signed_and_with_its_sequence(
    desk: Desk, receiver: Receiver, postback: dict[str, Any]
) -> None:
    sold = desk.sell(desk.order_id(), clickId=desk.click()).json["conversionId"]
    until(lambda: len(receiver.of(sold)) == 1)
    desk.ask("PATCH", f"/v1/conversions/{sold}", {"amount": "50.00"}, key="server")
    until(lambda: len(receiver.of(sold)) == 2)
    desk.ask("PATCH", f"/v1/conversions/{sold}", {"status": "approved"}, key="server")
    until(lambda: len(receiver.of(sold)) == 3)
    told = [json.loads(got.body) for got in receiver.of(sold)]
    assert [(one["event"], one["status"], one["amount"], one["commission"]) for one in told] == [
        ("recorded", "open", "100.00", "10.00"),
        ("amended", "open", "50.00", "5.00"),
        ("approved", "approved", "50.00", "5.00"),
    ]
    receipt = final_receipt(desk.box, sold)
    for got, one in zip(receiver.of(sold), told, strict=True):
        verify_webhook([postback["secret"]], got.headers, got.signed, int(time.time()))
        assert (one["sequence"], one["transaction"]) == (receipt["sequence"], receipt["transaction"])
        assert one["changedIn"].startswith("0x")
    assert len({got.headers["webhook-id"] for got in receiver.of(sold)}) == 3
    time.sleep(3)
    assert len(receiver.of(sold)) == 3, "nothing is told twice"


def test_the_due_date_and_the_lock_are_told_when_their_time_comes(
    desk: Desk, receiver: Receiver, postback: dict[str, Any]
) -> None:
    sold = desk.sell(desk.order_id(), clickId=desk.click()).json["conversionId"]
    until(lambda: len(receiver.of(sold)) == 1)
    later = replace_ahead(desk, 31 * DAY_MS)
    by_event: dict[str, Any] = {}

    def told() -> bool:
        # The box itself may be looking at this very notice: then that counts, and ours comes at the next look.
        notify.tell(later)
        by_event.update({d["event"]: d["data"] for d in deliveries(desk, postback) if d["conversionId"] == sold})
        return by_event.keys() >= {"approved", "locked"}

    until(told)
    held = desk.held(sold)
    assert (by_event["approved"]["occurredAt"], by_event["approved"]["changedIn"]) == (held["dueAt"], None)
    assert (by_event["locked"]["occurredAt"], by_event["locked"]["status"]) == (held["lockAt"], "sale")


def replace_ahead(desk: Desk, ahead: int) -> Any:
    later = type(desk.inside)(replace_settings(desk))
    later.ahead = ahead
    return later


def replace_settings(desk: Desk) -> Any:
    from dataclasses import replace as replaced

    return replaced(desk.inside.settings, allow_private_postbacks=True)


def test_a_get_template_is_filled_in_escaped_and_its_query_signed(desk: Desk, receiver: Receiver) -> None:
    made = create(
        desk, url=receiver.url + "/pb/{event}?o={conversionId}&c={clickId}&a={amount}{currency}&s={subId}", method="GET"
    )
    tried = desk.ask("POST", f"/v1/postbacks/{made['postbackId']}/test", {}, key="publisher")
    assert (tried.status, tried.json["state"]) == (200, "delivered"), tried.body
    got = receiver.got[0]
    assert got.path == "/pb/test?o=test&c=test&a=100.00EUR&s=test"
    assert parse_qs(urlsplit(got.path).query)["a"] == ["100.00EUR"]
    verify_webhook([made["secret"]], got.headers, got.signed, int(time.time()))
    desk.ask("DELETE", f"/v1/postbacks/{made['postbackId']}", key="publisher")


def test_what_was_not_taken_is_sent_again_later_and_then_given_up(desk: Desk, receiver: Receiver) -> None:
    receiver.status = 503
    made = create(desk, url=receiver.url, events=["recorded"])
    sold = desk.sell(desk.order_id(), clickId=desk.click()).json["conversionId"]
    until(lambda: len(receiver.of(sold)) >= 2, 40)
    first, second = receiver.of(sold)[:2]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    # The box's own sender is at it too and may hold the message for a moment: then the next turn finds it.
    for turn in range(1, 3 * len(RETRY_SECONDS)):
        notify.deliver(replace_ahead(desk, turn * (max(RETRY_SECONDS) + 61) * 1000))
        delivery = next(d for d in deliveries(desk, made) if d["conversionId"] == sold)
        if delivery["state"] == "givenUp":
            break
    assert delivery["state"] == "givenUp"
    assert len(delivery["attempts"]) == len(RETRY_SECONDS) + 1
    assert sum(RETRY_SECONDS) >= 71 * 3600
    receiver.status = 200
    again = desk.ask("POST", f"/v1/postbacks/{made['postbackId']}/replay", {}, key="publisher")
    assert (again.status, again.json["replayed"]) == (202, 1)
    until(lambda: next(d for d in deliveries(desk, made) if d["conversionId"] == sold)["state"] == "delivered")
    assert receiver.of(sold)[-1].headers["webhook-id"] == first.headers["webhook-id"]
    desk.ask("DELETE", f"/v1/postbacks/{made['postbackId']}", key="publisher")


def test_a_postback_that_nothing_reached_for_three_days_is_switched_off_and_says_so(
    desk: Desk, receiver: Receiver, postback: dict[str, Any]
) -> None:
    box = desk.inside
    held = box.postbacks.get(postback["publisherId"], postback["postbackId"])
    assert held is not None
    failing = box.postbacks.update(replace(held, failing_since=box.now() - 3 * DAY_MS - 1, given_up=5))
    receiver.status = 500
    from chalicelib.domain.postback import Attempt, Delivery

    tried = Delivery(
        postback_id=failing.postback_id,
        publisher_id=failing.publisher_id,
        delivery_id="0000000000001_x",
        event="recorded",
        conversion_id="none",
        data={},
        created_at=box.now(),
        attempts=(Attempt(box.now(), "500", 3),),
    )
    notify._remember_outcome(box, failing, tried)
    path = f"/v1/postbacks/{postback['postbackId']}"
    shown = desk.ask("GET", path, key="publisher").json
    assert shown["active"] is False and "500" in shown["notice"]
    assert desk.ask("POST", f"{path}/replay", {}, key="publisher").status == 409
    on = desk.ask("PATCH", path, {"active": True}, key="publisher").json
    assert (on["active"], on["notice"], on["failingSince"]) == (True, None, None)


def test_a_secret_is_shown_once_and_two_are_in_use_while_one_rotates(
    desk: Desk, receiver: Receiver, postback: dict[str, Any]
) -> None:
    path = f"/v1/postbacks/{postback['postbackId']}"
    assert "secret" not in desk.ask("GET", path, key="publisher").json
    new = desk.ask("PATCH", path, {"rotateSecret": True}, key="publisher").json["secret"]
    desk.ask("POST", f"{path}/test", {}, key="publisher")
    for secret in (postback["secret"], new):
        verify_webhook([secret], receiver.got[-1].headers, receiver.got[-1].signed, int(time.time()))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "url_missing"),
        ({"url": "ftp://example.com/"}, "url_not_allowed"),
        ({"url": "https://user:pass@example.com/"}, "url_not_allowed"),
        ({"url": "https://example.com:22/"}, "url_not_allowed"),
        ({"url": "https://{clickId}.example.com/"}, "url_invalid"),
        ({"url": "https://example.com/{order}"}, "macro_unknown"),
        ({"url": "https://[::1"}, "url_invalid"),
        ({"url": "https://example.com/", "method": "GET", "body": "{}"}, "body_without_post"),
        ({"url": "https://example.com/", "events": ["clicked"]}, "event_unknown"),
        ({"url": "https://example.com/", "events": []}, "event_unknown"),
    ],
)
def test_a_postback_that_could_not_work_is_refused(desk: Desk, fields: dict[str, Any], code: str) -> None:
    answer = desk.ask("POST", "/v1/postbacks", fields, key="publisher")
    assert (answer.status, answer.json["code"]) == (422, code)


def test_another_publishers_key_sees_nothing_of_it(desk: Desk, postback: dict[str, Any]) -> None:
    stranger = desk.publisher_key("somebody-else")
    path = f"/v1/postbacks/{postback['postbackId']}"
    assert desk.ask("GET", "/v1/postbacks", key=stranger).json == {"postbacks": []}
    calls = [("GET", path), ("PATCH", path), ("DELETE", path), ("GET", f"{path}/deliveries"), ("POST", f"{path}/test")]
    for method, called in calls:
        assert desk.ask(method, called, {}, key=stranger).status == 404, (method, called)
    assert desk.ask("POST", f"{path}/replay", {}, key=stranger).status == 404
