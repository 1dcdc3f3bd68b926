"""Whoever reports an order, at whatever moment: one conversion, one record on the network, the server's amount."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chalicelib.domain.errors import Conflict
from chalicelib.domain.report import Body
from chalicelib.services import track
from chalicelib.services.track import Received
from tests.rig.ground import Ground

WRITERS, ROUNDS = 16, 200
SERVERS_AMOUNT = "90.00"


def report(ground: Ground, order: str, number: int) -> Received | None:
    """Two servers agree; of the browsers ten say one amount and four others each another. None for a browser that is refused."""
    fields = {"action": "sale", "order_id": order, "click_id": ground.clicks[0]}
    if number < 2:
        return track.conversion(ground.box, Body(values=[SERVERS_AMOUNT], **fields), "server")  # type: ignore[arg-type]
    amount = "100.00" if number < 12 else f"{number}.00"
    try:
        return track.beacon_conversion(ground.box, Body(values=[amount], event_id=f"e{number}", **fields))  # type: ignore[arg-type]
    except Conflict:
        return None


def race(ground: Ground, pool: ThreadPoolExecutor, order: str) -> str | None:
    """What is wrong, or None."""
    start = threading.Barrier(WRITERS)

    def write(number: int) -> Received | None:
        start.wait()
        return report(ground, order, number)

    received = [found for found in pool.map(write, range(WRITERS)) if found is not None]
    ids = {found.conversion.conversion_id for found in received}
    if len(ids) != 1:
        return f"{order}: {len(ids)} conversions"
    if sum(not found.duplicate for found in received[2:]) > 1:
        return f"{order}: several browsers were told that theirs is new"
    held = ground.box.conversions.get(ids.pop())
    if held is None or (held.amount, held.source, held.verified) != (9_000, "server", True):
        return f"{order}: held is {held}"
    ground.sold[held.conversion_id] = held.amount
    return None


def test_sixteen_writers_at_two_hundred_orders_leave_one_record_each_with_the_servers_amount(
    grounds: Callable[..., Ground],
) -> None:
    ground = grounds(batch_size=50)
    with ThreadPoolExecutor(WRITERS) as pool:
        bad = [wrong for number in range(ROUNDS) if (wrong := race(ground, pool, f"R-{number}")) is not None]
    assert bad == []
    assert len(ground.sold) == ROUNDS
    ground.settle()
    ground.assert_recorded_once()


def test_orders_that_race_while_they_are_being_signed_end_with_the_servers_amount_too(
    grounds: Callable[..., Ground],
) -> None:
    """The signer takes what a browser said as soon as it is there, so that some are recorded first and amended by the server's report."""
    ground = grounds(batch_size=3)
    with ThreadPoolExecutor(WRITERS) as pool, ThreadPoolExecutor(1) as signer:
        for number in range(8):
            order = f"S-{number}"
            assert report(ground, order, 2 + number) is not None
            signing = signer.submit(ground.turn)
            time.sleep(number * 0.1)  # so that the race meets another step of the signer each time
            assert race(ground, pool, order) is None
            signing.result()
            ground.mine(3)
    ground.settle()
    entries = ground.on_chain()
    assert len({entry.commitment for entry in entries}) == len(entries) == 8, "each once"
    assert any(entry.amount != 9_000 for entry in entries), "some were recorded as the browser said"
    totals = ground._views.totals(ground.owner.address, bytes.fromhex(ground.agreements[0][2:]))
    assert totals.amount == 8 * 9_000
