"""How soon a sale is on its way: `python -m bench.promptness` drives sales one after another through a box of its own (`box up`: blocks of
one second, `batchSeconds` 1) and prints the times from the answered 202 to the transaction sent, mined and final.

The times are those of the conversion's own history; the 202's is this script's clock, of the same machine.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ops.asking import ask, expect, until
from ops.local.running import RunningBox

SALES = 30
STATES = ("sent", "mined", "confirmed")


class Shop:
    """Sales by one click, and what became of them."""

    def __init__(self, box: RunningBox) -> None:
        self._box = box
        landing = ask("GET", f"{box.url}/click/{box.line['publisherId']}").headers["Location"]
        self._click_id = parse_qs(urlsplit(landing).query)["clickId"][0]

    def sell(self, number: int) -> tuple[str, float]:
        """(conversion id, when it was answered)"""
        report = {
            "action": "sale",
            "values": ["100.00"],
            "metadata": {"orderId": f"P-{number}"},
            "clickId": self._click_id,
            "eventId": f"P-{number}",
        }
        url = f"{self._box.url}/v1/beacon/conversion"
        answer = ask("POST", url, report, Content_Type="text/plain;charset=UTF-8", Origin=self._box.line["shop"])
        answered = time.time()
        expect(answer.status, 202, "the answer")
        return answer.json["conversionId"], answered

    def has_come_to(self, state: str, conversion_id: str) -> bool:
        return state in self.times(conversion_id)

    def times(self, conversion_id: str) -> dict[str, float]:
        """When it came to each state that it has come to."""
        key = {"Authorization": f"Bearer {self._box.keys['server']}"}
        shown = ask("GET", f"{self._box.url}/v1/conversions/{conversion_id}", **key).json
        return {line["event"]: datetime.fromisoformat(line["at"]).timestamp() for line in shown["history"]}


def measured(box: RunningBox) -> dict[str, list[float]]:
    """Seconds from the answer, by state; each sale waits until the one before is sent, so each is a batch of its own."""
    shop = Shop(box)
    answered = {}
    for number in range(SALES):
        conversion_id, answered[conversion_id] = shop.sell(number)
        until("it is sent", partial(shop.has_come_to, "sent", conversion_id))
    until("the last is final", partial(shop.has_come_to, "confirmed", conversion_id))
    found = {sold: shop.times(sold) for sold in answered}
    return {state: [found[sold][state] - at for sold, at in answered.items()] for state in STATES}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        box = RunningBox(Path(name) / "box", "--port", "0")
        try:
            seconds = measured(box)
        finally:
            box.stop()
    print(f"{SALES} sales one after another, a load of {os.getloadavg()[0]:.0f}; seconds after the 202")
    print(f"| {'until':9} | median | worst |\n|{'-' * 11}|-------:|------:|")
    for state, taken in seconds.items():
        print(f"| {state:9} | {statistics.median(taken):6.2f} | {max(taken):5.2f} |")


if __name__ == "__main__":
    main()
