"""Browser and server report the same order at the same moment: one conversion, the server's amount, whoever came first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops.asking import Answer
from tests.api.conftest import Desk

WRITERS = 16
ROUNDS = 20
LONG_ROUNDS = 200


def race(desk: Desk, pool: ThreadPoolExecutor, click_id: str) -> str | None:
    """16 writers at one order: ten browsers with the browser's amount, four with another one, two servers. What is wrong, or None."""
    order_id = desk.order_id("race")
    start = threading.Barrier(WRITERS)

    def write(number: int) -> Answer:
        start.wait()
        if number < 2:
            return desk.sell(order_id, "90.00", clickId=click_id)
        amount = "100.00" if number < 12 else f"{number}.00"
        return desk.beacon(order_id, amount, clickId=click_id, eventId=f"e{number}")

    answers = list(pool.map(write, range(WRITERS)))
    servers, browsers = answers[:2], answers[2:]
    if sorted(answer.status for answer in servers) != [200, 202]:
        return f"servers were answered {[answer.status for answer in servers]}"
    if any(answer.status not in (200, 202, 409) for answer in browsers):
        return f"browsers were answered {[answer.status for answer in browsers]}"
    ids = {answer.json["conversionId"] for answer in answers if answer.status < 300 and "conversionId" in answer.json}
    if len(ids) != 1:
        return f"{len(ids)} conversions"
    created = [a for a in browsers if a.status == 202 and not a.json["duplicate"]]
    if len(created) > 1:
        return f"{len(created)} browsers were told that theirs is new"
    held = desk.held(ids.pop())
    if (held["amount"], held["source"], held["verified"]) != ("90.00", "server", True):
        return f"held is {held['amount']} from {held['source']}"
    listed = desk.ask("GET", f"/v1/conversions?orderId={order_id}", key="server").json["conversions"]
    return None if len(listed) == 1 else f"{len(listed)} listed"


def races(desk: Desk, rounds: int) -> list[str]:
    click_id = desk.click()
    with ThreadPoolExecutor(WRITERS) as pool:
        return [wrong for _ in range(rounds) if (wrong := race(desk, pool, click_id)) is not None]


def test_sixteen_writers_at_one_order_leave_one_conversion_with_the_servers_amount(desk: Desk) -> None:
    assert races(desk, ROUNDS) == []


@pytest.mark.long
def test_sixteen_writers_at_two_hundred_orders_leave_no_bad_round(desk: Desk) -> None:
    assert races(desk, LONG_ROUNDS) == []


def test_the_same_order_and_another_amount_from_the_same_source_is_refused_and_changes_nothing(desk: Desk) -> None:
    order_id = desk.order_id()
    first = desk.sell(order_id)
    assert first.status == 202
    again = desk.sell(order_id, "100.01")
    assert (again.status, again.json["code"]) == (409, "conflict")
    assert desk.held(first.json["conversionId"])["amount"] == "100.00"


def test_a_browser_that_says_otherwise_is_refused_and_its_other_click_is_flagged(desk: Desk) -> None:
    order_id, thief = desk.order_id(), desk.click()
    first = desk.sell(order_id, clickId=desk.click())
    refused = desk.beacon(order_id, "1.00", clickId=thief)
    assert (refused.status, refused.json["code"]) == (409, "conflict")
    held, before = desk.held(first.json["conversionId"]), first.json
    assert (held["amount"], held["attribution"]) == (before["amount"], before["attribution"])
    assert thief in next(line["detail"] for line in held["history"] if line["event"] == "flagged")


def test_an_identical_replay_is_answered_200_with_the_original(desk: Desk) -> None:
    order_id = desk.order_id()
    first, again = desk.sell(order_id), desk.sell(order_id)
    assert (first.status, again.status) == (202, 200)
    assert again.json["duplicate"] is True
    assert again.json["conversionId"] == first.json["conversionId"]
    assert again.headers["Location"].endswith(f"/v1/conversions/{first.json['conversionId']}")


def test_a_browser_learns_the_id_of_a_duplicate_only_with_its_own_event_id(desk: Desk) -> None:
    order_id = desk.order_id()
    first = desk.beacon(order_id, eventId="mine")
    stranger = desk.beacon(order_id, eventId="another")
    mine = desk.beacon(order_id, eventId="mine")
    assert "conversionId" not in stranger.json and stranger.json["duplicate"] is True
    assert mine.json["conversionId"] == first.json["conversionId"]


def test_a_browsers_order_with_an_unknown_click_is_kept_unattributed_and_counted(desk: Desk) -> None:
    before = desk.ask("GET", "/v1/stats", key="readonly").json["totals"]["unattributed"].get("unknown_click", 0)
    answer = desk.beacon(desk.order_id(), clickId="no-such-click")
    assert (answer.status, answer.json["attributed"], answer.json["reason"]) == (202, False, "unknown_click")
    totals = desk.ask("GET", "/v1/stats", key="readonly").json["totals"]
    assert totals["unattributed"]["unknown_click"] == before + 1


def test_a_server_verifies_what_the_browser_said_and_moves_it_to_the_click_it_names(desk: Desk) -> None:
    order_id, click_id = desk.order_id(), desk.click()
    browser = desk.beacon(order_id, "50.00")
    server = desk.sell(order_id, "60.00", clickId=click_id)
    assert (browser.json["attributed"], server.json["attributed"]) == (False, True)
    assert (server.status, server.json["amount"], server.json["verified"]) == (202, "60.00", True)
    assert server.json["history"][-1]["event"] == "amended"


def test_a_refund_outlasts_the_servers_first_report_which_still_verifies(desk: Desk) -> None:
    """A nightly import of all orders must not undo what the merchant gave back during the day."""
    order_id = desk.order_id()
    made = desk.beacon(order_id, "100.00", clickId=desk.click(), eventId="mine").json["conversionId"]
    refund = desk.ask("PATCH", f"/v1/conversions/{made}", {"amount": "60.00"}, key="server")
    assert (refund.json["amount"], refund.json["verified"]) == ("60.00", False)
    imported, again = desk.sell(order_id, "100.00"), desk.sell(order_id, "100.00")
    assert (imported.status, again.status, again.json["duplicate"]) == (202, 200, True)
    assert (imported.json["amount"], imported.json["verified"], imported.json["source"]) == ("60.00", True, "server")
    assert imported.json["history"][-1]["event"] == "verified"
    assert desk.sell(order_id, "60.00").json["code"] == "conflict", "the source said another amount before"


def test_a_test_order_is_answered_and_listed_but_counts_nowhere_and_never_reaches_the_network(desk: Desk) -> None:
    before = desk.ask("GET", "/v1/stats", key="readonly").json["totals"]
    answer = desk.sell(desk.order_id(), clickId=desk.click(), isTest=True)
    held = desk.held(answer.json["conversionId"])
    assert held["isTest"] is True and held["network"]["state"] == "none"
    assert desk.ask("GET", "/v1/stats", key="readonly").json["totals"]["amount"] == before["amount"]
    receipt = desk.ask("GET", f"/v1/receipts/{held['conversionId']}")
    assert (receipt.status, receipt.json["reason"]) == (202, "test")
