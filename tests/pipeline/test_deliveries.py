"""Stream and schedule deliver at least once, late and in any order: no second effect."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from chalice.test import Client

from chalicelib import bootstrap
from chalicelib.adapters.stores import conversions
from chalicelib.domain.report import Body
from chalicelib.services import lanes, track
from chalicelib.services.confirm import confirm
from chalicelib.services.cut import Waiting
from chalicelib.services.turn import Turn
from tests.rig.ground import Ground


def record_of(conversion_id: str, number: int) -> dict[str, Any]:
    """A record as the table's stream has it: keys alone."""
    return {
        "eventID": f"event-{number}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "Keys": {"conversionId": {"S": conversion_id}},
            "SequenceNumber": f"{number:021d}",
            "StreamViewType": "KEYS_ONLY",
            "ApproximateCreationDateTime": 1_800_000_000,
            "SizeBytes": 40,
        },
        "eventSourceARN": "arn:aws:dynamodb:local:000000000000:table/conversions/stream/local",
    }


def test_records_twice_and_out_of_order_to_four_functions_at_once_record_once(ground: Ground) -> None:
    from app import app

    sales = ground.sell(30)
    bootstrap.box.cache_clear()
    bootstrap.box().__class__ = type("Later", (bootstrap.Box,), {"now": lambda _: ground.box.now()})
    ground.box.offset += 2_000
    events = [record_of(sale, number) for number, sale in enumerate(sales)] * 2
    random.Random(3).shuffle(events)
    failures: list[BaseException] = []

    def deliver(part: list[dict[str, Any]]) -> None:
        try:
            with Client(app) as client:
                for start in range(0, len(part), 5):
                    client.lambda_.invoke("sign_on_change", {"Records": part[start : start + 5]})
        except BaseException as error:  # noqa: BLE001 - said by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=deliver, args=(events[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    ground.settle()
    ground.assert_recorded_once()
    assert ground.nonces_spent() == 3


def test_an_event_that_comes_while_the_key_is_taken_waits_for_its_turn(ground: Ground) -> None:
    """What it came for may be newer than the look of the one before."""
    (lane,) = lanes.lanes(ground.box)
    before = Turn(lane)
    assert before.take()
    Waiting(lane, 1)
    ground.sell(3)
    threading.Timer(0.5, before.let_go).start()
    assert ground.turn() == 1


def test_a_marker_that_the_index_shows_in_two_places_is_sent_once(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that confirms an order puts its marker forward; an index of DynamoDB may show it where it was and where it is."""
    ground.sell(3)
    marked = conversions._marked

    def in_both_places(slot: str, limit: int) -> Iterator[tuple[int, str]]:
        for since, sale in marked(slot, limit):
            yield since - 1_000, sale
            yield since, sale

    monkeypatch.setattr(conversions, "_marked", in_both_places)
    ground.settle()
    ground.assert_recorded_once()


def test_the_same_beacon_again_and_again_in_every_state_adds_nothing(ground: Ground) -> None:
    (sale,) = ground.sell(1)
    body = Body(action="sale", values=["100.00"], order_id="B-1", click_id=ground.clicks[0])

    def again() -> None:
        received = track.conversion(ground.box, body, "server")
        assert (received.conversion.conversion_id, received.duplicate) == (sale, True)

    again()
    ground.turn()
    again()
    ground.mine()
    confirm(ground.box)
    again()
    ground.settle()
    again()
    ground.settle()
    ground.assert_recorded_once()
    assert ground.nonces_spent() == 1
