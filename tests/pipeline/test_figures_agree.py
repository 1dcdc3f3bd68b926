"""A busy merchant's history, and then its figures from wherever a publisher can have them: list, statistics, export, statements,
receipts, the audit of the logs and the contract's own totals. They are the same to the minor unit.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.agreement import Rule
from chalicelib.domain.errors import Refusal
from chalicelib.domain.money import parse_amount
from chalicelib.domain.report import Body, Item
from chalicelib.services import erase, export, present, receipts, report, statements, track, vouchers
from chalicelib.services.validate import Correction, correct
from ops.audit import audit_publisher
from ops.chain_reader import Chain
from ops.local import rpc
from ops.verify import verify_receipt
from tests.rig.ground import DAY_MS, Ground

RULES = (
    (Rule("sale", rate=100_000), Rule("sale", group="books", rate=20_001), Rule("lead", fixed=250)),
    (
        Rule("sale", rate=33_333, to_amount=10_000),
        Rule("sale", from_amount=10_000, rate=77_777),
        Rule("lead", fixed=99),
    ),
)
SILENCE = ("all", "verified")
DAYS = ((14, 30), (5, 10))  # to the due date, to the lock
MAY_BE_REFUSED = {"conflict", "locked", "erased", "in_flight"}
EARNING = ("open", "approved", "sale")


class Shop:
    """Does something at a time, whatever the dice say."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self.ground, self.dice = ground, random.Random(seed)
        self.since = ground.box.now()
        self.orders: dict[str, str] = {}
        self.clicks: list[str] = []
        for number in range(len(RULES)):
            self.agree(number)
            self.click(number)
        vouchers.assign(ground.box, "MINE", "p1", exclusive=True)

    def agree(self, number: int) -> None:
        due, lock = DAYS[number]
        days = {"validation_days": due, "lock_days": lock}
        groups = ("default", "books") if number == 0 else ("default",)
        self.ground.agreements[number] = self.ground.agree(
            number, rules=RULES[number], groups=groups, silence=SILENCE[number], **days
        )

    def click(self, number: int) -> None:
        sub_id = self.dice.choice([None, "a", "=b"])
        self.clicks.append(self.ground.click(number, sub_id, attributable_days=30))

    def reports(self, order: str) -> None:
        by_server = self.dice.random() < 0.6
        fields: dict[str, Any] = (
            {"order_id": order} if by_server else {"metadata": {"orderId": order}, "event_id": order}
        )
        if self.dice.random() < 0.3:
            groups = self.dice.choices(["default", "books", "odd"], k=3)
            prices = [f"{self.dice.randint(0, 90)}.{self.dice.randint(0, 99):02d}" for _ in groups]
            fields["items"] = [Item(unit_price=price, group=g) for price, g in zip(prices, groups, strict=True)]
        else:
            fields["values"] = [f"{self.dice.randint(0, 900)}.{self.dice.randint(0, 99):02d}"]
        fields["currency"] = self.dice.choice([None, None, "USD"])
        fields["voucher"] = "MINE" if self.dice.random() < 0.1 else None
        fields["click_id"] = self.dice.choice([*self.clicks, None])
        action = "lead" if order.startswith("L") else "sale"
        received = track.conversion(self.ground.box, Body(action=action, **fields), "server" if by_server else "tag")
        self.orders[order] = received.conversion.conversion_id

    def corrects(self, conversion_id: str) -> None:
        held = self.ground.box.conversions.get(conversion_id)
        assert held is not None
        refund = {line.group: f"{self.dice.randint(0, 50)}.00" for line in held.lines}
        chosen = self.dice.choice(
            [
                Correction(status="approved"),
                Correction(status="rejected", reason="returned"),
                Correction(status="open"),
                Correction(lines=refund),
            ]
        )
        correct(self.ground.box, conversion_id, chosen, "server")

    def the_chain_catches_up(self) -> None:
        """The ground puts the box's clock alone forward now and then; more than 15 minutes between the two are a lie to any reader."""
        ahead = self.ground.box.now() // 1000 - self.ground.chain_now()
        if ahead > 0:
            rpc.call(self.ground.node_url, "evm_increaseTime", ahead)
            self.ground.mine()

    def goes_on(self) -> None:
        self.the_chain_catches_up()
        known = list(self.orders)
        acts: list[tuple[int, Callable[[], Any]]] = [
            (30, lambda: self.reports(f"{self.dice.choice('SSL')}-{len(known)}")),
            (15, lambda: self.reports(self.dice.choice(known))),
            (25, lambda: self.corrects(self.orders[self.dice.choice(known)])),
            (8, self.ground.turn),
            (6, self.ground.settle),
            (8, lambda: self.ground.pass_time(self.dice.choice([DAY_MS // 24, DAY_MS, 4 * DAY_MS]))),
            (4, lambda: self.click(self.dice.randrange(len(RULES)))),
            (2, lambda: self.agree(self.dice.randrange(len(RULES)))),
            (1, self.ground.replace_key),
            (1, lambda: erase.erase_conversion(self.ground.box, self.orders[self.dice.choice(known)])),
        ]
        (act,) = self.dice.choices([act for _, act in acts], [weight for weight, _ in acts])
        try:
            act() if known else acts[0][1]()
        except Refusal as refusal:
            assert refusal.code in MAY_BE_REFUSED, refusal


def cents(text: str) -> int:
    return parse_amount(text, "EUR")


def by_status(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int, int]]:
    """Status -> (conversions, amount, commission)."""
    found: dict[str, tuple[int, int, int]] = {}
    for row in rows:
        count, amount, earned = found.get(row["status"], (0, 0, 0))
        found[row["status"]] = (count + 1, amount + cents(row["amount"]), earned + cents(row["commission"]))
    return found


def months(since: int) -> Iterator[str]:
    begins = datetime.fromtimestamp(since / 1000, UTC)
    for number in range(begins.month - 1, begins.month + 11):
        yield f"{begins.year + number // 12}-{number % 12 + 1:02d}"


def check(shop: Shop, number: int) -> None:
    ground, publisher = shop.ground, f"p{number}"
    box, period = (
        ground.box,
        {"from": datetime.fromtimestamp(shop.since / 1000, UTC).date().isoformat(), "limit": "200"},
    )
    listed = report.page(box, report.read_filter(box, period, publisher))
    assert listed.cursor is None, "or the test looks at a part"
    rows = present.conversions(box, listed.conversions, private=False)
    api = by_status(rows)

    for by in report.BY:
        answer = report.stats(box, {**period, "by": by}, publisher)
        earned = {status: cents(text) for status, text in answer["totals"]["commission"].items()}
        assert earned == {status: api.get(status, (0, 0, 0))[2] for status in earned}, by
        assert sum(cents(row["amount"]) for row in answer["rows"]) == sum(amount for _, amount, _ in api.values()), by
    exported, _ = export.page(box, report.read_filter(box, period, publisher), private=False)
    assert by_status(list(csv.DictReader(io.StringIO(exported)))) == api

    for row in rows:
        code, shown = receipts.receipt(box, row["conversionId"])
        if code == 200:
            same = ("status", "amount", "commission")
            assert [shown[name] for name in same] == [row[name] for name in same]
            assert verify_receipt(shown, ground.node_url)[-1].ok, verify_receipt(shown, ground.node_url)[-1]

    recorded = by_status([row for row in rows if row["network"]["state"] == "confirmed"])
    audited = audit_publisher(Chain(ground.node_url, ground.contract), ground.partners[number].address)
    assert audited.findings == []
    totals = {total.status: (total.amount, total.commission) for total in audited.totals}
    for status in EARNING:
        assert totals.get(status, (0, 0)) == recorded.get(status, (0, 0, 0))[1:], status

    agreements = [bytes.fromhex(one.agreement_id[2:]) for one in box.agreements.of(publisher)]
    kept = [ground._views.totals(ground.owner.address, agreement) for agreement in agreements]
    assert sum(one.amount for one in kept) == sum(total.amount for total in audited.totals)
    assert sum(one.conversions for one in kept) == sum(total.conversions for total in audited.totals)

    payable: Counter[str] = Counter()
    for month in months(shop.since):
        account = statements.statement(box, month, publisher)["totals"]
        payable.update(conversions=account["conversions"])
        payable.update(amount=cents(account["amount"]), commission=cents(account["commission"]))
    assert (payable["conversions"], payable["amount"], payable["commission"]) == recorded.get("sale", (0, 0, 0))


def with_rates(ground: Ground) -> Ground:
    file = Path(ground.environment["CONFIG_FILE"])
    file.write_text(json.dumps({**json.loads(file.read_text()), "rates": {"USD": "0.913"}}))
    ground.box = ground.new_box(ground.box.offset)
    return ground


def run(ground: Ground, seed: int, steps: int) -> None:
    shop = Shop(with_rates(ground), seed)
    for _ in range(steps):
        shop.goes_on()
    for days in (0, 40):  # in the middle of it, and when everything is final
        ground.pass_time(days * DAY_MS)
        ground.settle()
        for number in range(len(RULES)):
            check(shop, number)


def test_every_figure_of_a_busy_history_is_the_same_wherever_it_is_shown(grounds: Callable[..., Ground]) -> None:
    run(grounds(batch_size=5), seed=1, steps=70)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(2, 8))
def test_every_figure_of_many_busy_histories_is_the_same_wherever_it_is_shown(
    grounds: Callable[..., Ground], seed: int
) -> None:
    run(grounds(batch_size=3 + seed % 5), seed=seed, steps=200)
