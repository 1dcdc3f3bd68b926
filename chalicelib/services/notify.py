"""Telling publishers: what changed becomes messages, messages become requests. Nothing here is on the way of a click or an order.

look      a change of a conversion's item puts its notice on today's list        (stream)
tell      what the network holds now, less what was told, becomes messages       (schedule)
deliver   each message is sent until it is taken or three days are over          (schedule)
"""

import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec.structs import replace

from chalicelib.adapters import http
from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import Terms
from chalicelib.domain.commission import commission
from chalicelib.domain.conversion import Conversion, Entry
from chalicelib.domain.money import format_amount
from chalicelib.domain.network_status import deadlines, effective_status, reason_of
from chalicelib.domain.notice import News, Notice, Seen, Told, news, now_told
from chalicelib.domain.outbox import last_transaction
from chalicelib.domain.payload import rfc3339
from chalicelib.domain.postback import (
    FAILED_DELIVERIES,
    FAILING_MS,
    Attempt,
    Delivery,
    Postback,
    after_attempt,
    delivery_id,
    in_turn,
    message,
)
from chalicelib.domain.transaction import Mined
from chalicelib.services.entries import currency_of, sub_id_of

RECHECK_MS = 5_000
"""How soon to look again at what is on its way to the network."""
AT_ONCE = 8
LOOKS = 200
SENDS = 16
"""At a time: two rounds of AT_ONCE, so that even where each takes its ten seconds the function ends within its minute."""
BACKLOG = 200
"""Messages that are due, of which SENDS are chosen: enough to see past what one slow server has left to send."""
LEASE_MS = 60_000
"""Longer than an attempt may take; a sender that died leaves its message due again after it."""
BUDGET_SECONDS = 30.0
_known: dict[str, bool] = {}
log = logging.getLogger("merchant-box")


def look(box: Box, conversion_ids: list[str]) -> int:
    """Put changed conversions on the list, where any publisher wants to be told at all."""
    if not _anyone_listens(box):
        return 0
    for conversion_id in dict.fromkeys(conversion_ids):
        box.notices.look(conversion_id, box.now())
    return len(conversion_ids)


def notify(box: Box) -> tuple[int, int]:
    """(messages made, requests sent) until nothing is due or the function's time is nearly over."""
    until = time.monotonic() + BUDGET_SECONDS
    made = sent = 0
    while time.monotonic() < until:
        made_now, sent_now = tell(box), deliver(box)
        made, sent = made + made_now, sent + sent_now
        if made_now == sent_now == 0:
            break
    return made, sent


def tell(box: Box) -> int:
    made = 0
    for conversion_id in box.notices.due(box.now(), LOOKS):
        kept, held = box.notices.get(conversion_id), box.conversions.get(conversion_id)
        if kept is None:
            continue
        try:
            made += _tell(
                box, held, kept.notice, lambda *told, key=conversion_id, k=kept: box.notices.told(key, k, *told)
            )
        except Stale:
            continue
    return made


def _tell(box: Box, held: Conversion | None, notice: Notice, keep: Any) -> int:
    """Messages first, then what was told: a crash in between makes the same messages again, under the same ids."""
    told, made, looks = dict(notice.told), 0, []
    for number, entry in enumerate(held.entries if held and held.erased_at is None else ()):
        assert held is not None, "it has entries"
        seen = _seen(box, entry)
        if seen is None:
            looks.append(box.now() + RECHECK_MS)
            continue
        before: Told | None = told.get(str(number))
        for item in news(before, seen):
            made += _make(box, held, number, item)
        told[str(number)] = now_told(seen)
        if not seen.locked:
            looks.append(seen.due_at if box.now() < seen.due_at else seen.lock_at)
    keep(Notice(told), min(looks, default=None))
    return made


def _seen(box: Box, entry: Entry) -> Seen | None:
    """None while its recording, or its newest change, is not mined."""
    agreement = box.agreements.get(entry.agreement_id)
    found = box.transactions.many({(entry.signer, entry.nonce), last_transaction(entry)})
    mined = {key: t.mined for key, t in found.items() if t.mined is not None and not t.mined.reverted}
    recorded, changed = mined.get((entry.signer, entry.nonce)), mined.get(last_transaction(entry))
    if agreement is None or recorded is None or changed is None:
        return None
    terms, now = agreement.terms, box.now()
    due, lock = deadlines(recorded.block_time, terms.validation_days, terms.lock_days)
    return Seen(
        status=effective_status(entry.decision, entry.verified, terms.silence, due, lock, now // 1000),
        decision=entry.decision,
        amount=sum(line.amount for line in entry.lines),
        locked=now >= lock * 1000,
        recorded_at=recorded.block_time * 1000,
        recorded_in=recorded.hash,
        changed_at=changed.block_time * 1000,
        changed_in=changed.hash,
        due_at=due * 1000,
        lock_at=lock * 1000,
    )


def _make(box: Box, held: Conversion, number: int, item: News) -> int:
    entry = held.entries[number]
    made = 0
    for postback in _postbacks_of(box, entry.publisher_id):
        if item.event not in postback.events or not postback.active or _was_before(item, postback):
            continue
        key = delivery_id(postback.postback_id, item.event, held.conversion_id, number, item.at, item.changed_in or "")
        delivery = Delivery(
            postback_id=postback.postback_id,
            publisher_id=postback.publisher_id,
            delivery_id=key,
            event=item.event,
            conversion_id=held.conversion_id,
            data=_data(box, held, entry, item),
            created_at=box.now(),
        )
        made += box.deliveries.create(delivery, due_at=box.now())
    return made


def _was_before(item: News, postback: Postback) -> bool:
    """A block tells its time in whole seconds, rounded down: what happened within the postback's first second was not before it."""
    return item.at // 1000 < postback.created_at // 1000


def _data(box: Box, held: Conversion, entry: Entry, item: News) -> dict[str, Any]:
    """What a message says; with `sequence` and `transaction` the publisher finds it on the network itself."""
    agreement = box.agreements.get(entry.agreement_id)
    transaction = box.transactions.get(entry.signer, entry.nonce)
    mined: Mined | None = transaction.mined if transaction else None
    first = mined.first_sequence if mined else None
    currency, amount = currency_of(held, entry), sum(line.amount for line in entry.lines)
    return {
        "event": item.event,
        "conversionId": held.conversion_id,
        "action": held.action,
        "status": item.status,
        "reason": reason_of(item.status, entry.decision, entry.reason),
        "amount": format_amount(amount, currency),
        "currency": currency,
        "commission": format_amount(_commission(held, entry, agreement.terms) if agreement else 0, currency),
        "clickId": entry.payload.get("clickId"),
        "subId": sub_id_of(box, held, entry),
        "merchant": box.config.merchant.id,
        "sequence": None if first is None else first + entry.index,
        "transaction": mined.hash if mined else None,
        "changedIn": item.changed_in,
        "occurredAt": rfc3339(item.at),
    }


def _commission(held: Conversion, entry: Entry, terms: Terms) -> int:
    return sum(commission(terms, held.action, line.group, line.amount) for line in entry.lines)


def deliver(box: Box) -> int:
    """Send what is due, several at a time; how many requests that were."""
    due = in_turn(box.deliveries.due(box.now(), BACKLOG))[:SENDS]
    if not due:
        return 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(lambda delivery: _deliver(box, delivery), due))


def _deliver(box: Box, delivery: Delivery) -> bool:
    try:
        claimed = box.deliveries.update(delivery, due_at=box.now() + LEASE_MS)
    except Stale:
        return False
    postback = box.postbacks.get(claimed.publisher_id, claimed.postback_id)
    if postback is None or not postback.active:
        with contextlib.suppress(Stale):
            box.deliveries.update(replace(claimed, state="givenUp"), due_at=None)
        return False
    attempt = attempted(box, postback, claimed)
    tried, due_at = after_attempt(claimed, attempt)
    with contextlib.suppress(Stale):  # replayed meanwhile: then that counts, and this attempt is not in the log
        box.deliveries.update(tried, due_at)
    _remember_outcome(box, postback, tried)
    return True


def attempted(box: Box, postback: Postback, delivery: Delivery) -> Attempt:
    """One request, whatever becomes of it."""
    asked = message(postback, delivery, box.now() // 1000)
    at = box.now()
    try:
        answer = box.outgoing(asked.method, asked.url, asked.headers, asked.body)
        return Attempt(at, str(answer.status), answer.milliseconds)
    except (http.NotAllowed, http.Failed) as error:
        return Attempt(at, str(error), max(0, box.now() - at))


def _remember_outcome(box: Box, postback: Postback, tried: Delivery) -> None:
    """Count failures, and switch off what nothing reached for three days. Written only when something changes."""
    if tried.state == "delivered":
        changed = replace(postback, failing_since=None, given_up=0)
    else:
        since = postback.failing_since or box.now()
        given_up = postback.given_up + (tried.state == "givenUp")
        changed = replace(postback, failing_since=since, given_up=given_up)
        if box.now() - since >= FAILING_MS and given_up >= FAILED_DELIVERIES:
            notice = f"Switched off: nothing was taken since {rfc3339(since)}; the last attempt: {tried.attempts[-1].outcome}."
            changed = replace(changed, active=False, notice=notice)
    if changed != postback:
        try:
            box.postbacks.update(changed)
        except Stale:
            log.info("a postback changed meanwhile; its next attempt counts")


def _postbacks_of(box: Box, publisher_id: str) -> list[Postback]:
    return box.postbacks.of(publisher_id)


def _anyone_listens(box: Box) -> bool:
    """Asked until somebody does: one read of an empty table for each batch of changes."""
    if not _known.get("any"):
        _known["any"] = box.postbacks.any()
    return _known["any"]
