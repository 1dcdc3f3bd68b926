"""What nodes do to a sender: the batch is recorded exactly once whatever they answer. Each prints how long recovery took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters.network import Network, NoAnswer
from chalicelib.domain.payload import rfc3339
from chalicelib.services.confirm import confirm
from chalicelib.services.health import STUCK_MS, health
from ops.local import rpc
from tests.rig.ground import Ground
from tests.rig.proxy import Kind, Proxy

SENDING: list[tuple[Kind, str]] = [
    ("accepted_unanswered", ""),
    ("unanswered", ""),
    ("429", ""),
    ("garbage", ""),
    ("half", ""),
    ("null", ""),
    ("overload", ""),
    ("refused", "already known"),
    ("refused", "transaction already imported"),
    ("refused", "nonce too low"),
    ("refused", "transaction underpriced"),
    ("refused", "max fee per gas less than block base fee"),
    ("refused", "an error nobody has seen before"),
]


def recovered(ground: Ground, what: str) -> None:
    begun, clock = time.monotonic(), ground.box.now()
    rounds = ground.settle()
    seconds = (ground.box.now() - clock) / 1000
    print(
        f"\n{what}: recorded once and final after {rounds} rounds, {seconds:.0f} s of its clock, {time.monotonic() - begun:.1f} s here"
    )
    ground.proxy.heal()
    ground.assert_recorded_once()


def test_every_answer_to_sending_leaves_the_batch_recorded_once(grounds: Callable[..., Ground]) -> None:
    ground = grounds(batch_size=3)
    for kind, said in SENDING:
        ground.sell(3)
        ground.proxy.fault(kind, say=said)
        ground.turn()
        assert not ground.proxy.left, "the fault was met"
        recovered(ground, f"sending answered with {kind} {said}".strip())
    assert ground.nonces_spent() == len(SENDING)


@pytest.mark.parametrize(
    "method",
    [
        "eth_estimateGas",
        "eth_getTransactionReceipt",
        "eth_getBlockByNumber",
        "eth_getTransactionCount",
        "eth_maxPriorityFeePerGas",
    ],
)
def test_garbage_in_any_other_answer_is_only_a_delay(ground: Ground, method: str) -> None:
    ground.sell(3)
    for kind in ("garbage", "429", "half", "unanswered"):
        ground.proxy.fault(kind, method)
    recovered(ground, f"4 faults of {method}")


def test_a_stale_nonce_neither_loses_nor_doubles(ground: Ground) -> None:
    ground.sell(15)
    ground.proxy.fault("stale_nonce", "eth_getTransactionCount", times=6)
    recovered(ground, "nonces one behind, six times")


def test_a_node_that_says_a_higher_nonce_leaves_no_gap(ground: Ground) -> None:
    ground.sell(4)
    ground.settle()
    ground.sell(12)
    ground.proxy.fault("nonce_ahead", "eth_getTransactionCount")
    assert ground.turn() == 0, "it waits until it knows who spent them"
    recovered(ground, "a nonce three ahead")
    assert ground.nonces_spent() == 3


def test_a_fresh_key_does_not_start_where_a_single_answer_says(ground: Ground) -> None:
    ground.sell(4)
    ground.proxy.fault("nonce_ahead", "eth_getTransactionCount")
    assert ground.turn() == 0, "it waits until it knows who spent them"
    recovered(ground, "a nonce three ahead on a key's first turn")
    assert ground.nonces_spent() == 1


def test_nonces_that_a_lying_node_made_it_leave_out_are_filled(ground: Ground) -> None:
    """Every answer agreed, and all were wrong: three nonces are missing below the first batch."""
    ground.sell(4)
    ground.proxy.fault("nonce_ahead", "eth_getTransactionCount", times=1_000)
    assert ground.turn() == 1
    ground.proxy.heal()
    assert ground.box.transactions.get(ground.key.address, 3) is not None
    recovered(ground, "a batch above three nonces that nobody sent")
    assert ground.nonces_spent() == 4
    kept = [ground.box.transactions.get(ground.key.address, nonce) for nonce in range(3)]
    assert all(found is not None and found.attempts[0].noop for found in kept)


def test_the_status_says_that_a_transaction_does_not_move(ground: Ground) -> None:
    ground.sell(4)
    ground.turn()
    confirm(ground.box)
    _, shown = health(ground.box)
    assert (shown["status"], shown["network"]["inFlight"]) == ("ok", 1)
    sent_at = ground.box.transactions.open(ground.key.address)[0].changes[-1].at
    ground.box.offset += STUCK_MS
    confirm(ground.box)
    _, shown = health(ground.box)
    assert (shown["status"], shown["network"]["oldestInFlight"]) == ("degraded", rfc3339(sent_at))
    ground.settle()
    ground.box.offset += STUCK_MS
    confirm(ground.box)
    _, shown = health(ground.box)
    assert (shown["status"], shown["network"]["oldestInFlight"]) == ("ok", None)


def test_a_node_without_receipts_for_a_while_makes_nothing_lost(ground: Ground) -> None:
    """Its nonce is spent for good and its receipt is nowhere: it looks exactly like a key that was used from outside."""
    ground.sell(4)
    ground.turn()
    ground.mine(4)
    ground.proxy.fault("null", "eth_getTransactionReceipt", times=100)
    for _ in range(5):
        ground.box.offset += 61_000
        confirm(ground.box)
    ground.proxy.heal()
    recovered(ground, "receipts missing for five minutes")
    assert ground.nonces_spent() == 1


def test_a_node_that_lags_does_not_make_lost_what_is_final(ground: Ground) -> None:
    """Behind one URL: whoever counts the nonces is at the head, whoever is asked for receipts and for the contract's state is not."""
    ground.sell(3)
    ground.turn()
    ground.mine(4)
    ground.proxy.fault("null", "eth_getTransactionReceipt", times=10_000)
    ground.proxy.fault("behind", "eth_call", times=10_000)
    for _ in range(4):
        confirm(ground.box)
        ground.box.offset += 40_000
    ground.proxy.heal()
    ground.sell(1)
    ground.settle()
    ground.assert_recorded_once()


def test_a_nonce_spent_from_outside_sends_its_batch_again_under_another(ground: Ground) -> None:
    ground.sell(4)
    ground.proxy.fault("unanswered", times=1)
    ground.turn()
    ground.spend_nonce_outside()
    recovered(ground, "nonce spent from outside under an unsent batch")
    ground.sell(4)
    for _ in range(3):
        ground.spend_nonce_outside()
    ground.mine(3)
    recovered(ground, "three nonces spent from outside while idle")
    history = [line.event for conversion in ground.conversions() for line in conversion.history]
    assert history.count("re-queued") == 4


def test_a_base_fee_ten_times_as_high_is_outbid(ground: Ground) -> None:
    ground.sell(4)
    ground.turn()
    base_fee = int(rpc.call(ground.node_url, "eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    rpc.call(ground.node_url, "anvil_setNextBlockBaseFeePerGas", hex(base_fee * 10 + 10**10))
    ground.mine()
    assert ground.nonces_spent() == 0, "it was too cheap"
    recovered(ground, "base fee x10")
    (transaction,) = {c.entries[0].nonce for c in ground.conversions()}
    kept = ground.box.transactions.get(ground.key.address, transaction)
    assert kept is not None
    assert len(kept.attempts) == 2
    assert kept.attempts[1].max_fee * 100 >= kept.attempts[0].max_fee * 112
    assert ground.proxy.refused_replacements == 0


def test_fees_stop_at_the_configs_cap_and_go_on_when_the_network_calms_down(grounds: Callable[..., Ground]) -> None:
    ground = grounds(maxFeeGwei=5)
    ground.sell(4)
    ground.turn()
    rpc.call(ground.node_url, "anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    ground.mine()
    for _ in range(12):
        ground.box.offset += 31_000
        confirm(ground.box)
    (open_one,) = ground.box.transactions.open(ground.key.address)
    assert max(attempt.max_fee for attempt in open_one.attempts) <= 5 * 10**9
    assert not any(attempt.noop for attempt in open_one.attempts)
    rpc.call(ground.node_url, "anvil_setNextBlockBaseFeePerGas", hex(10**9))
    recovered(ground, "fee cap")
    assert ground.nonces_spent() == 1, "it went in as it was: what is only too dear is not given up"


@pytest.mark.parametrize("held", [True, False], ids=["nodes-hold-it", "nodes-refuse-it"])
def test_at_the_cap_a_nonce_that_nothing_brings_through_is_filled_too(
    grounds: Callable[..., Ground], held: bool
) -> None:
    """The no-op has to offer more than what it replaces: the batch leaves it that much below the cap."""
    ground = grounds(maxFeeGwei=5)
    ground.sell(4)
    if not held:
        ground.proxy.fault("refused", times=1_000, say="this node does not take it")
    ground.turn()
    for _ in range(20):
        ground.box.offset += 31_000
        confirm(ground.box)
    (stuck,) = ground.box.transactions.open(ground.key.address)
    *batches, fill = stuck.attempts
    assert fill.noop
    assert fill.max_fee <= 5 * 10**9
    assert not any(attempt.noop for attempt in batches)
    assert len(batches) < 8, "the cap came before the eighth attempt"
    assert fill.max_fee * 10 >= batches[-1].max_fee * 11
    assert fill.priority_fee * 10 >= batches[-1].priority_fee * 11
    ground.proxy.heal()
    recovered(ground, "filled at the cap")
    assert ground.proxy.refused_replacements == 0
    assert ground.nonces_spent() == 2


def test_a_dropped_middle_transaction_is_sent_again(grounds: Callable[..., Ground]) -> None:
    ground = grounds(batch_size=2)
    ground.sell(6)
    ground.turn()
    middle = ground.box.transactions.get(ground.key.address, 1)
    assert middle is not None
    rpc.call(ground.node_url, "anvil_dropTransaction", middle.attempts[0].hash)
    recovered(ground, "dropped middle nonce")
    assert ground.nonces_spent() == 3


def test_a_nonce_that_nothing_brings_through_is_filled_and_its_batch_goes_again(ground: Ground) -> None:
    """The node takes every attempt and forgets it; it takes no more than the no-op."""
    ground.sell(4)
    ground.proxy.fault("unanswered", times=9)
    ground.turn()
    for _ in range(8):
        ground.box.offset += 31_000
        confirm(ground.box)
    recovered(ground, "filled nonce")
    kept = ground.box.transactions.get(ground.key.address, 0)
    assert kept is not None
    assert kept.state == "replaced"
    assert kept.attempts[-1].noop


def test_a_dead_url_is_passed_over_and_one_of_another_chain_never_believed(ground: Ground) -> None:
    ground.sell(4)
    dead = Proxy(ground.node_url)
    dead.down = True
    stranger = Proxy(ground.node_url)
    try:
        ground.box.network = Network([dead.url, ground.proxy.url], 31337)
        recovered(ground, "first URL dead")
        assert dead.seen.total() <= 3, "the URL that answered is asked first from then on"
        with pytest.raises(NoAnswer):
            Network([stranger.url], 1).nonce(ground.key.address)
        with pytest.raises(NoAnswer):
            Network([dead.url], 31337).nonce(ground.key.address)
    finally:
        dead.stop()
        stranger.stop()


@pytest.mark.parametrize("method", ["", "eth_estimateGas", "eth_call", "eth_sendRawTransaction"])
def test_a_url_that_begins_to_refuse_what_it_is_asked_is_passed_over(ground: Ground, method: str) -> None:
    """As when its key is over, or its plan lacks a method: an error in each answer, not an HTTP status."""
    first = Proxy(ground.node_url)
    try:
        ground.box.network = Network([first.url, ground.proxy.url], 31337)
        ground.sell(4)
        recovered(ground, "both URLs good")
        first.fault("refused", method, times=10_000, say="Unauthorized: this plan is over")
        ground.sell(4)
        recovered(ground, f"first URL refuses {method or 'everything'}")
    finally:
        first.stop()


@pytest.mark.parametrize(
    "error", ["Unauthorized", ["over"], {"code": -32000, "message": "over", "data": "0x0_no bytes"}]
)
def test_a_url_whose_refusal_has_another_form_is_passed_over_too(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway in front of the node may answer before it, and in its own way."""
    network = Network(["http://gateway.invalid", "http://node.invalid"])
    gateway, node = network._providers
    monkeypatch.setattr(gateway, "make_request", lambda *_: {"error": error})
    monkeypatch.setattr(node, "make_request", lambda *_: {"result": "0x7"})
    assert network.balance("0x" + "11" * 20) == 7
    monkeypatch.setattr(node, "make_request", lambda *_: {"error": error})
    with pytest.raises(NoAnswer):
        network.balance("0x" + "11" * 20)


def test_keys_that_work_side_by_side_lose_no_url() -> None:
    network = Network(["http://one.invalid", "http://two.invalid", "http://three.invalid"])
    providers = list(network._providers)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(network._prefer, providers[number % 3]) for number in range(20_000)]
            asked += [pool.submit(network.ask_another_first) for _ in range(2_000)]
            for done in asked:
                done.result()
    finally:
        sys.setswitchinterval(interval)
    assert {id(provider) for provider in network._providers} == {id(provider) for provider in providers}
    assert network.size == 3
