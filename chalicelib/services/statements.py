"""The payout statement of a month: what became final in it, by publisher. A month is UTC's, as days are everywhere in the API.

A lock counts from the recording, and that may come any time after the report: so the statement goes by the transactions that recorded
(docs/decisions/0045).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.errors import Unprocessable
from chalicelib.domain.money import format_amount
from chalicelib.domain.network_status import DAY
from chalicelib.domain.transaction import Transaction
from chalicelib.services.entries import as_recorded
from chalicelib.services.lifecycle import Standing, standings

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)
BATCHES_AT_ONCE = 8
"""Each is a few reads of a hundred conversions, and mostly waiting."""


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
    accounts: defaultdict[str, _Account] = defaultdict(_Account)
    totals = _Account()
    for held, standing in _locked(box, begins, min(ends, box.now() + 1), publisher_id):
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


def _locked(box: Box, begins: int, ends: int, publisher_id: str | None) -> Iterator[tuple[Conversion, Standing]]:
    """Each conversion whose lock lies between the two (milliseconds, `ends` not included), and where it stands."""
    read = partial(_recorded_in, box, publisher_id=publisher_id)
    recordings = _recordings(box, begins // 1000, ends // 1000)
    with ThreadPoolExecutor(BATCHES_AT_ONCE) as pool:
        while some := list(islice(recordings, BATCHES_AT_ONCE)):
            for found in pool.map(read, some):
                yield from (
                    (held, where)
                    for held, where in found
                    if where.lock_at is not None and begins <= where.lock_at < ends
                )


def _recordings(box: Box, begins: int, ends: int) -> Iterator[Transaction]:
    """Those whose conversions, by the agreements there are, may lock between the two (Unix seconds)."""
    days = [a.terms.lock_days for publisher in box.publishers.all() for a in box.agreements.of(publisher.publisher_id)]
    if not days:
        return
    for signer in box.state.signers():
        found = box.transactions.mined_between(signer, begins - max(days) * DAY, ends - min(days) * DAY)
        yield from (transaction for transaction in found if transaction.kind in ("record", "supersede"))


def _recorded_in(box: Box, transaction: Transaction, *, publisher_id: str | None) -> list[tuple[Conversion, Standing]]:
    """What stands on the network by this transaction, as it stands there; an entry that a later one superseded, or that came to nothing,
    does not."""
    key = (transaction.signer, transaction.nonce)
    ids = [
        member.conversion_id
        for member in box.transactions.cargo(*key).members
        if member.before is None and publisher_id in (None, member.entry.publisher_id)
    ]
    held = [c for c in box.conversions.many(ids).values() if c.entries]
    current = [as_recorded(c, len(c.entries) - 1) for c in held if (c.entries[-1].signer, c.entries[-1].nonce) == key]
    where = standings(box, current)
    return [(c, where[c.conversion_id]) for c in current]


def _bounds(month: str) -> tuple[int, int]:
    match = _MONTH.fullmatch(month)
    if not match:
        raise Unprocessable("month_invalid", "Write the month as 2026-11.")
    year, number = int(match[1]), int(match[2])
    begins = datetime(year, number, 1, tzinfo=UTC)
    ends = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)
