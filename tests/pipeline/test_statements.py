"""A month's payout statement on a real chain: whatever is payable stands in exactly one month, however late it was recorded."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib.domain.report import Body
from chalicelib.services import lifecycle, statements, track, validate
from ops.boxes.stats import rebuild
from tests.rig.ground import DAY_MS, Ground

MONTHS = 8


def hold_unverified(ground: Ground, *, hold: bool = True) -> None:
    file = Path(ground.environment["CONFIG_FILE"])
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "tracking": {"holdUnverified": hold}}))
    ground.box = ground.new_box(ground.box.offset)


def by_browser(ground: Ground, order_id: str, publisher: int = 0) -> str:
    body = Body(
        action="sale",
        values=["100.00"],
        metadata={"orderId": order_id},
        event_id=order_id,
        click_id=ground.clicks[publisher],
    )
    return track.beacon_conversion(ground.box, body).conversion.conversion_id


def test_what_was_held_goes_to_the_network_once_the_config_holds_nothing_and_the_box_is_rebuilt(ground: Ground) -> None:
    hold_unverified(ground)
    ground.sold[by_browser(ground, "H-1")] = 10_000
    ground.settle()
    assert ground.on_chain() == []
    hold_unverified(ground, hold=False)
    assert rebuild(ground.box, dry_run=True)[1] == 1
    assert rebuild(ground.box, dry_run=False)[1] == 1
    ground.settle()
    ground.assert_recorded_once()
    assert rebuild(ground.box, dry_run=True)[1] == 0


def months_from(at: int) -> list[str]:
    """The months from that moment's on, as many as the test's clock may have passed."""
    first = datetime.fromtimestamp(at / 1000, UTC)
    numbers = range(first.month - 1, first.month - 1 + MONTHS)
    return [f"{first.year + number // 12}-{number % 12 + 1:02d}" for number in numbers]


def payable(ground: Ground, since: int, publisher: str | None = None) -> dict[str, tuple[int, str]]:
    """By month: how many conversions and what commission; months without any are left out."""
    found = {}
    for month in months_from(since):
        totals: dict[str, Any] = statements.statement(ground.box, month, publisher)["totals"]
        if totals["conversions"]:
            found[month] = (totals["conversions"], totals["commission"])
    return found


def lock_month(ground: Ground, conversion_id: str) -> str:
    held = ground.box.conversions.get(conversion_id)
    assert held is not None
    lock_at = lifecycle.standing(ground.box, held).lock_at
    assert lock_at is not None
    return datetime.fromtimestamp(lock_at / 1000, UTC).strftime("%Y-%m")


def test_a_sale_that_was_held_until_its_approval_is_payable_in_the_month_of_its_lock(ground: Ground) -> None:
    hold_unverified(ground)
    since = ground.box.now()
    held = by_browser(ground, "H-1")
    ground.pass_time(70 * DAY_MS)
    validate.correct(ground.box, held, validate.Correction(status="approved"), "key")
    ground.settle()
    month = lock_month(ground, held)
    assert payable(ground, since) == {}, "not before its lock"
    ground.pass_time(100 * DAY_MS)
    assert payable(ground, since) == {month: (1, "10.00")}
    assert payable(ground, since, "p0") == {month: (1, "10.00")}
    assert payable(ground, since, "p1") == {}


def test_an_order_that_moved_late_to_another_publisher_is_payable_once_and_to_that_one(ground: Ground) -> None:
    since = ground.box.now()
    moved = by_browser(ground, "M-1", publisher=0)
    ground.settle()
    ground.pass_time(27 * DAY_MS)
    again = Body(action="sale", values=["100.00"], order_id="M-1", click_id=ground.clicks[1])
    assert track.conversion(ground.box, again, "server").conversion.conversion_id == moved
    ground.settle()
    month = lock_month(ground, moved)
    ground.pass_time(60 * DAY_MS)
    assert payable(ground, since) == {month: (1, "10.70")}
    assert payable(ground, since, "p1") == {month: (1, "10.70")}
    assert payable(ground, since, "p0") == {}


def test_sales_of_several_months_and_keys_each_stand_in_the_month_they_became_final(ground: Ground) -> None:
    since, sold = ground.box.now(), []
    for _ in range(4):
        sold += ground.sell(3)
        ground.settle()
        ground.replace_key()
        ground.pass_time(18 * DAY_MS)
    ground.pass_time(40 * DAY_MS)
    months = sorted(lock_month(ground, one) for one in sold)
    assert len(set(months)) > 1, "or it shows little"
    expected = {month: len(list(same)) for month, same in itertools.groupby(months)}
    assert {month: count for month, (count, _) in payable(ground, since).items()} == expected


def test_the_first_and_the_last_sequence_lead_to_what_the_statement_holds(ground: Ground) -> None:
    since = ground.box.now()
    ground.sell(12, publisher=0)
    ground.settle()
    ground.pass_time(31 * DAY_MS)
    (month,) = payable(ground, since)
    account = statements.statement(ground.box, month, "p0")["publishers"][0]
    assert (account["firstSequence"], account["lastSequence"], account["rejected"]) == (1, 12, 0)
    after = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) + timedelta(days=40)
    assert statements.statement(ground.box, after.strftime("%Y-%m"), "p0")["publishers"] == []


def test_an_order_that_moved_too_late_for_the_network_is_payable_to_whom_the_network_pays(ground: Ground) -> None:
    """The move was answered in time; the chain was out of reach until the lock, and then refused it."""
    since = ground.box.now()
    moved = by_browser(ground, "L-1", publisher=0)
    ground.settle()
    ground.pass_time(30 * DAY_MS - 2 * 3_600_000)
    again = Body(action="sale", values=["100.00"], order_id="L-1", click_id=ground.clicks[1])
    assert track.conversion(ground.box, again, "server").conversion.conversion_id == moved
    ground.pass_time(3 * 3_600_000)
    ground.settle()
    held = ground.box.conversions.get(moved)
    assert held is not None and (held.attribution.publisher_id, len(held.entries)) == ("p0", 1), (
        "the move is taken back"
    )
    ground.pass_time(40 * DAY_MS)
    expected = [(1, "10.00")]
    assert list(payable(ground, since).values()) == list(payable(ground, since, "p0").values()) == expected
    assert payable(ground, since, "p1") == {}
