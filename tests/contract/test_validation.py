"""Decisions, deadlines, amendments and what takes a conversion's place."""

import pytest

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import Amended, Decided, Recorded, Superseded
from chalicelib.domain.agreement import Rule, Silence
from chalicelib.domain.batch import BadBatch, Batch, Entry
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import (
    MAX_CHANGES,
    REASONS,
    SUPERSEDED,
    UNVERIFIED,
    Amendment,
    Change,
    Run,
    pack_amendments,
    pack_changes,
    runs,
    unpack_changes,
)
from chalicelib.domain.network_status import DAY
from tests.contract.network_on_anvil import Merchant, Network, Refused, commitment

RETURNED = REASONS["returned"]


def recorded(
    merchant: Merchant, count: int, verified: bool = True, silence: Silence = "verified"
) -> tuple[Batch, Recorded]:
    agreement = merchant.agree(validation_days=10, lock_days=20, silence=silence)
    batch = merchant.pack(*(Entry(agreement, "sale", 1000 + i, commitment(i), verified=verified) for i in range(count)))
    return batch, merchant.record(batch)


def statuses(network: Network, merchant: Merchant, batch: Batch) -> list[str]:
    first = network.views.batch(merchant.address, batch.digest).first
    return [network.views.status(merchant.address, batch.digest, first + i).status for i in range(len(batch.entries))]


@pytest.mark.parametrize(
    ("verified", "silence", "at_due", "at_lock"),
    [
        (True, "verified", "approved", "sale"),
        (False, "verified", "open", "rejected"),
        (False, "all", "approved", "sale"),
    ],
)
def test_silence_approves_at_the_due_date_and_the_lock_makes_it_final(
    network: Network, merchant: Merchant, verified: bool, silence: Silence, at_due: str, at_lock: str
) -> None:
    batch, event = recorded(merchant, 1, verified, silence=silence)
    view = network.views.batch(merchant.address, batch.digest)
    assert (view.due, view.lock) == (view.recorded_at + 10 * DAY, view.recorded_at + 20 * DAY)
    assert event.silent == (at_due == "approved")
    for moment, expected in (
        (view.due - 1, "open"),
        (view.due, at_due),
        (view.lock - 1, at_due),
        (view.lock, at_lock),
    ):
        network.wait(moment - network.now())
        assert statuses(network, merchant, batch) == [expected]


def test_one_run_and_scattered_entries_have_one_form(network: Network, merchant: Merchant) -> None:
    batch, event = recorded(merchant, 200)
    changes = [Change(i, "approved") for i in range(30, 150)]
    changes += [Change(i, "rejected", RETURNED) for i in (0, 2, 47, 48, 49, 175, 176, 177, 199)]

    (logged,) = merchant.send(contract.encode_decide(merchant.address, {batch.digest: runs(changes)}))

    expected = ["open"] * 200
    for change in sorted(changes, key=lambda c: c.status):
        expected[change.entry] = change.status
    assert statuses(network, merchant, batch) == expected
    assert isinstance(logged, Decided)
    assert logged.changes == ((batch.digest, tuple(runs(changes))),)
    assert event.first == 1


@pytest.mark.parametrize(("start", "count"), [(0, 304), (48, 128), (176, 128), (47, 130), (0, 48), (175, 2), (303, 1)])
def test_a_run_may_span_any_part_of_the_largest_batch(
    network: Network, merchant: Merchant, start: int, count: int
) -> None:
    batch, _ = recorded(merchant, 304)
    merchant.send(contract.encode_decide(merchant.address, {batch.digest: [Run(start, count, "rejected", RETURNED)]}))
    expected = ["open"] * start + ["rejected"] * count + ["open"] * (304 - start - count)
    assert statuses(network, merchant, batch) == expected


def test_a_decision_may_be_taken_back_until_the_second_before_the_lock(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 1)
    lock = network.views.batch(merchant.address, batch.digest).lock

    def decide(*run: Run) -> None:
        merchant.send(contract.encode_decide(merchant.address, {batch.digest: list(run)}))

    decide(Run(0, 1, "rejected", RETURNED))
    assert statuses(network, merchant, batch) == ["rejected"]
    network.wait(12 * DAY)
    decide(Run(0, 1, "open"))
    assert statuses(network, merchant, batch) == ["approved"]  # re-opened after the due date
    network.rpc("evm_setNextBlockTimestamp", hex(lock - 1))
    decide(Run(0, 1, "rejected", RETURNED))
    network.rpc("evm_setNextBlockTimestamp", hex(lock))
    with pytest.raises(Refused, match="Locked"):
        decide(Run(0, 1, "approved"))
    network.wait(100 * DAY)
    assert statuses(network, merchant, batch) == ["rejected"]


def test_an_approved_unverified_conversion_becomes_a_sale(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 1, verified=False)
    merchant.send(contract.encode_decide(merchant.address, {batch.digest: [Run(0, 1, "approved")]}))
    network.wait(20 * DAY)
    assert statuses(network, merchant, batch) == ["sale"]


def test_several_batches_are_decided_in_one_call_or_none(network: Network, merchant: Merchant) -> None:
    one, _ = recorded(merchant, 7)
    two, _ = recorded(merchant, 60)
    scattered = [Run(i, 1, "rejected", RETURNED) for i in range(0, 60, 2)]
    merchant.send(
        contract.encode_decide(merchant.address, {one.digest: [Run(6, 1, "approved")], two.digest: scattered})
    )
    assert statuses(network, merchant, one) == ["open"] * 6 + ["approved"]
    assert statuses(network, merchant, two) == ["rejected", "open"] * 30
    with pytest.raises(Refused, match="NotRecorded"):
        merchant.send(
            contract.encode_decide(
                merchant.address, {one.digest: [Run(0, 1, "approved")], two.digest: [Run(0, 61, "approved")]}
            )
        )
    assert statuses(network, merchant, one)[0] == "open"


def _word(start: int, count: int, status: int, reason: int, more: int = 0) -> int:
    return start | count << 16 | status << 32 | reason << 40 | more << 240


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([_word(0, 4, 1, 0)], "NotRecorded"),
        ([_word(3, 1, 1, 0)], "NotRecorded"),
        ([_word(65535, 65535, 1, 0)], "NotRecorded"),
        ([_word(0, 0, 1, 0)], "NotRecorded"),
        ([_word(0, 1, 2, 0)], "BadDecision"),  # nobody decides 'sale'
        ([_word(0, 1, 4, 0)], "BadDecision"),
        ([_word(0, 1, 3, 0)], "BadDecision"),  # rejected without a reason
        ([_word(0, 1, 1, 1)], "BadDecision"),  # approved with one
        ([_word(0, 1, 3, SUPERSEDED)], "BadDecision"),  # that reason belongs to supersede
        ([_word(0, 1, 3, UNVERIFIED)], "BadDecision"),  # and this one to the lock
        ([_word(0, 1, 3, RETURNED) | _word(1, 1, 3, UNVERIFIED) << 48], "BadDecision"),
        ([0], "BadChanges"),
        ([], "BadChanges"),
        ([_word(0, 1, 1, 0, more=1)], "BadChanges"),
        ([_word(0, 1, 1, 0, more=2)], "BadChanges"),
    ],
)
def test_decisions_that_make_no_sense_are_refused(merchant: Merchant, words: list[int], error: str) -> None:
    batch, _ = recorded(merchant, 3)
    changes = batch.digest + b"".join(word.to_bytes(32, "big") for word in words)
    with pytest.raises(Refused, match=error):
        merchant.send(contract._call("decide", merchant.address, changes))
    for odd in (b"", batch.digest + b"\x00"):
        with pytest.raises(Refused, match="BadChanges"):
            merchant.send(contract._call("decide", merchant.address, odd))


def test_the_merchants_own_reasons_are_taken_up_to_the_last_below_those_of_the_network(merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 2)
    own = [Run(0, 1, "rejected", SUPERSEDED - 1), Run(1, 1, "rejected", 1)]
    (event,) = merchant.send(contract.encode_decide(merchant.address, {batch.digest: own}))
    assert isinstance(event, Decided)
    assert event.changes == ((batch.digest, tuple(own)),)
    proof = (merchant.address, batch.body, keccak256(batch.commitments))
    (amended,) = merchant.send(contract.encode_amend(*proof, [Amendment(0, 1, reason=SUPERSEDED - 1)]))
    assert isinstance(amended, Amended)
    assert amended.reason == SUPERSEDED - 1


def test_nobody_can_pass_a_rejection_off_as_that_of_the_lock(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 1)
    new = merchant.pack(Entry(batch.entries[0].agreement, "sale", 1, commitment(77)))
    changes = batch.digest + _word(0, 1, 3, UNVERIFIED).to_bytes(32, "big")
    for call in (
        contract._call("decide", merchant.address, changes),
        contract._call("supersede", merchant.address, changes, new.body, new.commitments),
    ):
        with pytest.raises(Refused, match="BadDecision"):
            merchant.send(call)
    with pytest.raises(BadBatch, match="reason"):
        pack_changes({batch.digest: [Run(0, 1, "rejected", UNVERIFIED)]})
    assert statuses(network, merchant, batch) == ["open"]


def test_a_batch_of_another_merchant_cannot_be_decided(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 1)
    other = Merchant(network)
    with pytest.raises(Refused, match="NotRecorded"):
        other.send(contract.encode_decide(other.address, {batch.digest: [Run(0, 1, "approved")]}))


def test_the_longest_decision_call_goes_through(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 304)
    many = [Run(i % 304, 1, "approved") for i in range((MAX_CHANGES // 32 - 1) * 5)]
    receipt = network.send(merchant.key.address, contract.encode_decide(merchant.address, {batch.digest: many}))
    assert statuses(network, merchant, batch) == ["approved"] * 304
    assert int(receipt["gasUsed"], 16) < 2**24 // 4


def test_an_amendment_proves_the_old_amount_and_pays_anew(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree(Rule("sale", rate=100_000, to_amount=5000), Rule("sale", rate=200_000, from_amount=5000))
    batch = merchant.pack(*(Entry(agreement, "sale", 6000 + i, commitment(i)) for i in range(30)))
    merchant.record(batch)
    before = network.views.totals(merchant.address, agreement)
    proof = (merchant.address, batch.body, keccak256(batch.commitments))

    (one,) = merchant.send(contract.encode_amend(*proof, [Amendment(7, 4000, reason=REASONS["refund"])]))
    more = merchant.send(contract.encode_amend(*proof, [Amendment(7, 0), Amendment(29, 7000, verified=True)]))

    assert isinstance(one, Amended)
    assert (one.sequence, one.old_amount, one.new_amount) == (8, 6007, 4000)
    assert (one.old_commission, one.new_commission, one.reason) == (1201, 400, REASONS["refund"])
    again, other = more
    assert isinstance(again, Amended) and isinstance(other, Amended)
    assert (again.old_amount, again.new_amount, again.new_commission, again.verified) == (4000, 0, 0, False)
    assert (other.sequence, other.old_amount, other.new_commission, other.verified) == (30, 6029, 1400, True)
    after = network.views.totals(merchant.address, agreement)
    assert after.amount == before.amount - 6007 - 6029 + 7000
    assert after.commission == before.commission - 1201 - 1206 + 1400
    assert after.conversions == before.conversions == 30
    assert network.views.amendment(merchant.address, batch.digest, 7) == (0, False)
    assert network.views.amendment(merchant.address, batch.digest, 29) == (7000, True)
    assert network.views.amendment(merchant.address, batch.digest, 8) == (None, False)


def test_an_amendment_that_verifies_lets_silence_approve(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 2, verified=False)
    proof = (merchant.address, batch.body, keccak256(batch.commitments))
    merchant.send(contract.encode_amend(*proof, [Amendment(1, 1001, verified=True)]))
    merchant.send(contract.encode_amend(*proof, [Amendment(1, 900)]))  # stays verified
    network.wait(20 * DAY)
    assert statuses(network, merchant, batch) == ["rejected", "sale"]


def test_an_amendment_is_refused_with_other_bytes_or_after_the_lock(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 2)
    hashed = keccak256(batch.commitments)
    changed = bytearray(batch.body)
    changed[31] ^= 1
    for body, commitments_hash, change, error in (
        (bytes(changed), hashed, Amendment(0, 1), "NotRecorded"),
        (batch.body, keccak256(b""), Amendment(0, 1), "NotRecorded"),
        (batch.body, hashed, Amendment(2, 1), "NotRecorded"),
        (batch.body, hashed, Amendment(303, 1), "NotRecorded"),
    ):
        with pytest.raises(Refused, match=error):
            merchant.send(contract.encode_amend(merchant.address, body, commitments_hash, [change]))
    for word in (1 << 72, 2 << 56, SUPERSEDED << 64, UNVERIFIED << 64):
        with pytest.raises(Refused, match="BadAmendment"):
            merchant.send(contract._call("amend", merchant.address, batch.body, hashed, [word]))
    network.wait(20 * DAY)
    with pytest.raises(Refused, match="Locked"):
        merchant.send(contract.encode_amend(merchant.address, batch.body, hashed, [Amendment(0, 1)]))


def test_every_entry_of_a_mixed_batch_can_be_amended(network: Network, merchant: Merchant) -> None:
    agreements = [merchant.agree(Rule("sale", rate=100_000 * (i + 1)), Rule("lead", fixed=9)) for i in range(3)]
    batch = merchant.pack(
        *(
            Entry(agreements[i % 3], "lead" if i % 5 == 0 else "sale", 50 + i, commitment(i), verified=i % 2 == 0)
            for i in range(64)
        )
    )
    merchant.record(batch)
    proof = (merchant.address, batch.body, keccak256(batch.commitments))
    events = merchant.send(contract.encode_amend(*proof, [Amendment(i, 10_000) for i in range(64)]))
    for entry, event in zip(batch.entries, events, strict=True):
        assert isinstance(event, Amended)
        assert event.old_amount == entry.amount
        paid = 9 if entry.action == "lead" else 1000 * (agreements.index(entry.agreement) + 1)
        assert (event.new_commission, event.verified) == (paid, entry.verified)
    assert sum(network.views.totals(merchant.address, a).amount for a in agreements) == 640_000


def test_superseding_rejects_one_and_records_another_in_one_step(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 3, verified=False)
    other = merchant.agree(validation_days=5, lock_days=6)
    replacement = merchant.pack(Entry(other, "sale", 1001, commitment(77), verified=True))
    changes = {batch.digest: [Run(1, 1, "rejected", SUPERSEDED)]}

    events = merchant.send(contract.encode_supersede(merchant.address, changes, replacement))

    assert [type(event) for event in events] == [Decided, Recorded, Superseded]
    assert isinstance(events[1], Recorded) and isinstance(events[2], Superseded)
    assert events[1].first == 4
    assert events[2].batch == replacement.digest
    assert statuses(network, merchant, batch) == ["open", "rejected", "open"]
    assert statuses(network, merchant, replacement) == ["open"]


def test_a_supersession_that_cannot_be_recorded_rejects_nothing(network: Network, merchant: Merchant) -> None:
    batch, _ = recorded(merchant, 3)
    unknown = merchant.pack(Entry(bytes(32), "sale", 1, commitment(77)))
    known = merchant.pack(Entry(batch.entries[0].agreement, "sale", 1, commitment(78)))
    for changes, replacement, error in (
        ([Run(1, 1, "rejected", SUPERSEDED)], unknown, "UnknownAgreement"),
        ([Run(1, 1, "rejected", RETURNED)], known, "BadDecision"),
        ([Run(1, 1, "approved")], known, "BadDecision"),
        ([Run(1, 1, "rejected", SUPERSEDED)], batch, "AlreadyRecorded"),
    ):
        with pytest.raises(Refused, match=error):
            merchant.send(contract.encode_supersede(merchant.address, {batch.digest: changes}, replacement))
    assert statuses(network, merchant, batch) == ["open"] * 3
    assert network.views.counts(merchant.address) == (3, 0)


def test_an_amendment_with_a_reason_of_the_network_is_not_packed() -> None:
    assert pack_amendments([Amendment(0, 1, reason=SUPERSEDED - 1)])
    with pytest.raises(BadBatch, match="reason"):
        pack_amendments([Amendment(0, 1, reason=SUPERSEDED)])


def test_packed_decisions_read_back() -> None:
    one, two = b"\x01" * 32, b"\x02" * 32
    changes = {one: [Run(i, 2, "rejected", 7) for i in range(0, 24, 2)], two: [Run(0, 304, "open")]}
    assert unpack_changes(pack_changes(changes)) == [(one, changes[one]), (two, changes[two])]
    assert runs([Change(3, "approved"), Change(4, "approved"), Change(3, "open")]) == [
        Run(3, 1, "open"),
        Run(4, 1, "approved"),
    ]
