"""The story, told by doing it: one sale from the publisher's link to the final receipt, through the public
interfaces alone.

Nothing here looks into the box: it follows the link a reader would follow, sends what the tag would send,
asks the network node itself about the transaction, and lets `box verify` check the receipt. The first step
that does not hold ends it.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

from ops.asking import Answer, DoesNotHold, ask, expect, until
from ops.local import rpc
from ops.local.process import ROOT, PartFailed
from ops.local.running import RunningBox

AMOUNT = "100.00"
COMMISSION = "10.00"
"""10 % of the amount: the demo's agreement."""


class Story:
    def __init__(self, line: dict[str, Any], data: Path) -> None:
        self.line, self.data = line, data
        self.box: str = line["box"]
        self.order_id = f"B-{secrets.token_hex(4)}"

    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("A reader finds the link on the publisher's page", self.link),
            ("and follows it: the box notes the click and sends them on", self.click),
            ("The shop's page carries the tag", self.shop),
            ("The reader buys: the tag reports the sale", self.sale),
            ("Reloading the receipt page changes nothing", self.reload),
            ("The sale stands on the network, final", self.receipt),
            ("The node itself says the same", self.node),
            ("`box verify` recomputes the receipt from the chain alone", self.verify),
            ("The merchant approves it with the server key", self.approve),
            ("The contract holds the approval", self.decision),
            ("The statistics show it", self.statistics),
        )

    def link(self) -> str:
        page = ask("GET", self.line["publisher"]).body.decode()
        found = re.search(r'id="plates" href="([^"]+)"', page)
        if not found:
            raise DoesNotHold("there is no link with the id 'plates'")
        self.href = unescape(found[1])
        expect(self.href.startswith(f"{self.box}/click/{self.line['publisherId']}?"), True, "leading to the box")
        return self.href

    def click(self) -> str:
        answer = ask("GET", self.href)
        expect(answer.status, 302, "the answer")
        self.landing = answer.headers["Location"]
        expect(self.landing.startswith(self.line["shop"] + "/product.html?id=plates"), True, "landing on the product")
        self.click_id = parse_qs(urlsplit(self.landing).query).get("clickId", [""])[0]
        expect(bool(self.click_id), True, "a clickId in the address")
        return f"click {self.click_id}"

    def shop(self) -> str:
        page = ask("GET", self.landing).body.decode()
        source = f"{self.box}/libs/mtag.js"
        expect(f'<script async src="{source}">' in page, True, "the pasted snippet")
        tag = ask("GET", source)
        expect(tag.status, 200, "the tag's answer")
        return f"{source}, {len(tag.body)} bytes"

    def _report(self) -> Answer:
        report = {
            "action": "sale",
            "values": [AMOUNT],
            "metadata": {"orderId": self.order_id},
            "clickId": self.click_id,
            "eventId": self.order_id,
        }
        url = f"{self.box}/v1/beacon/conversion"
        return ask("POST", url, report, Content_Type="text/plain;charset=UTF-8", Origin=self.line["shop"])

    def sale(self) -> str:
        answer = self._report()
        expect(answer.status, 202, f"the answer ({answer.body.decode()[:200]})")
        expect((answer.json["attributed"], answer.json["status"]), (True, "open"), "attributed and status")
        self.conversion_id = answer.json["conversionId"]
        return f"order {self.order_id}, {AMOUNT} EUR: conversion {self.conversion_id}, status open"

    def reload(self) -> str:
        answer = self._report()
        expect((answer.status, answer.json["duplicate"]), (200, True), "answer and duplicate")
        expect(answer.json["conversionId"], self.conversion_id, "the conversion")
        return "200, duplicate, the same conversion"

    def _receipt(self) -> Any:
        answer = ask("GET", f"{self.box}/v1/receipts/{self.conversion_id}")
        if answer.status not in (200, 202):
            raise DoesNotHold(f"the receipt's answer is {answer.status}: {answer.body.decode()[:200]}")
        return answer.json if answer.status == 200 else None

    def receipt(self) -> str:
        def final() -> Any:
            receipt = self._receipt()
            return receipt if receipt and receipt["final"] else None

        self.kept = until("the receipt is final", final)
        expect(self.kept["commission"], COMMISSION, "the commission that the contract computed")
        expect(self.kept["contract"].lower(), self.line["contract"].lower(), "the contract")
        what = f"transaction {self.kept['transaction']}, block {self.kept['blockNumber']}"
        return f"{what}, sequence {self.kept['sequence']}, commission {self.kept['commission']} EUR"

    def node(self) -> str:
        mined = rpc.call(self.line["rpc"], "eth_getTransactionReceipt", self.kept["transaction"])
        expect(mined and mined["status"], "0x1", "the transaction's status")
        expect(int(mined["blockNumber"], 16), self.kept["blockNumber"], "its block")
        expect(mined["to"].lower(), self.line["contract"].lower(), "whom it calls")
        return f"signed by {mined['from']}, {int(mined['gasUsed'], 16):,} gas"

    def verify(self) -> str:
        code, said = self._verified(self.kept)
        expect(code, 0, f"its exit code ({said[-300:]})")
        return said.splitlines()[-1]

    def _verified(self, receipt: Any) -> tuple[int, str]:
        """Exit code and words of `box verify`, which asks the node and never the box."""
        file = self.data / "receipt.json"
        file.write_text(json.dumps(receipt))
        command = [sys.executable, "-m", "ops.cli", "verify", str(file), "--rpc", self.line["rpc"]]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        return run.returncode, (run.stdout + run.stderr).strip()

    def approve(self) -> str:
        url = f"{self.box}/v1/conversions/{self.conversion_id}"
        answer = ask("PATCH", url, {"status": "approved"}, **self._authorised("server"))
        expect(answer.status in (200, 202), True, f"200 or 202 ({answer.status}: {answer.body.decode()[:200]})")
        expect(answer.json["status"], "approved", "the status")
        return "status approved"

    def decision(self) -> str:
        """A receipt that says approved and does not hold is the box's word alone: the decision is still on its way."""

        def stands() -> Any:
            receipt = self._receipt()
            return receipt and receipt["status"] == "approved" and self._verified(receipt)[0] == 0

        until("the chain confirms a receipt that says approved", stands)
        return "status approved, by the chain alone"

    def statistics(self) -> str:
        answer = ask("GET", f"{self.box}/v1/stats?by=publisher", **self._authorised("readonly"))
        expect(answer.status, 200, f"the answer ({answer.body.decode()[:200]})")
        rows = [row for row in answer.json["rows"] if row["key"] == self.line["publisherId"]]
        expect(len(rows), 1, "rows of the publisher")
        row = rows[0]
        expect((row["clicks"], row["conversions"], row["amount"]), (1, 1, AMOUNT), "clicks, conversions and amount")
        expect(row["commission"]["approved"], COMMISSION, "the approved commission")
        return f"1 click, 1 conversion, {row['amount']} EUR, commission approved {row['commission']['approved']} EUR"

    def _authorised(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.line['keys'][key]}", "Content_Type": "application/json"}


@dataclass(frozen=True)
class Step:
    """`said` is its evidence, or what was found instead."""

    title: str
    held: bool
    said: str


def tell(data: Path, *options: str, as_json: bool = False) -> bool:
    """Starts a fresh box in `data` (with these options of `box up`), drives the story through it and stops it; whether
    every step held."""
    try:
        box = RunningBox(data / "box", "--port", "0", *options)
    except PartFailed as error:
        click.echo(f"The box did not start: {error}", err=True)
        return False
    try:
        return (_tell_as_json if as_json else _tell)(Story(box.line, data), box)
    finally:
        box.stop()


def _lived(story: Story) -> Iterator[Step]:
    """Each step as it is done, up to the first that does not hold."""
    for title, step in story.steps():
        try:
            yield Step(title, True, step())
        except (DoesNotHold, OSError, KeyError, subprocess.TimeoutExpired, rpc.RpcRefused) as error:
            yield Step(title, False, str(error) or type(error).__name__)
            return


def _tell_as_json(story: Story, _: RunningBox) -> bool:
    steps = list(_lived(story))
    held = all(step.held for step in steps)
    click.echo(json.dumps({"held": held, "steps": [asdict(step) for step in steps]}, indent=1))
    return held


def _tell(story: Story, box: RunningBox) -> bool:
    click.echo(f"A fresh box at {box.url}, network contract {box.line['contract']} on chain {box.line['chainId']}\n")
    for number, step in enumerate(_lived(story), 1):
        click.echo(f"{number:2}. {step.title}\n    {'' if step.held else 'DOES NOT HOLD: '}{step.said}")
        if not step.held:
            click.echo("\nThe last lines of the box's log:", err=True)
            click.echo("\n".join((box.data / "box.log").read_text().splitlines()[-15:]), err=True)
            return False
    click.echo("\nEvery step held.")
    return True
