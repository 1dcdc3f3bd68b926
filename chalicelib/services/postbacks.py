"""A publisher's own postbacks: made, changed, tried, replayed."""

import base64
import secrets
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from chalicelib.adapters import http
from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.errors import Conflict, NotFound, Unavailable, Unprocessable
from chalicelib.domain.payload import rfc3339
from chalicelib.domain.postback import (
    EVENTS,
    MAX_POSTBACKS,
    Delivery,
    Event,
    Method,
    Postback,
    check_template,
)
from chalicelib.services import notify

SECRETS_IN_USE = 2
MAX_REPLAY = 200


@dataclass(frozen=True)
class Wish:
    """What to make or change; None leaves it. An empty body is the full JSON."""

    url: str | None = None
    method: Method | None = None
    body: str | None = None
    events: list[str] | None = None
    active: bool | None = None
    rotate_secret: bool = False


def create(box: Box, publisher_id: str, wish: Wish) -> Postback:
    """Raises Unprocessable, Conflict past MAX_POSTBACKS, NotFound for a publisher the box does not know."""
    if box.publishers.get(publisher_id) is None:
        raise NotFound("publisher_unknown", "The box knows no publisher of that id.")
    if wish.url is None:
        raise Unprocessable("url_missing", "Give the address to call as url.")
    if len(box.postbacks.of(publisher_id)) >= MAX_POSTBACKS:
        raise Conflict("postbacks_too_many", f"A publisher has at most {MAX_POSTBACKS} postbacks; remove one first.")
    blank = Postback(
        postback_id="pb_" + secrets.token_hex(8),
        publisher_id=publisher_id,
        url=wish.url,
        method="POST",
        body=None,
        events=_events(list(EVENTS)),
        secrets=(_secret(),),
        created_at=box.now(),
    )
    made = _wished(blank, wish)
    box.postbacks.create(made)
    return made


def change(box: Box, publisher_id: str, postback_id: str, wish: Wish) -> Postback:
    """Raises NotFound or Unprocessable. Switching on again forgets why it was switched off."""
    held = one(box, publisher_id, postback_id)
    changed = _wished(held, wish)
    if changed == held:
        return held
    try:
        return box.postbacks.update(changed)
    except Stale:
        raise Unavailable("try_again", "The postback was changed at the same moment; send it again.") from None


def one(box: Box, publisher_id: str, postback_id: str) -> Postback:
    held = box.postbacks.get(publisher_id, postback_id)
    if held is None:
        raise NotFound("postback_unknown", "There is no postback of that id.")
    return held


def remove(box: Box, publisher_id: str, postback_id: str) -> None:
    """What is still under way to it is given up."""
    one(box, publisher_id, postback_id)
    box.postbacks.remove(publisher_id, postback_id)


def test(box: Box, publisher_id: str, postback_id: str) -> Delivery:
    """One signed message with made-up figures, sent now, once; in the delivery log like any other."""
    held = one(box, publisher_id, postback_id)
    now = box.now()
    trial = Delivery(
        postback_id=postback_id,
        publisher_id=publisher_id,
        delivery_id=f"{now:013d}_{secrets.token_hex(10)}",
        event="test",
        conversion_id="test",
        data=_example(box),
        created_at=now,
    )
    attempt = notify.attempted(box, held, trial)
    delivered = attempt.outcome.isdecimal() and 200 <= int(attempt.outcome) < 300
    tried = replace(trial, attempts=(attempt,), state="delivered" if delivered else "givenUp")
    box.deliveries.create(tried, due_at=None)
    return tried


def deliveries(
    box: Box, publisher_id: str, postback_id: str, limit: int, cursor: str | None
) -> tuple[list[Delivery], str | None]:
    """The newest first, and the cursor of the next page."""
    one(box, publisher_id, postback_id)
    found = box.deliveries.newest(postback_id, limit + 1, cursor)
    return found[:limit], found[limit - 1].delivery_id if len(found) > limit else None


def replay(box: Box, publisher_id: str, postback_id: str, delivery_id: str | None) -> int:
    """Send one message again, or each that was given up; how many. They keep their ids, so a receiver knows them."""
    held = one(box, publisher_id, postback_id)
    if not held.active:
        raise Conflict("postback_off", "Switch the postback on first: PATCH it with active true.")
    if delivery_id is not None:
        found = box.deliveries.get(postback_id, delivery_id)
        if found is None:
            raise NotFound("delivery_unknown", "There is no delivery of that id.")
        chosen = [found]
    else:
        newest = box.deliveries.newest(postback_id, MAX_REPLAY)
        chosen = [delivery for delivery in newest if delivery.state == "givenUp" and delivery.event != "test"]
    for delivery in chosen:
        try:
            box.deliveries.update(replace(delivery, state="waiting", attempts=()), due_at=box.now())
        except Stale:
            raise Unavailable("try_again", "This message is being sent just now; look at the log.") from None
    return len(chosen)


def shown(held: Postback, *, with_secret: bool = False) -> dict[str, Any]:
    """As the API shows it. The newest secret is shown when it is made, and never again."""
    view: dict[str, Any] = {
        "postbackId": held.postback_id,
        "publisherId": held.publisher_id,
        "url": held.url,
        "method": held.method,
        "body": held.body,
        "events": list(held.events),
        "active": held.active,
        "notice": held.notice,
        "failingSince": rfc3339(held.failing_since),
        "createdAt": rfc3339(held.created_at),
        "secrets": len(held.secrets),
    }
    if with_secret:
        view["secret"] = held.secrets[0]
    return view


def shown_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "deliveryId": delivery.delivery_id,
        "event": delivery.event,
        "conversionId": delivery.conversion_id,
        "state": delivery.state,
        "createdAt": rfc3339(delivery.created_at),
        "data": delivery.data,
        "attempts": [
            {"at": rfc3339(attempt.at), "outcome": attempt.outcome, "milliseconds": attempt.milliseconds}
            for attempt in delivery.attempts
        ],
    }


def _wished(held: Postback, wish: Wish) -> Postback:
    changed = replace(
        held,
        url=held.url if wish.url is None else wish.url,
        method=wish.method or held.method,
        body=held.body if wish.body is None else wish.body or None,
        events=held.events if wish.events is None else _events(wish.events),
    )
    if wish.active is not None and wish.active != held.active:
        changed = replace(changed, active=wish.active, notice=None, failing_since=None, given_up=0)
    if wish.rotate_secret:
        changed = replace(changed, secrets=(_secret(), *held.secrets)[:SECRETS_IN_USE])
    check_template(changed.url, changed.method, changed.body)
    try:
        http.check_url(changed.url)
    except http.NotAllowed as refused:
        raise Unprocessable("url_not_allowed", f"The box does not call this address: {refused}.") from None
    return changed


def _events(names: list[str]) -> tuple[Event, ...]:
    wanted: list[Event] = []
    for name in dict.fromkeys(names):
        if name not in EVENTS:
            raise Unprocessable("event_unknown", f"The events are {', '.join(EVENTS)}.")
        wanted.append(name)  # type: ignore[arg-type]
    if not wanted:
        raise Unprocessable("event_unknown", f"Name at least one of {', '.join(EVENTS)}.")
    return tuple(wanted)


def _secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _example(box: Box) -> dict[str, Any]:
    return {
        "event": "test",
        "conversionId": "test",
        "action": "sale",
        "status": "open",
        "reason": None,
        "amount": "100.00",
        "currency": box.config.currency,
        "commission": "10.00",
        "clickId": "test",
        "subId": "test",
        "merchant": box.config.merchant.id,
        "sequence": None,
        "transaction": None,
        "changedIn": None,
        "occurredAt": rfc3339(box.now()),
    }
