"""Conversions as the API shows them: camelCase, decimal strings, RFC 3339."""

from collections.abc import Iterable
from typing import Any

from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.money import format_amount
from chalicelib.domain.network_status import reason_of
from chalicelib.domain.payload import rfc3339
from chalicelib.domain.transaction import Transaction
from chalicelib.services.lifecycle import Standing, standings


def conversions(box: Box, found: Iterable[Conversion], *, private: bool = True) -> list[dict[str, Any]]:
    """`private` false leaves out what only the merchant may see: order id, metadata, items, and who else is named in the history."""
    found = list(found)
    where = standings(box, found)
    return [_conversion(conversion, where[conversion.conversion_id], private) for conversion in found]


def _conversion(conversion: Conversion, standing: Standing, private: bool) -> dict[str, Any]:
    attribution = conversion.attribution
    return {
        "conversionId": conversion.conversion_id,
        "action": conversion.action,
        "status": standing.status,
        "amount": format_amount(conversion.amount, conversion.currency),
        "currency": conversion.currency,
        "commission": format_amount(standing.commission, conversion.currency),
        "publisherId": attribution.publisher_id,
        "clickId": attribution.click_id,
        "subId": attribution.sub_id,
        "source": conversion.source,
        "verified": conversion.verified,
        "attributed": conversion.attributed,
        "attribution": {
            "rule": attribution.rule,
            "clickedAt": rfc3339(attribution.clicked_at),
            "reason": attribution.reason,
            "loser": attribution.loser if private else None,
        },
        "reason": reason_of(standing.status, conversion.decision, conversion.reason),
        "isTest": conversion.is_test,
        "erasedAt": rfc3339(conversion.erased_at),
        "createdAt": rfc3339(conversion.created_at),
        "dueAt": rfc3339(standing.due_at),
        "lockAt": rfc3339(standing.lock_at),
        "network": _network(conversion, standing),
        "history": _history(conversion, standing, private),
        **(_merchants_own(conversion) if private else {}),
    }


def _merchants_own(conversion: Conversion) -> dict[str, Any]:
    return {
        "orderId": conversion.order_id,
        "metadata": conversion.metadata,
        "voucher": conversion.voucher,
        "customerStatus": conversion.customer_status,
        "converted": _converted(conversion),
        "lines": [
            {"group": line.group, "amount": format_amount(line.amount, conversion.currency)}
            for line in conversion.lines
        ],
    }


def _network(conversion: Conversion, standing: Standing) -> dict[str, Any]:
    return {
        "state": standing.network,
        "sequence": standing.sequence,
        **_carried_by(standing.transaction),
        "reason": conversion.set_aside,
        "change": _change(standing),
    }


def _change(standing: Standing) -> dict[str, Any] | None:
    """How far the newest decision or amendment has come on its own way to the network; None when there was none."""
    if standing.change_waits:
        return {"state": "pending", **_carried_by(None)}
    if standing.change is None:
        return None
    return {"state": standing.change.state, **_carried_by(standing.change)}


def _carried_by(transaction: Transaction | None) -> dict[str, Any]:
    """The attempt that is in a block, else the newest one sent."""
    mined, attempts = (transaction.mined, transaction.attempts) if transaction else (None, ())
    return {
        "transaction": mined.hash if mined else attempts[-1].hash if attempts else None,
        "blockNumber": mined.block_number if mined else None,
    }


def _converted(conversion: Conversion) -> dict[str, str] | None:
    """What the shop said, and the rate of the config it was converted at; None in the merchant's own currency."""
    if conversion.original is None or conversion.rate is None:
        return None
    amount, currency = conversion.original
    return {"amount": format_amount(amount, currency), "currency": currency, "rate": conversion.rate}


def _history(conversion: Conversion, standing: Standing, private: bool) -> list[dict[str, Any]]:
    lines = [(line.at, line.event, line.by, line.detail) for line in conversion.history]
    if not private:
        lines = [_for_publisher(*line) for line in lines if line[1] != "flagged"]
    if standing.transaction:
        lines += [(change.at, change.state, "network", change.detail) for change in standing.transaction.changes]
    return [{"at": rfc3339(at), "event": event, "by": by, "detail": detail} for at, event, by, detail in sorted(lines)]


def _for_publisher(at: int, event: str, by: str, detail: str) -> tuple[int, str, str, str]:
    """A report's detail may name another publisher or click, and a correction's author is the name of a merchant's key."""
    if by in ("tag", "signed-tag", "server"):
        return at, event, by, ""
    return at, event, by if by == "network" else "merchant", detail
