"""The payout statement of a month: what became final in it, by publisher. A month is UTC's, as days are everywhere in the API."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.errors import Unprocessable
from chalicelib.domain.money import format_amount
from chalicelib.services import report
from chalicelib.services.lifecycle import Standing

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)
RECORDING_DAYS = 5
"""How much later than its report a conversion may have been recorded and still be found; its lock counts from the recording."""


@dataclass
class _Account:
    conversions: int = 0
    amount: int = 0
    commission: int = 0
    rejected: int = 0
    rejected_amount: int = 0
    first: int | None = None
    last: int | None = None

    def count(self, held: Conversion, standing: Standing) -> None:
        if standing.status != "sale":
            self.rejected += 1
            self.rejected_amount += held.amount
            return
        self.conversions += 1
        self.amount += held.amount
        self.commission += standing.commission
        if standing.sequence is not None:
            self.first = standing.sequence if self.first is None else min(self.first, standing.sequence)
            self.last = standing.sequence if self.last is None else max(self.last, standing.sequence)

    def shown(self, currency: str) -> dict[str, Any]:
        return {
            "conversions": self.conversions,
            "amount": format_amount(self.amount, currency),
            "commission": format_amount(self.commission, currency),
            "rejected": self.rejected,
            "rejectedAmount": format_amount(self.rejected_amount, currency),
            "firstSequence": self.first,
            "lastSequence": self.last,
        }


def statement(box: Box, month: str, publisher_id: str | None) -> dict[str, Any]:
    """What is payable for conversions whose lock date lies in the month, a row a publisher. `final` once the month is over.

    Raises Unprocessable.
    """
    begins, ends = _bounds(month)
    longest = _longest_lock_days(box)
    first = datetime.fromtimestamp(begins / 1000, UTC).date() - timedelta(days=longest + RECORDING_DAYS)
    last = min(_today(box), datetime.fromtimestamp(ends / 1000, UTC).date())
    accounts: defaultdict[str, _Account] = defaultdict(_Account)
    totals = _Account()
    if first <= last:
        for held, standing in report.each(box, first, last, publisher_id):
            locked = standing.lock_at is not None and begins <= standing.lock_at < min(ends, box.now() + 1)
            if held.is_test or not locked:
                continue
            for account in (accounts[held.attribution.publisher_id or ""], totals):
                account.count(held, standing)
    currency = box.config.currency
    return {
        "month": month,
        "currency": currency,
        "final": box.now() >= ends,
        "publishers": [{"publisherId": key, **accounts[key].shown(currency)} for key in sorted(accounts)],
        "totals": totals.shown(currency),
    }


def _bounds(month: str) -> tuple[int, int]:
    match = _MONTH.fullmatch(month)
    if not match:
        raise Unprocessable("month_invalid", "Write the month as 2026-11.")
    year, number = int(match[1]), int(match[2])
    begins = datetime(year, number, 1, tzinfo=UTC)
    ends = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)


def _longest_lock_days(box: Box) -> int:
    days = [a.terms.lock_days for publisher in box.publishers.all() for a in box.agreements.of(publisher.publisher_id)]
    return max(days, default=0)


def _today(box: Box) -> date:
    return datetime.fromtimestamp(box.now() / 1000, UTC).date()
