"""A conversion from its first report to its last correction: one order is one conversion, whoever reports it.

Two things are kept apart: what the merchant's side *wants* (amount, attribution, decision - here), and what the network *holds* (the
entries).
`domain.outbox` derives from the difference what the signer has to do.
"""

import base64
import hashlib
import hmac
import json
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from chalicelib.domain.attribution import Attribution
from chalicelib.domain.errors import Conflict
from chalicelib.domain.report import Action, Item, Line, Report, Source

Decision = Literal["open", "approved", "rejected"]
Status = Literal["open", "approved", "sale", "rejected"]

MAX_HISTORY = 200
MAX_FLAGS = 10
"""Lines about other clicks that a conversion's history takes: anybody who guesses an order's number can cause one."""
TEST_DAYS = 7
"""How long a test order is shown."""
_RANK: dict[Source, int] = {"tag": 0, "signed-tag": 1, "server": 2}


class Happening(Struct, rename="camel", frozen=True):
    """One line of a conversion's history. `at` in milliseconds since 1970 UTC."""

    at: int
    event: str
    by: str
    detail: str = ""


class Said(Struct, rename="camel", omit_defaults=True, frozen=True):
    """What one source said first; a later report of that source is held against it. `original` where the box converted it."""

    amount: int
    currency: str
    click_id: str | None
    event_id: str | None
    at: int
    original: tuple[int, str] | None = None


class Entry(Struct, rename="camel", frozen=True, kw_only=True):
    """One recording of the conversion on the network. A superseding report makes a second one; the first is then rejected.

    `payload` is exactly what was committed to. `signer`, `nonce`, `index` name its transaction and its first place in the batch. `lines`,
    `verified`, `decision` and `reason` follow each change that a transaction carries; `last_change` names the newest of those.
    """

    payload: dict[str, Any]
    agreement_id: str
    publisher_id: str
    groups: tuple[str, ...]
    """The commission groups that the agreement names; a line of any other counts as the first, the default group."""
    lines: tuple[Line, ...]
    """One entry of the batch each, from `index` on."""
    verified: bool
    batch: str
    """The batch's digest, in hex: its name on the network."""
    signer: str
    nonce: int
    index: int
    decision: Decision = "open"
    reason: str | None = None
    last_change: tuple[str, int] | None = None
    """(signer, nonce) of the newest decide or amend; None while only recorded."""


class Refused(Struct, rename="camel", frozen=True):
    """What the network answered that may pass, and since when (milliseconds) it answers that."""

    since: int
    reason: str


class Conversion(Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """Amounts in minor units, times in milliseconds since 1970 UTC."""

    conversion_id: str
    action: Action
    order_id: str | None
    event_id: str | None
    amount: int
    currency: str
    lines: tuple[Line, ...]
    source: Source
    verified: bool
    attribution: Attribution
    salt: str
    private_salt: str
    created_at: int
    said: dict[str, Said]
    original: tuple[int, str] | None = None
    rate: str | None = None
    amount_corrected: bool = False
    """The merchant set the amount by a correction: no report changes it any more."""
    customer_status: Literal["new", "existing"] | None = None
    voucher: str | None = None
    items: tuple[Item, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    decision: Decision = "open"
    reason: str | None = None
    is_test: bool = False
    entries: tuple[Entry, ...] = ()
    set_aside: str | None = None
    """Why the network refuses to record this conversion, for a person to read; None in the ordinary course."""
    refused: Refused | None = None
    """It waits for the network to think better of it."""
    history: tuple[Happening, ...] = ()
    erased_at: int | None = None
    given_back: dict[str, int] = field(default_factory=dict)
    """Signer -> the newest of its nonces that gave this conversion back; no late claim of that one or an earlier one counts."""
    version: int = 1

    @property
    def attributed(self) -> bool:
        return self.attribution.publisher_id is not None


def conversion_id(box_secret: bytes, report: Report) -> str:
    """The id under which this order is kept, whoever reports it: 26 characters a-z2-7 that only the box can derive."""
    kind, identity = ("order", report.order_id) if report.order_id else ("event", report.event_id or "")
    return _derived_id(box_secret, report.action, kind, identity, report.is_test)


def id_of_order(box_secret: bytes, action: Action, order_id: str, *, is_test: bool = False) -> str:
    """The same, for an order that is looked up rather than reported."""
    return _derived_id(box_secret, action, "order", order_id, is_test)


def _derived_id(box_secret: bytes, action: Action, kind: str, identity: str, is_test: bool) -> str:
    name = json.dumps(["test" if is_test else "live", action, kind, identity], ensure_ascii=False)
    digest = hmac.new(box_secret, name.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def open_conversion(report: Report, attribution: Attribution, key: str, salts: tuple[str, str], now: int) -> Conversion:
    """The first report of an order. `key` from `conversion_id`; `salts` are two fresh ones of 32 bytes in hex."""
    detail = attribution.rule if attribution.publisher_id else f"unattributed: {attribution.reason}"
    if attribution.loser:
        detail += f"; over {attribution.loser}"
    if report.rate and report.original:
        detail += f"; converted from {report.original[1]} at {report.rate}"
    return Conversion(
        conversion_id=key,
        action=report.action,
        order_id=report.order_id,
        event_id=report.event_id,
        amount=report.amount,
        currency=report.currency,
        lines=report.lines,
        source=report.source,
        verified=report.verified,
        attribution=attribution,
        salt=salts[0],
        private_salt=salts[1],
        created_at=now,
        said={report.source: _said(report, now)},
        original=report.original,
        rate=report.rate,
        customer_status=report.customer_status,
        voucher=report.voucher,
        items=report.items,
        metadata=dict(report.metadata),
        is_test=report.is_test,
        history=(Happening(now, "received", report.source, detail),),
    )


def merge(
    held: Conversion, report: Report, attribution: Attribution, now: int, *, locked: bool
) -> tuple[Conversion, Literal["duplicate", "amended", "conflict"]]:
    """A further report of an order that the box holds. But for `amended`, it comes back with a line of history at most, or as `held`
    itself; `conflict` when the report says something else and may not change it.

    Raises Conflict: `erased`, and `locked` after the lock.
    """
    earlier = held.said.get(report.source)
    repeats = earlier is not None and _repeats(held, earlier, report)
    if held.erased_at is not None:
        if repeats:
            return held, "duplicate"
        raise Conflict("erased", "This order was erased on request; nothing of it is taken again.")
    if repeats:
        return _with_other_click(held, report, now), "duplicate"
    confirms = earlier is None and _confirms(held, report)
    if confirms and _RANK[report.source] <= _RANK[held.source]:
        return _remembering(_with_other_click(held, report, now), report, now, "confirmed"), "duplicate"
    if locked:
        raise Conflict("locked", "The lock date of this conversion has passed; nothing changes it any more.")
    if earlier is None and _RANK[report.source] > _RANK[held.source]:
        return _superseded_by(held, report, attribution, now), "amended"
    return _with_other_click(held, report, now), "conflict"


def repriced(held: Conversion, lines: tuple[Line, ...]) -> Conversion:
    """The conversion with the lines that the merchant set; as it is, where they are those it has."""
    if lines == held.lines:
        return held
    return replace(held, lines=lines, amount=sum(line.amount for line in lines), amount_corrected=True)


def in_groups_of(names: tuple[str, ...], lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines under the commission groups an agreement knows: what it does not name counts as its first, the default group."""
    amounts: dict[str, int] = {}
    for line in lines:
        group = line.group if line.group in names else names[0]
        amounts[group] = amounts.get(group, 0) + line.amount
    return tuple(Line(group, amounts[group]) for group in sorted(amounts, key=names.index))


def _said(report: Report, now: int) -> Said:
    return Said(report.amount, report.currency, report.click_id, report.event_id, now, report.original)


def _repeats(held: Conversion, earlier: Said, report: Report) -> bool:
    """By what the source named itself: the rate may be another by now. Version 0.1 kept of a source only what its amount came to, and of
    the order what that was converted from."""
    if earlier.original is None and report.original is not None:
        return held.original == report.original
    said = earlier.original or (earlier.amount, earlier.currency)
    return said == (report.original or (report.amount, report.currency))


def _confirms(held: Conversion, report: Report) -> bool:
    if report.original is not None and held.original == report.original:
        return True
    return (held.amount, held.currency) == (report.amount, report.currency)


def _is_corrected(held: Conversion) -> bool:
    """Version 0.1 did not mark it: there the amount is another than its source said."""
    said = held.said.get(held.source)
    return held.amount_corrected or (said is not None and said.amount != held.amount)


def _with_other_click(held: Conversion, report: Report, now: int) -> Conversion:
    """A repeat with a click that nobody had named changes nothing, but leaves a trace: it may be somebody stealing the order."""
    known = {held.attribution.click_id, *(said.click_id for said in held.said.values())}
    flag = f"repeat named another click: {report.click_id}"
    flags = [line.detail for line in held.history if line.event == "flagged"]
    if not report.click_id or report.click_id in known or flag in flags or len(flags) >= MAX_FLAGS:
        return held
    return happened(held, now, "flagged", report.source, flag)


def _remembering(held: Conversion, report: Report, now: int, event: str, detail: str = "") -> Conversion:
    said = {**held.said, report.source: _said(report, now)}
    return happened(replace(held, said=said), now, event, report.source, detail)


def _superseded_by(held: Conversion, report: Report, attribution: Attribution, now: int) -> Conversion:
    """A verified report over a lesser one: its amount holds unless the merchant corrected the one before, and its attribution where its
    click or voucher earns one - no click made after the order does: its receipt would not hold. What the network said of the lesser one
    does not count for it."""
    stays = _is_corrected(held)
    priced = held if stays else _with_amount_of(held, report)
    came_before = attribution.clicked_at is None or attribution.clicked_at <= held.created_at
    names_publisher = attribution.publisher_id is not None and came_before
    amended = replace(
        priced,
        source=report.source,
        verified=True,
        attribution=attribution if names_publisher else held.attribution,
        order_id=report.order_id or held.order_id,
        items=report.items or held.items,
        customer_status=report.customer_status or held.customer_status,
        voucher=report.voucher or held.voucher,
        metadata={**held.metadata, **report.metadata},
        amount_corrected=stays,
        set_aside=None,
        refused=None,
    )
    details = []
    if held.amount != amended.amount:
        details.append("amount changed by a verified report")
    if amended.attribution.publisher_id != held.attribution.publisher_id:
        details.append(f"attribution moved from {held.attribution.publisher_id} to {amended.attribution.publisher_id}")
    event = "amended" if details else "verified"
    if not came_before:
        details.append("its click came after the order")
    if stays and held.amount != report.amount:
        details.append("amount stays as corrected")
    return _remembering(amended, report, now, event, "; ".join(details))


def _with_amount_of(held: Conversion, report: Report) -> Conversion:
    return replace(
        held,
        amount=report.amount,
        currency=report.currency,
        lines=report.lines,
        original=report.original,
        rate=report.rate,
    )


def happened(conversion: Conversion, at: int, event: str, by: str, detail: str = "") -> Conversion:
    """The conversion with one more line of history (the oldest but the first fall off past MAX_HISTORY)."""
    history = (*conversion.history, Happening(at, event, by, detail))
    if len(history) > MAX_HISTORY:
        history = (history[0], *history[-(MAX_HISTORY - 1) :])
    return replace(conversion, history=history)
