"""An hour without any RPC node under steady beacons: every one is answered, and the backlog drains afterwards."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters.stores.conversions import ConversionStore
from chalicelib.domain.report import Body
from chalicelib.routes.observed import seen
from chalicelib.services import track
from chalicelib.services.anchor import anchor
from chalicelib.services.confirm import confirm
from chalicelib.services.health import health
from chalicelib.services.network_report import REPORT
from chalicelib.services.record import record
from ops.local import rpc
from tests.rig.ground import Ground

HOUR_MS = 3_600_000


@pytest.mark.timeout(900)
def test_an_hour_without_a_node_loses_no_beacon(grounds: Callable[..., Ground]) -> None:
    an_hour_without_a_node(grounds, beacons=9_000)


@pytest.mark.long
def test_an_hour_without_a_node_at_fifty_beacons_a_second(grounds: Callable[..., Ground]) -> None:
    an_hour_without_a_node(grounds, beacons=180_000)


def an_hour_without_a_node(grounds: Callable[..., Ground], beacons: int) -> None:
    ground = grounds(batch_size=100)
    ground.settle()
    ground.proxy.down = True
    chance = random.Random(4)
    begun = time.monotonic()
    accepted = 0
    for minute in range(60):
        for number in range(beacons // 60):
            accepted += report(ground, f"{minute}-{number}", cents=chance.randint(1, 50_000))
        ground.box.offset += HOUR_MS // 60
        if minute % 20 == 0:
            assert (record(ground.box), confirm(ground.box), anchor(ground.box)) == (0, 0, 0)
    assert accepted == beacons // 60 * 60
    seconds = time.monotonic() - begun
    assert health(ground.box)[1]["status"] == "degraded"
    assert "no answer" in health(ground.box)[1]["network"]["rpc"]
    assert ground.nonces_spent() == 0

    ground.proxy.heal()
    rpc.call(ground.node_url, "evm_increaseTime", 3600)
    begun = time.monotonic()
    with ground.mining():
        rounds = ground.settle(rounds=beacons // 100)
    drained = time.monotonic() - begun
    print(
        f"\n{accepted} beacons in an hour without a node ({accepted / seconds:.0f}/s here), "
        f"drained in {rounds} rounds, {drained:.1f} s ({accepted / drained:.0f}/s with finality)"
    )
    ground.assert_recorded_once()


def test_a_sale_that_comes_in_while_no_node_answers_is_seen_to_wait(grounds: Callable[..., Ground]) -> None:
    """An alarm is about how long it waits, and the last look at the network was before it came."""
    ground = grounds(batch_size=100)
    ground.settle()
    assert report(ground, "before", cents=1_000)
    ground.settle()
    confirm(ground.box)
    assert health(ground.box)[1]["network"]["oldestUnsent"] is None
    ground.proxy.down = True
    came_in = ground.box.now()
    assert report(ground, "meanwhile", cents=1_000)
    ground.box.offset += HOUR_MS
    confirm(ground.box)
    kept = ground.box.state.read(REPORT, dict[str, Any])
    assert kept is not None
    seconds = seen(kept, ground.box.now())["OldestUnsentSeconds"]
    assert HOUR_MS // 1000 <= seconds <= (ground.box.now() - came_in) // 1000
    assert seen(kept, ground.box.now())["RpcSilent"] == 1


def test_the_outbox_is_read_once_a_look_while_no_node_answers_too(
    grounds: Callable[..., Ground], monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = grounds(keys=2)
    ground.settle()
    confirm(ground.box)
    ground.proxy.down = True
    read = ConversionStore.outbox
    reads = list[int]()

    def counted(*given: Any, **named: Any) -> Any:
        reads.append(1)
        return read(*given, **named)

    monkeypatch.setattr(ConversionStore, "outbox", counted)
    confirm(ground.box)
    assert len(reads) == 1


def report(ground: Ground, event_id: str, cents: int) -> bool:
    """What the beacon route does with a tag's report; whether it was stored and answered."""
    body = Body(
        action="sale",
        values=[f"{cents // 100}.{cents % 100:02d}"],
        metadata={},
        event_id=event_id,
        click_id=ground.clicks[cents % 2],
    )
    received = track.beacon_conversion(ground.box, body)
    ground.sold[received.conversion.conversion_id] = cents
    return received.new
