"""What a shopper's browser does, without the browser: for tests of what the box makes of it."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ops.asking import Answer, ask
from ops.local.running import RunningBox


def follow_link(box: RunningBox) -> str:
    """Follows the demo publisher's link; the click's id."""
    answer = ask("GET", f"{box.url}/click/{box.line['publisherId']}")
    assert answer.status == 302
    location: str = answer.headers["Location"]
    return parse_qs(urlsplit(location).query)["clickId"][0]


def buy(box: RunningBox, click_id: str | None, order_id: str, amount: str = "100.00") -> Answer:
    """Reports a sale as the tag does."""
    report = {
        "action": "sale",
        "values": [amount],
        "metadata": {"orderId": order_id},
        "clickId": click_id,
        "eventId": order_id,
    }
    return ask(
        "POST",
        f"{box.url}/v1/beacon/conversion",
        report,
        Content_Type="text/plain;charset=UTF-8",
        Origin=box.line["shop"],
    )


def final_receipt(box: RunningBox, conversion_id: str, seconds: float = 120.0) -> Any:
    """The receipt once the network will not take it back."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask("GET", f"{box.url}/v1/receipts/{conversion_id}")
        if answer.status == 200 and answer.json["final"]:
            return answer.json
        assert answer.status in (200, 202), answer.body
        assert time.monotonic() < deadline, f"not final in time: {answer.body.decode()[:500]}"
        time.sleep(0.2)


def as_merchant(box: RunningBox, method: str, path: str, body: Any = None, key: str = "server") -> Any:
    """A call with one of the box's keys; the JSON of its answer, which must be a success."""
    headers = {"Authorization": f"Bearer {box.keys[key]}", "Content-Type": "application/json"}
    answer = ask(method, f"{box.url}{path}", body, **headers)
    assert answer.status < 300, answer.body
    return json.loads(answer.body)
