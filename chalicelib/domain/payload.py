"""What a conversion's commitment commits to. It stands in the public receipt and names no person.

Amounts are integers in minor units, times RFC 3339 UTC with milliseconds; `private` commits to order id, sub id and metadata with a salt
that the merchant alone holds.
"""

from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.commitment import commit_private
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.report import Line


def public_payload(conversion: Conversion, merchant: str, lines: tuple[Line, ...]) -> dict[str, Any]:
    """`lines` are those recorded: under the agreement's commission groups, in the order of the batch."""
    return {
        "conversionId": conversion.conversion_id,
        "merchant": merchant,
        "action": conversion.action,
        "currency": conversion.currency,
        "lines": [{"group": line.group, "amount": line.amount} for line in lines],
        "agreementId": conversion.attribution.agreement_id,
        "publisherId": conversion.attribution.publisher_id,
        "clickId": conversion.attribution.click_id,
        "clickedAt": rfc3339(conversion.attribution.clicked_at),
        "createdAt": rfc3339(conversion.created_at),
        "verified": conversion.verified,
        "private": commit_private(private_part(conversion), bytes.fromhex(conversion.private_salt)),
    }


def private_part(conversion: Conversion) -> dict[str, Any]:
    return {
        "orderId": conversion.order_id,
        "subId": conversion.attribution.sub_id,
        "metadata": conversion.metadata,
    }


def rfc3339(ms: int | None) -> str | None:
    """Milliseconds since 1970 as the API, receipts and commitments write a time; None stays None."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
