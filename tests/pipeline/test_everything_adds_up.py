"""Random clicks, sales, replays, decisions, refunds, crashes, faults, refusals, reorganisations, changes of keys and time jumps; after
each, and in the end:

    what the box accepted = what is final on chain + what is in flight + what was set aside with a reason

per publisher and in minor units.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from chalicelib.domain.conversion import Conversion
from chalicelib.domain.errors import Conflict
from chalicelib.domain.outbox import last_transaction
from chalicelib.domain.report import Body
from chalicelib.services import track
from chalicelib.services.confirm import confirm
from chalicelib.services.crashpoint import POINTS
from chalicelib.services.record import record
from chalicelib.services.validate import Correction, correct
from ops.local import rpc
from ops.local.dynoxide import Dynoxide
from tests.rig.ground import DAY_MS, Clocked, Ground, node
from tests.rig.process import run

PUBLISHERS = ("p0", "p1")
KEYS = 3
FAULTS = ["accepted_unanswered", "unanswered", "429", "garbage", "half", "overload"]
METHODS = ["eth_sendRawTransaction", "eth_getTransactionReceipt", "eth_estimateGas", "eth_getBlockByNumber", ""]


class Pipeline(RuleBasedStateMachine):
    make: Iterator[Ground]

    def __init__(self) -> None:
        super().__init__()
        self.ground = next(self.make)
        self.refunded: dict[str, int] = {}
        self.by_browser: dict[str, Body] = {}
        """What only a browser reported until now."""
        self.ended = False
        self.keys = [self.ground.key, *(self.ground.another_key() for _ in range(KEYS - 1))]
        self.ground.sell(3)

    def teardown(self) -> None:
        """Whatever happened, it settles, and then it adds up without anything in flight."""
        self.ground.proxy.heal()
        self.funds_arrive()
        self.ground.outlive_lease()
        self.ground.settle(rounds=60)
        self.it_adds_up()
        books = self.books()
        for number, publisher in enumerate(PUBLISHERS):
            assert books[publisher, "in flight"] == 0
            agreement = bytes.fromhex(self.ground.agreements[number][2:])
            on_chain = self.ground._views.totals(self.ground.owner.address, agreement).amount
            assert on_chain == books[publisher, "final"], "the contract's own total"
        entries = self.ground.on_chain()
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        assert (
            len({entry.commitment for entry in entries}) == len(entries) == len(self.ground.sold) - self.count_aside()
        )
        self.ground.close()

    # ---------------------------------------------------------------------------------------- what may happen

    @rule(count=st.integers(1, 6), publisher=st.integers(0, 1), amount=st.integers(1, 900_000))
    def sales(self, count: int, publisher: int, amount: int) -> None:
        self.ground.sell(count, publisher=publisher, amount=amount)

    @rule(publisher=st.integers(0, 1))
    def a_shopper_follows_a_link(self, publisher: int) -> None:
        self.ground.clicks[publisher] = self.ground.click(publisher)

    @precondition(lambda self: bool(self.ground.reported))
    @rule(which=st.integers(0, 10**6))
    def the_server_says_it_again(self, which: int) -> None:
        sale = list(self.ground.reported)[which % len(self.ground.reported)]
        received = track.conversion(self.ground.box, self.ground.reported[sale], "server")
        assert (received.conversion.conversion_id, received.duplicate, received.new) == (sale, True, False)

    @rule(publisher=st.integers(0, 1), cents=st.integers(1, 90_000))
    def a_browser_reports(self, publisher: int, cents: int) -> None:
        body = Body(
            action="sale",
            values=[written(cents)],
            metadata={"orderId": f"T-{len(self.ground.sold)}"},
            event_id=f"e{len(self.ground.sold)}",
            click_id=self.ground.clicks[publisher],
        )
        sale = track.beacon_conversion(self.ground.box, body).conversion.conversion_id
        assert track.beacon_conversion(self.ground.box, body).duplicate
        self.ground.sold[sale], self.by_browser[sale] = cents, body

    @precondition(lambda self: bool(self.by_browser))
    @rule(which=st.integers(0, 10**6), cents=st.integers(1, 90_000))
    def the_server_verifies_what_a_browser_said(self, which: int, cents: int) -> None:
        sale = list(self.by_browser)[which % len(self.by_browser)]
        order_id = (self.by_browser[sale].metadata or {})["orderId"]
        body = Body(action="sale", values=[written(cents)], order_id=order_id)
        try:
            assert track.conversion(self.ground.box, body, "server").conversion.conversion_id == sale
        except Conflict as conflict:
            assert conflict.code == "locked"
            return
        self.ground.sold[sale], self.ground.reported[sale] = cents, body
        del self.by_browser[sale]

    @rule()
    def sign(self) -> None:
        self.ground.turn()

    @rule()
    def look_after(self) -> None:
        confirm(self.ground.box)

    @rule(blocks=st.integers(1, 3))
    def blocks(self, blocks: int) -> None:
        self.ground.mine(blocks)

    @rule(seconds=st.sampled_from([1, 12, 40, 61]))
    def time_passes(self, seconds: int) -> None:
        self.ground.box.offset += seconds * 1000

    @precondition(lambda self: not self.ended)
    @rule()
    def an_agreement_ends(self) -> None:
        self.ended = True
        self.ground.end(1)

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        self.ground.pass_time(days * DAY_MS)

    @rule(point=st.sampled_from(POINTS))
    def crash(self, point: str) -> None:
        def live(box: Clocked) -> None:
            record(box)
            rpc.call(self.ground.node_url, "evm_mine")
            confirm(box)

        self.ground.box.offset += 2_000
        run(self.ground, live, crash_at=point)
        self.ground.outlive_lease()

    @rule(kind=st.sampled_from(FAULTS), method=st.sampled_from(METHODS), times=st.integers(1, 3))
    def network_fault(self, kind: str, method: str, times: int) -> None:
        self.ground.proxy.fault(kind, method, times)  # type: ignore[arg-type]

    @rule(times=st.integers(1, 4))
    def a_node_refuses_without_a_reason(self, times: int) -> None:
        self.ground.proxy.fault("refused", "eth_estimateGas", times, say="execution reverted")

    @rule(method=st.sampled_from(["eth_estimateGas", ""]), times=st.integers(1, 4))
    def a_node_lags(self, method: str, times: int) -> None:
        self.ground.proxy.fault("behind", method, times)

    @rule(keep=st.booleans())
    def reorganisation(self, keep: bool) -> None:
        """Of the one block that is not final yet."""
        open_ones = self.ground.open()
        head = int(rpc.call(self.ground.node_url, "eth_blockNumber"), 16)
        raws = [t.attempts[-1].raw for t in open_ones if t.mined is not None and t.mined.block_number == head]
        rpc.call(self.ground.node_url, "anvil_reorg", 1, [[raw, 0] for raw in raws] if keep else [])

    @rule(which=st.sets(st.integers(0, KEYS - 1), min_size=1))
    def the_box_has_these_keys(self, which: set[int]) -> None:
        """Some join, some leave, what those sent is still under way; and some come back."""
        self.ground.use_keys([self.keys[number] for number in sorted(which)])

    @rule(which=st.integers(0, KEYS - 1))
    def funds_run_out(self, which: int) -> None:
        rpc.call(self.ground.node_url, "anvil_setBalance", self.keys[which].address, hex(1))

    @rule()
    def funds_arrive(self) -> None:
        for key in self.keys:
            rpc.call(self.ground.node_url, "anvil_setBalance", key.address, hex(10**20))

    @precondition(lambda self: bool(self.ground.sold))
    @rule(which=st.integers(0, 10**6), status=st.sampled_from(["approved", "rejected", "open"]))
    def decision(self, which: int, status: str) -> None:
        sale = list(self.ground.sold)[which % len(self.ground.sold)]
        reason = "returned" if status == "rejected" else None
        try:
            correct(self.ground.box, sale, Correction(status=status, reason=reason), "server")
        except Conflict as conflict:
            assert conflict.code == "locked"

    @precondition(lambda self: bool(self.ground.sold))
    @rule(which=st.integers(0, 10**6), cents=st.integers(0, 5_000))
    def refund(self, which: int, cents: int) -> None:
        sale = list(self.ground.sold)[which % len(self.ground.sold)]
        try:
            _, changed = correct(self.ground.box, sale, Correction(amount=written(cents)), "server")
            if changed:
                self.refunded[sale] = cents
        except Conflict as conflict:
            assert conflict.code == "locked"

    # ------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def it_adds_up(self) -> None:
        books = self.books()
        for publisher in PUBLISHERS:
            parts = [books[publisher, part] for part in ("final", "in flight", "set aside")]
            assert books[publisher, "accepted"] == sum(parts), f"{publisher}: {dict(books)}"

    def count_aside(self) -> int:
        return sum(conversion.set_aside is not None for conversion in self.ground.conversions())

    def books(self) -> Counter[tuple[str, str]]:
        """Cents by publisher: accepted by the test's own notes of what was answered, the rest by what the box says of each sale."""
        books: Counter[tuple[str, str]] = Counter()
        found = self.ground.conversions()
        assert len(found) == len(self.ground.sold), "an answered sale is gone"
        for conversion in found:
            publisher = conversion.attribution.publisher_id or ""
            books[publisher, "accepted"] += self.noted(conversion)
            if conversion.set_aside is not None:
                reasons = [line.detail for line in conversion.history if line.event == "set aside"]
                assert conversion.set_aside and conversion.set_aside in reasons, "without a reason"
                books[publisher, "set aside"] += conversion.amount
                continue
            held = self.final_amount(conversion)
            books[publisher, "final"] += held
            books[publisher, "in flight"] += conversion.amount - held
        return books

    def noted(self, conversion: Conversion) -> int:
        """A change that came too late for the network was answered, and then taken back with the reason in the history."""
        if any(line.event == "change refused" for line in conversion.history):
            return conversion.amount
        return self.refunded.get(conversion.conversion_id, self.ground.sold[conversion.conversion_id])

    def final_amount(self, conversion: Conversion) -> int:
        """What the newest final transaction of its entry says; a change under way counts from its own finality."""
        if not conversion.entries:
            return 0
        entry = conversion.entries[-1]
        for key in {(entry.signer, entry.nonce), last_transaction(entry)}:
            carrier = self.ground.box.transactions.get(*key)
            assert carrier is not None
            assert carrier.open or carrier.state == "confirmed", "it names a transaction that came to nothing"
            if carrier.state != "confirmed":
                return 0
        return sum(line.amount for line in entry.lines)


def written(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def run_machine(tmp_path: Path, dynamodb: Dynoxide, examples: int, steps: int) -> None:
    part, url = node(tmp_path)

    def grounds() -> Iterator[Ground]:
        while True:
            yield Ground(tmp_path, dynamodb.url, url, batch_size=4)

    Pipeline.make = grounds()
    try:
        run_state_machine_as_test(
            Pipeline,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=os.environ.get("RANDOMISED") is None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
    finally:
        part.stop()


def test_what_was_accepted_is_final_in_flight_or_set_aside(tmp_path: Path, dynamodb: Dynoxide) -> None:
    run_machine(tmp_path, dynamodb, examples=3, steps=25)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_what_was_accepted_is_final_in_flight_or_set_aside_in_many_histories(
    tmp_path: Path, dynamodb: Dynoxide
) -> None:
    run_machine(tmp_path, dynamodb, examples=100, steps=50)
