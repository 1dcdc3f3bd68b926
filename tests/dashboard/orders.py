"""Orders for the dashboard to show, made as a shop's server makes them."""

from __future__ import annotations

import secrets
from typing import Any

from ops.local.running import RunningBox
from tests.shopper import as_merchant, follow_link


def order(box: RunningBox, amount: str = "100.00", order_id: str | None = None, **more: Any) -> Any:
    """A new order through the demo publisher's link; the conversion."""
    report = {
        "action": "sale",
        "orderId": order_id or f"D-{secrets.token_hex(5)}",
        "values": [amount],
        "clickId": follow_link(box),
        **more,
    }
    return as_merchant(box, "POST", "/v1/conversions", report)


def conversion(box: RunningBox, conversion_id: str) -> Any:
    return as_merchant(box, "GET", f"/v1/conversions/{conversion_id}")
