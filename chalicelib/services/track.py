"""Clicks and conversions as they come in. What these functions return is stored already."""

import base64
import secrets
from dataclasses import dataclass

from msgspec import UNSET

from chalicelib.adapters.stores.item import Exists, Stale
from chalicelib.bootstrap import Box
from chalicelib.domain import conversion as conversions
from chalicelib.domain.attribution import Voucher, attribute
from chalicelib.domain.click import Click, landing_url, readable_sub_id, with_click
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.errors import Conflict, NotFound, Unavailable, Unprocessable
from chalicelib.domain.outbox import next_operation
from chalicelib.domain.page_signature import page_signature_holds
from chalicelib.domain.report import Body, Report, Source, normalise
from chalicelib.services import lifecycle

DAY_MS = 86_400_000
CLICK_GRACE_DAYS = 30
"""Clicks are kept this long past their window, so that a late order can be told why it was not attributed."""
MAX_RACES = 50


@dataclass(frozen=True)
class Received:
    """What a report came to. `new` means this call stored the order."""

    conversion: Conversion
    duplicate: bool
    new: bool


def click(box: Box, publisher_id: str, deep_link: str | None, sub_id: str | None) -> tuple[str, Click | None]:
    """Store a click and say where the shopper goes. Without an active agreement: the plain page, and no click."""
    target = landing_url(box.config, deep_link)
    stored = _store_click(box, publisher_id, sub_id)
    return (target if stored is None else with_click(target, box.config, stored.click_id)), stored


def direct_click(box: Box, publisher_id: str, sub_id: str | None) -> Click:
    """A click without a redirect, from a link straight to the shop. Raises NotFound without an active agreement."""
    stored = _store_click(box, publisher_id, sub_id)
    if stored is None:
        raise NotFound("publisher_unknown", "No publisher of that id has an active agreement with this merchant.")
    return stored


def beacon_conversion(box: Box, body: Body) -> Received:
    """A browser's report: verified if the merchant's server signed its order into the page.

    Raises Refusal for a signature that does not hold.
    """
    if not body.signature:
        return conversion(box, body, "tag")
    report = normalise(body, "signed-tag", box.config)
    secrets_in_use = box.state.read("page-secrets", list[str]) or []
    values = [] if body.values is UNSET else body.values
    if not values:
        raise Unprocessable(
            "values_missing", "A signed report needs its values: the signature covers them, and not the items."
        )
    currency = body.currency or box.config.currency
    if not page_signature_holds(secrets_in_use, body.signature, report.order_id or "", report.action, values, currency):
        raise Unprocessable(
            "signature_invalid",
            "The page's signature does not match order, action, values and currency; see docs/server-api.md.",
        )
    return conversion(box, body, "signed-tag")


def conversion(box: Box, body: Body, source: Source) -> Received:
    """Store what a source says of an order. Raises Refusal with a stable code; then nothing has changed but that the history may name
    another click."""
    report = normalise(body, source, box.config)
    now = box.now()
    click = box.clicks.get(report.click_id) if report.click_id else None
    attribution = attribute(report, click, _voucher(box, report.voucher), now)
    key = conversions.conversion_id(box.id_secret, report)
    first = conversions.open_conversion(report, attribution, key, (secrets.token_hex(32), secrets.token_hex(32)), now)
    try:
        box.conversions.create(first, wanted=_wanted(box, first))
        return Received(first, duplicate=False, new=True)
    except Exists:
        return _merge(box, key, report, click)


def _merge(box: Box, key: str, report: Report, click: Click | None) -> Received:
    """Hold the report against what is there, until no other writer came in between.

    Who earns follows from when the order was first heard of, as in its receipt: a click that came after it did not lead to it.
    """
    for _ in range(MAX_RACES):
        held = box.conversions.get(key)
        if held is None:
            raise Unavailable("try_again", "The order's record is just being removed; send it again.")
        now = box.now()
        attribution = attribute(report, click, _voucher(box, report.voucher, held.created_at), held.created_at)
        merged, outcome = conversions.merge(held, report, attribution, now, locked=lifecycle.is_locked(box, held))
        if merged is not held:
            try:
                merged = box.conversions.update(merged, now if _wanted(box, merged) else None)
            except Stale:
                continue
        if outcome == "conflict":
            raise Conflict(
                "conflict",
                "This order is held with another amount or currency. Send a correction from the server: PATCH /v1/conversions/{id}.",
            )
        return Received(merged, outcome == "duplicate", new=False)
    raise Unavailable("try_again", "Too many writers at this order at once; send it again.")


def _store_click(box: Box, publisher_id: str, sub_id: str | None) -> Click | None:
    publisher = box.publishers.get(publisher_id)
    if publisher is None or publisher.link is None:
        return None
    now = box.now()
    made = Click(
        click_id=base64.b32encode(secrets.token_bytes(15)).decode().lower(),
        publisher_id=publisher_id,
        agreement_id=publisher.link.agreement_id,
        clicked_at=now,
        attributable_until=now + publisher.link.attribution_window_days * DAY_MS,
        sub_id=readable_sub_id(sub_id),
        salt=secrets.token_hex(32),
        private_salt=secrets.token_hex(32),
    )
    box.clicks.create(made, keep_until=made.attributable_until + CLICK_GRACE_DAYS * DAY_MS)
    return made


def _voucher(box: Box, code: str | None, at: int | None = None) -> Voucher | None:
    """The voucher with the agreement in force at that moment (now where none is given), None when it belongs to nobody active."""
    kept = box.vouchers.get(code) if code else None
    publisher = box.publishers.get(kept.publisher_id) if kept else None
    if kept is None or publisher is None:
        return None
    agreement_id = publisher.link.agreement_id if publisher.link else None
    if at is not None:
        agreement_id = _in_force(box, kept.publisher_id, at) or agreement_id
    return Voucher(kept.code, kept.publisher_id, agreement_id, kept.exclusive) if agreement_id else None


def _in_force(box: Box, publisher_id: str, at: int) -> str | None:
    """The newest agreement that was registered by then and had not ended."""
    return next(
        (
            held.agreement_id
            for held in box.agreements.of(publisher_id)
            if (held.registered_at or 0) <= at and (held.ended_at is None or at < held.ended_at)
        ),
        None,
    )


def _wanted(box: Box, conversion: Conversion) -> bool:
    return next_operation(conversion, hold_unverified=box.config.tracking.hold_unverified) is not None
