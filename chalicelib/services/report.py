"""What happened: pages of conversions, and figures by day, publisher, subId or status."""

import base64
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import ACTIONS
from chalicelib.domain.conversion import TEST_DAYS, Conversion, id_of_order
from chalicelib.domain.errors import Forbidden, NotFound, Unprocessable
from chalicelib.domain.money import format_amount
from chalicelib.services.entries import as_recorded_for
from chalicelib.services.lifecycle import standings

T = TypeVar("T")
MAX_DAYS = 400
PAGE = 50
MAX_PAGE = 200
READ_AHEAD = 100
DAY_MS = 86_400_000
MS_DIGITS = 13
"""Of a time in milliseconds, from 2001 to 2286."""
STATUSES = ("open", "approved", "sale", "rejected")
BY = ("day", "publisher", "subId", "status")


@dataclass(frozen=True)
class Filter:
    first: date
    last: date
    status: str | None = None
    publisher_id: str | None = None
    order_id: str | None = None
    limit: int = PAGE
    after: tuple[int, str] | None = None


@dataclass(frozen=True)
class Page:
    conversions: list[Conversion]
    cursor: str | None


def one(box: Box, conversion_id: str, publisher_id: str | None) -> Conversion:
    """The conversion, if it is there and (for a publisher's key) the publisher's own, or as it was recorded for that one before it moved.

    Raises NotFound.
    """
    held = box.conversions.get(conversion_id)
    if held is not None and publisher_id not in (None, held.attribution.publisher_id):
        assert publisher_id is not None, "None is the merchant, who sees all"
        held = as_recorded_for(box, held, publisher_id)
    if held is None or _is_gone(box, held):
        raise NotFound("conversion_unknown", "The box holds no conversion of that id.")
    return held


def read_filter(box: Box, query: dict[str, str], publisher_id: str | None) -> Filter:
    """`publisher_id` is the caller's own, whose rows alone it may see. Raises Unprocessable, and Forbidden for another publisher's."""
    first, last = _days(box, query)
    named, status = query.get("publisherId"), query.get("status")
    if publisher_id is not None and named not in (None, publisher_id):
        raise Forbidden("publisher_not_yours", "This key reads its own publisher's rows alone; leave publisherId out.")
    if status is not None and status not in STATUSES:
        raise Unprocessable("status_invalid", f"A status is one of {', '.join(STATUSES)}.")
    return Filter(
        first=first,
        last=last,
        status=status,
        publisher_id=publisher_id or named,
        order_id=query.get("orderId"),
        limit=read_limit(query),
        after=_after(query.get("cursor")),
    )


def read_limit(query: dict[str, str]) -> int:
    """How many on a page. Raises Unprocessable."""
    limit = query.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 6 and 0 < int(limit) <= MAX_PAGE):
        raise Unprocessable("limit_invalid", f"limit is 1 to {MAX_PAGE}.")
    return int(limit)


def page(box: Box, wanted: Filter) -> Page:
    """The newest first. The cursor is None on the last page."""
    found = list(islice(_matching(box, wanted), wanted.limit + 1))
    if len(found) <= wanted.limit:
        return Page(found, None)
    return Page(found[: wanted.limit], cursor_behind(found[wanted.limit - 1]))


def cursor_behind(last: Conversion) -> str:
    return base64.urlsafe_b64encode(f"{last.created_at}.{last.conversion_id}".encode()).decode().rstrip("=")


def stats(box: Box, query: dict[str, str], publisher_id: str | None) -> dict[str, Any]:
    """Rows by `by`, and totals. Tests are not counted. Money in the config's currency."""
    by = query.get("by", "day")
    if by not in BY:
        raise Unprocessable("by_invalid", f"by is one of {', '.join(BY)}.")
    wanted = read_filter(box, query, publisher_id)
    rows: defaultdict[str, Figures] = defaultdict(Figures)
    totals = Figures()
    for day, publisher, sub_id in box.clicks.on(wanted.first, wanted.last, wanted.publisher_id):
        totals.clicks += 1
        if by != "status":  # a click has none
            rows[{"day": day, "publisher": publisher, "subId": sub_id or ""}[by]].clicks += 1
    for batch in _batches(_matching(box, wanted)):
        where = standings(box, batch)
        for conversion in (c for c in batch if not c.is_test):
            standing = where[conversion.conversion_id]
            key = {
                "day": datetime.fromtimestamp(conversion.created_at / 1000, UTC).date().isoformat(),
                "publisher": conversion.attribution.publisher_id or "",
                "subId": conversion.attribution.sub_id or "",
                "status": standing.status,
            }[by]
            for figures in (rows[key], totals):
                figures.count(conversion, standing.status, standing.commission)
    currency = box.config.currency
    return {
        "from": wanted.first.isoformat(),
        "to": wanted.last.isoformat(),
        "by": by,
        "currency": currency,
        "rows": [{"key": key, **rows[key].shown(currency)} for key in sorted(rows)],
        "totals": totals.shown(currency),
    }


@dataclass
class Figures:
    """Counts and minor units."""

    clicks: int = 0
    conversions: int = 0
    unattributed: dict[str, int] = field(default_factory=dict)
    amount: int = 0
    commission: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))

    def count(self, conversion: Conversion, status: str, commission: int) -> None:
        if not conversion.attributed:
            reason = conversion.attribution.reason or "unknown"
            self.unattributed[reason] = self.unattributed.get(reason, 0) + 1
            return
        self.conversions += 1
        self.amount += conversion.amount
        self.commission[status] += commission

    def shown(self, currency: str) -> dict[str, Any]:
        """Rates are decimal strings too: they are for people, and nobody should add them up."""
        earned = sum(amount for status, amount in self.commission.items() if status != "rejected")
        return {
            "clicks": self.clicks,
            "conversions": self.conversions,
            "unattributed": self.unattributed,
            "amount": format_amount(self.amount, currency),
            "commission": {status: format_amount(amount, currency) for status, amount in self.commission.items()},
            "conversionRate": _ratio(self.conversions, self.clicks),
            "earningsPerClick": format_amount(_half_up(earned, self.clicks), currency) if self.clicks else None,
        }


def _half_up(part: int, whole: int) -> int:
    return (2 * part + whole) // (2 * whole)


def _ratio(part: int, whole: int) -> str | None:
    """Four decimals, None where there is nothing to divide by."""
    if whole == 0:
        return None
    scaled = _half_up(part * 10_000, whole)
    return f"{scaled // 10_000}.{scaled % 10_000:04d}"


def _matching(box: Box, wanted: Filter) -> Iterator[Conversion]:
    if wanted.order_id is not None:
        yield from _of_order(box, wanted, wanted.order_id)
        return
    rows = box.conversions.newest(wanted.first, wanted.last, wanted.after)
    mine = (key for _, key, publisher in rows if wanted.publisher_id in (None, publisher))
    for keys in _batches(mine):
        found = box.conversions.many(keys)
        yield from _of_status(
            box, wanted, [found[key] for key in keys if key in found and not _is_gone(box, found[key])]
        )


def _of_order(box: Box, wanted: Filter, order_id: str) -> Iterator[Conversion]:
    """An order's id is derived, so it is looked up, not searched: in any period, as a sale, a lead or a test of either."""
    ids = [
        id_of_order(box.id_secret, action, order_id, is_test=is_test) for action in ACTIONS for is_test in (False, True)
    ]
    held = [c for c in box.conversions.many(ids).values() if not _is_gone(box, c)]
    held = [c for c in held if wanted.publisher_id in (None, c.attribution.publisher_id)]
    yield from _of_status(box, wanted, [] if wanted.after else sorted(held, key=lambda c: -c.created_at))


def _of_status(box: Box, wanted: Filter, held: list[Conversion]) -> Iterator[Conversion]:
    where = standings(box, held) if wanted.status else {}
    yield from (c for c in held if wanted.status is None or where[c.conversion_id].status == wanted.status)


def _is_gone(box: Box, held: Conversion) -> bool:
    """A test past its seven days: the table forgets it in its own time, which may be much later."""
    return held.is_test and box.now() >= held.created_at + TEST_DAYS * DAY_MS


def _batches(things: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(things, READ_AHEAD)):
        yield batch


def _days(box: Box, query: dict[str, str]) -> tuple[date, date]:
    today = datetime.fromtimestamp(box.now() / 1000, UTC).date()
    last = _date(query.get("to"), "to") or today
    first = _date(query.get("from"), "from") or max(date.min + timedelta(days=30), last) - timedelta(days=30)
    if not 0 <= (last - first).days <= MAX_DAYS:
        raise Unprocessable("period_invalid", f"from lies before to, at most {MAX_DAYS} days.")
    return first, last


def _date(text: str | None, name: str) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Unprocessable("date_invalid", f"Write {name} as a day (UTC), such as 2026-11-23.") from None


def _after(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    try:
        at, _, key = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(".")
        if not (at.isdecimal() and at.isascii() and len(at) == MS_DIGITS):
            raise ValueError(cursor)
        return int(at), key
    except ValueError:
        raise Unprocessable("cursor_invalid", "Take the cursor from `next` of the page before, unchanged.") from None
