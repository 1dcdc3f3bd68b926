"""What a publisher is told follows from what was told and what the network holds; looking twice tells nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Unprocessable
from chalicelib.domain.network_status import effective_status
from chalicelib.domain.notice import Seen, Told, news, now_told
from chalicelib.domain.postback import (
    RETRY_SECONDS,
    Attempt,
    Delivery,
    Postback,
    after_attempt,
    check_template,
    delivery_id,
    in_turn,
    message,
)

RECORDED, CHANGED, DUE, LOCK = 1_000_000, 2_000_000, 10_000_000, 20_000_000


def seen(
    decision: Any = "open", status: Any = None, amount: int = 100, locked: bool = False, changed: int = CHANGED
) -> Seen:
    return Seen(
        status=status or decision,
        decision=decision,
        amount=amount,
        locked=locked,
        recorded_at=RECORDED,
        recorded_in="0xrec",
        changed_at=changed,
        changed_in="0xchg",
        due_at=DUE,
        lock_at=LOCK,
    )


TOLD_OPEN = Told("open", 100)


@pytest.mark.parametrize(
    ("told", "now", "expected"),
    [
        (None, seen(), [("recorded", RECORDED, "open", "0xrec")]),
        (TOLD_OPEN, seen(), []),
        (TOLD_OPEN, seen("approved"), [("approved", CHANGED, "approved", "0xchg")]),
        (TOLD_OPEN, seen("rejected"), [("rejected", CHANGED, "rejected", "0xchg")]),
        (Told("rejected", 100), seen("open"), [("amended", CHANGED, "open", "0xchg")]),
        (TOLD_OPEN, seen(amount=40), [("amended", CHANGED, "open", "0xchg")]),
        (TOLD_OPEN, seen("open", "approved"), [("approved", DUE, "approved", None)]),
        (Told("rejected", 100), seen("open", "approved", changed=DUE + 5), [("approved", DUE + 5, "approved", None)]),
        (Told("approved", 100), seen("approved", "sale", locked=True), [("locked", LOCK, "sale", None)]),
        (Told("rejected", 100), seen("rejected", "rejected", locked=True), [("locked", LOCK, "rejected", None)]),
        (TOLD_OPEN, seen("open", "rejected", locked=True), [("locked", LOCK, "rejected", None)]),
        (Told("approved", 100, locked=True), seen("approved", "sale", locked=True), []),
        (
            None,
            seen("open", "sale", locked=True),
            [
                ("recorded", RECORDED, "open", "0xrec"),
                ("approved", DUE, "approved", None),
                ("locked", LOCK, "sale", None),
            ],
        ),
    ],
)
def test_each_step_is_told_with_its_moment_and_what_carried_it(
    told: Told | None, now: Seen, expected: list[Any]
) -> None:
    assert [(item.event, item.at, item.status, item.changed_in) for item in news(told, now)] == expected


@given(st.sampled_from(["open", "approved", "rejected"]), st.booleans(), st.integers(0, 30), st.integers(0, 200))
def test_after_telling_there_is_nothing_left_to_tell(decision: Any, silent: bool, day: int, amount: int) -> None:
    status = effective_status(decision, False, "all" if silent else "verified", 10, 20, day)
    now = seen(decision, status, amount, locked=day >= 20)
    assert news(now_told(now), now) == []


def postback(**fields: Any) -> Postback:
    usual: dict[str, Any] = {
        "postback_id": "pb_1",
        "publisher_id": "p1",
        "url": "https://example.com/",
        "method": "POST",
        "body": None,
        "events": ("recorded",),
        "secrets": ("whsec_" + "QUJD" * 8,),
        "created_at": 0,
    }
    return Postback(**{**usual, **fields})


def delivery(**data: Any) -> Delivery:
    return Delivery(
        postback_id="pb_1",
        publisher_id="p1",
        delivery_id=delivery_id("pb_1", "recorded", "c1", 0, RECORDED),
        event="recorded",
        conversion_id="c1",
        data=data,
        created_at=0,
    )


def test_a_value_cannot_break_out_of_its_place_in_a_template() -> None:
    nasty = 'a&b=c#d/../"}\\ é\r\nX: y'
    got = message(postback(method="GET", url="https://example.com/p/{subId}?s={subId}&x=1"), delivery(subId=nasty), 1)
    assert got.url.startswith("https://example.com/p/a%26b%3Dc%23d%2F..%2F%22%7D%5C%20%C3%A9%0D%0AX%3A%20y?s=")
    assert got.url.count("&") == 1 and "#" not in got.url and "\n" not in got.url
    import json

    posted = message(postback(body='{"s": "{subId}", "n": "{sequence}"}'), delivery(subId=nasty, sequence=None), 1)
    assert json.loads(posted.body or b"") == {"s": nasty, "n": ""}


def test_what_a_value_says_is_never_filled_in_again() -> None:
    got = message(
        postback(method="GET", url="https://example.com/?s={subId}"), delivery(subId="{clickId}", clickId="c"), 1
    )
    assert got.url == "https://example.com/?s=%7BclickId%7D"


def test_a_message_has_the_same_id_however_often_it_is_derived_and_another_for_another_change() -> None:
    one = delivery_id("pb", "approved", "c", 0, CHANGED, "0xa")
    assert one == delivery_id("pb", "approved", "c", 0, CHANGED, "0xa")
    assert (
        len(
            {
                one,
                delivery_id("pb", "approved", "c", 0, CHANGED, "0xb"),
                delivery_id("pb", "approved", "c", 1, CHANGED, "0xa"),
            }
        )
        == 3
    )
    assert delivery_id("pb", "approved", "c", 0, CHANGED) < delivery_id("pb", "approved", "c", 0, DUE)


def test_attempts_go_on_for_three_days_and_end_with_the_first_success() -> None:
    tried, at, due = delivery(), 0, None
    for number in range(len(RETRY_SECONDS) + 1):
        tried, due = after_attempt(tried, Attempt(at, "500", 1))
        assert (due is None) == (number == len(RETRY_SECONDS))
        at = due or at
    assert tried.state == "givenUp" and 71 * 3_600_000 <= at <= 73 * 3_600_000
    assert after_attempt(delivery(), Attempt(0, "204", 1))[0].state == "delivered"
    for outcome in ("199", "300", "404", "no answer (TimeoutError)", "²00"):
        assert after_attempt(delivery(), Attempt(0, outcome, 1))[0].state == "waiting"


def test_a_macro_never_chooses_the_host() -> None:
    for url in ("https://{clickId}/", "https://a.{subId}.example/", "{subId}://example.com/"):
        with pytest.raises(Unprocessable):
            check_template(url, "GET", None)


def test_a_postback_with_many_messages_due_lets_the_others_have_their_turn() -> None:
    def due(postback: str, number: int) -> Delivery:
        return Delivery(
            postback_id=postback,
            publisher_id="p",
            delivery_id=f"{postback}{number}",
            event="recorded",
            conversion_id="c",
            data={},
            created_at=number,
        )

    backlog = [due("slow", number) for number in range(50)]
    chosen = in_turn([*backlog, due("a", 60), due("b", 61), due("a", 62)])
    assert [one.delivery_id for one in chosen[:6]] == ["slow0", "a60", "b61", "slow1", "a62", "slow2"]
    assert len(chosen) == 53 and in_turn([]) == []
