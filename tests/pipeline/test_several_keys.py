"""Several keys sign in parallel: each for its share of the outbox, and no change of the shares loses or doubles anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from chalicelib.adapters import tables
from chalicelib.adapters.stores import conversions
from chalicelib.adapters.stores.conversions import CHANGE, CHANGE_SLOTS
from chalicelib.adapters.stores.days import slot_of
from chalicelib.adapters.stores.item import LostLease
from chalicelib.services import lanes, pause, turn
from chalicelib.services import record as recording
from chalicelib.services.confirm import confirm
from chalicelib.services.record import carry, record, send_now
from ops.local import rpc
from tests.rig.ground import ETHER, Clocked, Ground
from tests.rig.process import CRASHED, ended, run, start


def by_key(ground: Ground) -> list[int]:
    """How many conversions each key recorded."""
    return [sum(c.entries[0].signer == key.address for c in ground.conversions() if c.entries) for key in ground.keys]


def one_turn(box: Clocked) -> None:
    record(box)


def test_the_keys_share_what_waits_and_each_conversion_is_recorded_by_one(grounds: Callable[..., Ground]) -> None:
    ground = grounds(keys=3, batch_size=5)
    ground.sell(60)
    ground.settle()
    ground.assert_recorded_once()
    assert sum(by_key(ground)) == 60
    assert all(count > 5 for count in by_key(ground)), "16 slots by three"


def test_a_marker_that_the_index_still_shows_in_another_keys_slot_is_left_to_its_own(
    grounds: Callable[..., Ground], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a sale whose batch came back while an approval of it waited: it moved from the changes' slots to the new ones'."""
    ground = grounds(keys=2)
    sales = ground.sell(12)
    marked = conversions._marked

    def where_it_was_too(slot: str, limit: int) -> Iterator[tuple[int, str]]:
        yield from marked(slot, limit)
        yield from ((1, sale) for sale in sales if slot == f"{CHANGE}{slot_of(sale, CHANGE_SLOTS)}")

    monkeypatch.setattr(conversions, "_marked", where_it_was_too)
    ground.turn()
    monkeypatch.undo()
    ground.settle()
    ground.assert_recorded_once()


def test_every_slot_of_the_outbox_is_one_keys_whatever_their_number(grounds: Callable[..., Ground]) -> None:
    ground = grounds(keys=5)
    shared = lanes.lanes(ground.box)
    for count in (16, 4):
        slots = [slot for lane in shared if lane.lanes for slot in lane.lanes.slots(lane.signer.address, count)]
        assert sorted(slots) == list(range(count))


def test_two_keys_have_twice_as_many_transactions_under_way(
    grounds: Callable[..., Ground], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No block is mined meanwhile: one key would stop at so many. Four of them here, and not 16, so that it is soon reached."""
    monkeypatch.setattr(turn, "RUN_MS", 2_000)
    monkeypatch.setattr(recording, "MAX_IN_FLIGHT", 4)
    ground = grounds(keys=2, batch_size=1)
    ground.sell(24)
    ground.box.offset += 2_000
    for _ in range(20):
        send_now(ground.box)
        if len(ground.open()) == 2 * 4:
            break
    assert send_now(ground.box) == 0
    assert [len(ground.box.transactions.open(key.address)) for key in ground.keys] == [4, 4]
    monkeypatch.undo()
    ground.mine(3)
    confirm(ground.box)
    ground.settle()
    ground.assert_recorded_once()


def test_processes_that_work_at_once_share_the_keys(grounds: Callable[..., Ground]) -> None:
    ground = grounds(keys=4, batch_size=2)
    ground.sell(80)
    ground.box.offset += 2_000
    stop = time.monotonic() + 120

    def live(box: Clocked) -> None:
        while box.conversions.outbox(limit=1) and time.monotonic() < stop:
            record(box)
            confirm(box)

    pids = [start(ground, live) for _ in range(2)]
    with ground.mining():
        assert [ended(pid) for pid in pids] == [0, 0]
    ground.settle()
    ground.assert_recorded_once()
    assert all(by_key(ground))


def test_reservations_that_meet_at_the_shares_try_again(ground: Ground) -> None:
    """DynamoDB cancels one of two transactions that look at the same item at once; the embedded one runs them one after the other."""
    cancelled: list[str] = []

    def conflict(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        if len(cancelled) == 3:
            return None
        cancelled.append(request.url)
        reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * 3]
        said = {"__type": "TransactionCanceledException", "message": "conflict", "CancellationReasons": reasons}
        return AWSResponse(request.url, 400, {}, BytesResponse(json.dumps(said).encode()))

    tables.connection().client.meta.events.register("before-send.dynamodb.TransactWriteItems", conflict)
    ground.sell(8)
    assert ground.turn() == 1, "in one turn, and not with the next event"
    assert len(cancelled) == 3
    ground.settle()
    ground.assert_recorded_once()


class BytesResponse:
    """What botocore wants of a body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body


def test_what_was_cut_by_the_shares_of_before_is_not_sent_after_they_changed(ground: Ground) -> None:
    """A process of the version before froze between cutting and reserving, and keeps its lease: only the shares can stop it."""
    ground.sell(8)
    lane, sleeper, call = ground.cut_and_freeze()
    ground.use_keys([ground.another_key(), ground.another_key()])
    ground.settle()
    with pytest.raises(LostLease):
        carry(lane, sleeper.holder, *call)
    ground.assert_recorded_once()
    assert all(by_key(ground))


def test_what_was_reserved_and_not_claimed_when_the_shares_changed_is_not_cut_again(ground: Ground) -> None:
    """And never signed: once its claims are finished, it is given back, for the box has that key no more."""
    ground.sell(8)
    ground.box.offset += 2_000
    assert run(ground, one_turn, crash_at="after-reserve") == CRASHED
    assert len(ground.box.conversions.outbox(limit=20)) == 8, "reserved, and all of them still in the outbox"
    ground.use_keys([ground.another_key(), ground.another_key()])
    assert ground.turn() == 0, "all of it is in a transaction"
    ground.outlive_lease()
    ground.settle()
    ground.assert_recorded_once()
    assert sum(by_key(ground)) == 8


def test_a_key_that_left_with_a_nonce_unsigned_and_comes_back_is_not_held_up_by_it(ground: Ground) -> None:
    first, second = ground.key, ground.another_key()
    ground.sell(8)
    ground.box.offset += 2_000
    assert run(ground, one_turn, crash_at="after-reserve") == CRASHED
    ground.outlive_lease()
    ground.use_keys([second])
    ground.settle()
    assert by_key(ground) == [8]
    ground.use_keys([first])
    ground.sell(8)
    ground.settle()
    ground.assert_recorded_once()
    assert by_key(ground) == [8]


@pytest.mark.parametrize("point", ["after-lanes-changed", "before-lanes-settled", "after-reserve", "amid-claims"])
def test_killed_while_the_shares_change_nothing_is_lost_or_doubled(ground: Ground, point: str) -> None:
    ground.sell(8)
    assert ground.turn() > 0
    ground.sell(8)
    ground.use_keys([*ground.keys, ground.another_key()])
    ground.box.offset += 2_000
    assert run(ground, one_turn, crash_at=point) == CRASHED
    ground.outlive_lease()
    ground.settle()
    ground.assert_recorded_once()


def test_a_key_that_may_not_act_yet_gets_no_share_until_it_may(ground: Ground) -> None:
    first, second = ground.key, ground.another_key()
    ground.use_keys([first, second], authorised=False)
    ground.sell(20)
    ground.settle()
    ground.assert_recorded_once()
    assert by_key(ground) == [20, 0]
    ground.authorise()
    confirm(ground.box)
    ground.sell(20)
    ground.settle()
    ground.assert_recorded_once()
    assert by_key(ground)[1] > 0


@pytest.mark.parametrize("why", ["out_of_funds", "key_revoked"])
def test_when_one_key_stops_the_others_take_its_share_and_it_comes_back_by_itself(
    grounds: Callable[..., Ground], why: str
) -> None:
    ground = grounds(keys=2)
    ground.sell(10)
    ground.settle()
    stopped = ground.keys[1]
    if why == "key_revoked":
        ground.revoke(stopped)
    else:
        rpc.call(ground.node_url, "anvil_setBalance", stopped.address, hex(1))
    before = by_key(ground)[1]
    ground.sell(20)
    for _ in range(4):
        ground.turn()
        ground.mine(3)
        confirm(ground.box)
    cause = pause.cause(ground.box.as_key(ground.box.signers[1]))
    assert cause == why
    report = json.loads(json.dumps(ground.box.state.read("network-report", dict)))
    assert report["paused"] == why, "it is said although the other goes on"
    waiting = [c for c in ground.conversions() if not c.entries]
    assert not waiting, "the other took what had no transaction yet"
    if why == "key_revoked":
        assert by_key(ground)[1] == before
        ground.authorise()
    else:
        rpc.call(ground.node_url, "anvil_setBalance", stopped.address, hex(ETHER))
    confirm(ground.box)
    ground.settle()
    ground.sell(20)
    ground.settle()
    ground.assert_recorded_once()
    assert by_key(ground)[1] > before
