"""Recording batches: commissions, the sequence, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import Recorded, decode_logs
from chalicelib.domain.agreement import MAX_AMOUNT, Rule
from chalicelib.domain.batch import MAX_BODY, MAX_ENTRIES, BadBatch, Batch, Entry, _body, pack, split, unpack
from chalicelib.domain.commission import commission
from tests.contract.network_on_anvil import Merchant, Network, Refused, commitment


def test_a_batch_gets_a_sequence_and_the_commission_of_each_entry(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree(
        Rule("sale", rate=100_000),
        Rule("lead", fixed=250),
        Rule("sale", group="books", rate=55_555, from_amount=100, to_amount=5_000),
        Rule("sale", group="books", fixed=999, from_amount=6_000),
        groups=("default", "books"),
    )
    entries = [
        Entry(agreement, "sale", 1_005, commitment(0), verified=True),
        Entry(agreement, "lead", 0, commitment(1)),
        Entry(agreement, "sale", 4_999, commitment(2), group=1),
        Entry(agreement, "sale", 5_000, commitment(3), group=1),
        Entry(agreement, "sale", 6_000, commitment(4), group=1, verified=True),
        *(Entry(agreement, "sale", 10_000 + i, commitment(5 + i)) for i in range(20)),
    ]
    batch = merchant.pack(*entries)

    event = merchant.record(batch)

    terms = merchant.terms[agreement]
    expected = [commission(terms, e.action, terms.groups[e.group], e.amount) for e in batch.entries]
    assert list(event.commissions) == expected
    assert event.commissions[batch.positions[0]] == 101  # 100.5 is rounded up
    assert (event.first, event.count, event.silent) == (1, 25, 2)
    assert network.views.counts(merchant.address) == (25, 0)
    totals = network.views.totals(merchant.address, agreement)
    assert (totals.conversions, totals.amount, totals.commission) == (
        25,
        sum(e.amount for e in entries),
        sum(expected),
    )


def test_the_bytes_of_a_batch_are_found_in_its_transaction(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    batch = merchant.pack(Entry(agreement, "sale", 100, commitment(1)))

    event = merchant.record(batch)

    sent = network.rpc("eth_getTransactionByHash", event.where.transaction)
    found = contract.find_batch(bytes.fromhex(sent["input"][2:]), event.batch)
    assert found is not None
    assert (found.body, found.commitments) == (batch.body, batch.commitments)


def test_sequences_run_on_from_batch_to_batch_and_each_merchant_has_its_own(
    network: Network, merchant: Merchant
) -> None:
    other = Merchant(network)
    mine, theirs = merchant.agree(), other.agree()
    firsts = []
    for number in range(3):
        batch = merchant.pack(*(Entry(mine, "sale", 5, commitment(number * 10 + i)) for i in range(number + 1)))
        firsts.append(merchant.record(batch).first)
    assert firsts == [1, 2, 4]
    assert other.record(other.pack(Entry(theirs, "sale", 5, commitment(1)))).first == 1
    assert network.views.counts(merchant.address) == (6, 0)


def test_a_batch_is_recorded_once_whoever_sends_it_again(network: Network, merchant: Merchant) -> None:
    batch = merchant.pack(Entry(merchant.agree(), "sale", 5, commitment(1)))
    merchant.record(batch)
    for sender in (merchant.key.address, merchant.address):
        with pytest.raises(Refused, match="AlreadyRecorded"):
            network.send(sender, contract.encode_record(merchant.address, batch))
    assert network.views.counts(merchant.address) == (1, 0)


def test_two_batches_that_race_both_get_in_without_a_gap(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    batches = [
        merchant.pack(*(Entry(agreement, "sale", 5, commitment(n * 10 + i)) for i in range(3))) for n in range(3)
    ]
    network.rpc("evm_setAutomine", False)
    try:
        calls = [contract.encode_record(merchant.address, batch) for batch in (*batches, batches[0])]
        senders = [merchant.key.address, merchant.address, merchant.key.address, merchant.address]
        sent = [network.submit(sender, call) for sender, call in zip(senders, calls, strict=True)]
        network.rpc("evm_mine")
    finally:
        network.rpc("evm_setAutomine", True)
    receipts = [network.receipt(transaction) for transaction in sent]
    assert [receipt["status"] for receipt in receipts] == ["0x1", "0x1", "0x1", "0x0"]  # the re-sent one does nothing
    firsts = [
        event.first for receipt in receipts for event in decode_logs(receipt["logs"]) if isinstance(event, Recorded)
    ]
    assert sorted(firsts) == [1, 4, 7]
    assert network.views.counts(merchant.address) == (9, 0)


def test_a_batch_that_fails_does_not_hold_up_the_next(merchant: Merchant) -> None:
    agreement = merchant.agree()
    with pytest.raises(Refused, match="UnknownAgreement"):
        merchant.record(merchant.pack(Entry(b"\x01" * 32, "sale", 5, commitment(1))))
    assert merchant.record(merchant.pack(Entry(agreement, "sale", 5, commitment(2)))).first == 1


def test_the_bad_entry_of_a_batch_is_named(network: Network, merchant: Merchant) -> None:
    good, unknown = merchant.agree(), b"\xff" * 32
    entries = [Entry(good, "sale", i, commitment(i)) for i in range(20)]
    entries.insert(7, Entry(unknown, "sale", 5, commitment(99)))
    batch = merchant.pack(*entries)
    with pytest.raises(Refused) as refused:
        network.call(contract.encode_record(merchant.address, batch), merchant.key.address)
    error = refused.value.error
    assert error is not None and error.entry is not None
    assert (error.name, error.agreement) == ("UnknownAgreement", unknown)
    assert batch.entries[error.entry].commitment == commitment(99)
    assert batch.positions[7] == error.entry


def test_agreements_of_another_merchant_or_with_other_days_are_refused(network: Network, merchant: Merchant) -> None:
    mine, slower = merchant.agree(), merchant.agree(lock_days=61)
    theirs = Merchant(network).agree()
    with pytest.raises(Refused, match="UnknownAgreement"):
        merchant.record(merchant.pack(Entry(theirs, "sale", 5, commitment(1))))
    entries = [Entry(mine, "sale", 5, commitment(1)), Entry(slower, "sale", 5, commitment(2))]
    with pytest.raises(Refused, match="DaysDiffer"):
        merchant.record(merchant.pack(*entries))
    parts = split(entries, {mine: (30, 60), slower: (30, 61)})
    assert parts == [[0], [1]]
    for part in parts:
        merchant.record(merchant.pack(*(entries[i] for i in part)))


def test_the_agreement_of_nothing_is_unknown(merchant: Merchant) -> None:
    """32 zero bytes look like 'no agreement yet' to a careless loop."""
    with pytest.raises(Refused, match="UnknownAgreement"):
        merchant.record(merchant.pack(Entry(bytes(32), "sale", 5, commitment(1))))


def test_an_order_in_several_groups_stays_together(merchant: Merchant) -> None:
    agreement = merchant.agree(
        Rule("sale", rate=10_000), Rule("sale", group="wine", rate=20_000), groups=("default", "wine")
    )
    entries = [Entry(agreement, "sale", 100 * (i + 1), commitment(i // 2), group=i % 2) for i in range(40)]
    batch = merchant.pack(*entries)
    for i in range(0, 40, 2):
        assert batch.positions[i + 1] == batch.positions[i] + 1
    event = merchant.record(batch)
    assert [event.commissions[p] for p in batch.positions] == [(i + 1) * (1 + i % 2) for i in range(40)]


def _head(count: int, flags: int = 0, key: int = 0, junk: int = 0, amounts: tuple[int, ...] = ()) -> int:
    return flags << 248 | key << 240 | count << 224 | junk << 200 | sum(a << 40 * i for i, a in enumerate(amounts))


def _hostile(agreement: int) -> list[tuple[str, list[int], int, str]]:
    five = (1, 1, 1, 1, 1)
    return [
        ("empty", [], 0, "BadBody"),
        ("no agreement", [_head(1)], 1, "BadBody"),
        ("same as nothing", [_head(1, flags=2), agreement], 1, "BadHead"),
        ("no entries", [_head(0), agreement], 0, "BadHead"),
        ("unknown flag", [_head(1, flags=4), agreement], 1, "BadHead"),
        ("unknown action", [_head(1, key=128), agreement], 1, "BadHead"),
        ("junk in the head", [_head(1, junk=1), agreement], 1, "BadHead"),
        ("tail of the head", [_head(1, amounts=(1, 1)), agreement], 1, "BadTail"),
        ("tail of a word", [_head(6, amounts=five), agreement, 1 | 1 << 40], 6, "BadTail"),
        ("top bits of a full word", [_head(12, amounts=five), agreement, 1 << 240, 1], 12, "BadBody"),
        ("top bits of the last word", [_head(11, amounts=five), agreement, 1 << 240], 11, "BadTail"),
        ("words too few", [_head(6, amounts=five), agreement], 6, "BadBody"),
        ("words too many", [_head(1), agreement, 0], 1, "BadHead"),
        ("commitment missing", [_head(2), agreement], 1, "BadCommitments"),
        ("commitment too many", [_head(1), agreement], 2, "BadCommitments"),
        ("count beyond the bound", [_head(305), agreement], 304, "TooManyEntries"),
        ("count of all bits", [_head(65535), agreement], 304, "TooManyEntries"),
        ("silent behind loud", [_head(1), agreement, _head(1, flags=3)], 2, "SilentFirst"),
        ("the agreement named again", [_head(1, flags=1), agreement, _head(1), agreement], 2, "BadHead"),
        ("one group under two heads", [_head(1), agreement, _head(1, flags=2)], 2, "BadHead"),
        ("a full head and another", [_head(5, flags=1), agreement, _head(1, flags=3)], 6, "BadHead"),
        ("two heads, further on", [_head(1), agreement, *[_head(1, flags=2, key=64)] * 2], 3, "BadHead"),
        ("both", [_head(1), agreement, _head(1), agreement], 2, "BadHead"),
    ]


def _forms(agreement: int, other: int) -> list[tuple[str, list[int], int]]:
    return [
        ("another flag", [_head(1, flags=1), agreement, _head(1, flags=2)], 2),
        ("another key", [_head(1), agreement, _head(1, flags=2, key=64)], 2),
        ("the same group later", [_head(1), agreement, _head(1, flags=2, key=64), _head(1, flags=2)], 3),
        ("another agreement", [_head(1), agreement, _head(1), other], 2),
        ("the same agreement later", [_head(1), agreement, _head(1), other, _head(1), agreement], 3),
        ("the same group in both", [_head(1), agreement, _head(1, flags=2, key=1), _head(1, key=1), other], 3),
    ]


@pytest.mark.parametrize("case", range(len(_forms(0, 1))))
def test_a_group_may_begin_wherever_the_one_before_is_another(merchant: Merchant, case: int) -> None:
    agreement, other = (int.from_bytes(merchant.agree(), "big") for _ in range(2))
    name, words, count = _forms(agreement, other)[case]
    body = b"".join(word.to_bytes(32, "big") for word in words)
    commitments = b"".join(commitment(i) for i in range(count))
    (event,) = merchant.send(contract._call("record", merchant.address, body, commitments))
    assert isinstance(event, Recorded)
    assert (event.first, event.count) == (1, count), name
    assert _body(unpack(body, commitments)) == body


def test_the_same_entries_have_one_form_alone(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    number = int.from_bytes(agreement, "big")
    entries = [Entry(agreement, "sale", 5 + i, commitment(i)) for i in range(2)]
    batch = merchant.pack(*entries)
    for words in (
        [_head(1, amounts=(5,)), number, _head(1, flags=2, amounts=(6,))],
        [_head(1, amounts=(5,)), number, _head(1, amounts=(6,)), number],
    ):
        body = b"".join(word.to_bytes(32, "big") for word in words)
        with pytest.raises(Refused) as refused:
            merchant.send(contract._call("record", merchant.address, body, batch.commitments))
        assert refused.value.error is not None
        assert (refused.value.name, refused.value.error.entry) == ("BadHead", 1)
        with pytest.raises(BadBatch, match="one head"):
            unpack(body, batch.commitments)
    merchant.record(batch)
    assert network.views.counts(merchant.address) == (2, 0)


@pytest.mark.parametrize("case", range(len(_hostile(0))))
def test_bytes_that_are_no_batch_are_refused_by_contract_and_codec(merchant: Merchant, case: int) -> None:
    agreement = merchant.agree()
    name, words, commitments, error = _hostile(int.from_bytes(agreement, "big"))[case]
    body = b"".join(word.to_bytes(32, "big") for word in words)
    hidden = b"\x05" * 20 * commitments
    with pytest.raises(Refused, match=error):
        merchant.send(contract._call("record", merchant.address, body, hidden))
    if error != "SilentFirst":  # which the bytes alone cannot tell: it depends on the agreement
        with pytest.raises(BadBatch):
            unpack(body, hidden)
    assert name


def test_odd_lengths_and_oversize_arguments_are_refused(merchant: Merchant) -> None:
    agreement = merchant.agree()
    batch = merchant.pack(Entry(agreement, "sale", 5, commitment(1)))
    for body, commitments in (
        (batch.body + b"\x00", batch.commitments),
        (batch.body, batch.commitments + b"\x00"),
        (b"\x00" * (MAX_BODY + 32), batch.commitments),
        (batch.body, b"\x00" * 20 * (MAX_ENTRIES + 1)),
    ):
        with pytest.raises(Refused):
            merchant.send(contract._call("record", merchant.address, body, commitments))


def test_the_largest_batch_and_the_most_scattered_one_fit_well_under_the_gas_cap(
    network: Network, merchant: Merchant
) -> None:
    steps = tuple(Rule("sale", rate=i, from_amount=i * 10, to_amount=i * 10 + 10) for i in range(16))
    agreements = [merchant.agree(*steps) for _ in range(100)]
    largest = merchant.pack(*(Entry(agreements[0], "sale", i, commitment(i)) for i in range(MAX_ENTRIES)))
    scattered = merchant.pack(*(Entry(a, "sale", 155, commitment(1000 + i)) for i, a in enumerate(agreements)))
    # Every amount in another bracket than the one before, past the order the codec would choose.
    unsorted = [Entry(agreements[0], "sale", (i * 70) % 160, commitment(2000 + i)) for i in range(MAX_ENTRIES)]
    worst = Batch(_body(unsorted), b"".join(e.commitment for e in unsorted), tuple(unsorted), tuple(range(MAX_ENTRIES)))
    for batch in (largest, scattered, worst):
        receipt = network.send(merchant.key.address, contract.encode_record(merchant.address, batch))
        assert int(receipt["gasUsed"], 16) < 2**24 // 4
    with pytest.raises(BadBatch, match="304"):
        pack([Entry(agreements[0], "sale", 1, commitment(i)) for i in range(MAX_ENTRIES + 1)])


def test_a_time_that_does_not_fit_its_field_is_refused(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree(Rule("sale", rate=100_000))
    batches = [merchant.pack(Entry(agreement, "sale", 100, commitment(n))) for n in range(2)]
    calls = [contract.encode_record(merchant.address, batch) for batch in batches]
    network.rpc("evm_setNextBlockTimestamp", hex(2**32 - 1))
    network.send(merchant.address, calls[0])  # the merchant's own account: the key's term is long over
    held = network.views.batch(merchant.address, batches[0].digest)
    assert (held.count, held.recorded_at) == (1, 2**32 - 1)
    network.rpc("evm_setNextBlockTimestamp", hex(2**32))
    with pytest.raises(Refused, match="TimeExhausted"):
        network.send(merchant.address, calls[1])


def test_the_largest_amounts_are_counted_and_beyond_them_nothing_is(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree(Rule("sale", rate=1_000_000), Rule("lead", fixed=MAX_AMOUNT))
    full = 2**52 // MAX_AMOUNT  # recordings of the largest amount that fit into the totals
    for number, count in enumerate([MAX_ENTRIES] * (full // MAX_ENTRIES) + [full % MAX_ENTRIES], 1):
        entries = [Entry(agreement, "sale", MAX_AMOUNT, commitment(number * 1000 + i)) for i in range(count)]
        event = merchant.record(merchant.pack(*entries))
        assert set(event.commissions) == {MAX_AMOUNT}
    totals = network.views.totals(merchant.address, agreement)
    assert totals.amount == totals.commission == full * MAX_AMOUNT
    with pytest.raises(Refused, match="TotalsExhausted"):
        merchant.record(merchant.pack(Entry(agreement, "sale", MAX_AMOUNT, commitment(1))))
    with pytest.raises(Refused, match="TotalsExhausted"):
        merchant.record(merchant.pack(Entry(agreement, "lead", 0, commitment(1))))
    rest = 2**52 - 1 - totals.amount
    with pytest.raises(Refused, match="TotalsExhausted"):
        merchant.record(merchant.pack(Entry(agreement, "sale", rest + 1, commitment(2))))
    merchant.record(merchant.pack(Entry(agreement, "sale", rest, commitment(2))))
    assert network.views.totals(merchant.address, agreement).commission == 2**52 - 1


def test_what_has_no_rule_earns_nothing(merchant: Merchant) -> None:
    agreement = merchant.agree(Rule("sale", rate=100_000, from_amount=10, to_amount=20), groups=("default", "wine"))
    entries = [
        Entry(agreement, "sale", 9, commitment(1)),
        Entry(agreement, "sale", 20, commitment(2)),
        Entry(agreement, "sale", 15, commitment(3), group=1),
        Entry(agreement, "sale", 15, commitment(4), group=63),
        Entry(agreement, "lead", 15, commitment(5)),
        Entry(agreement, "sale", 15, commitment(6)),
    ]
    batch = merchant.pack(*entries)
    event = merchant.record(batch)
    assert [event.commissions[p] for p in batch.positions] == [0, 0, 0, 0, 0, 2]  # 1.5 is rounded up


def test_views_refuse_what_does_not_exist(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    batch = merchant.pack(Entry(agreement, "sale", 5, commitment(1)))
    with pytest.raises(Refused, match="NotRecorded"):
        network.views.status(merchant.address, batch.digest, 1)
    merchant.record(batch)
    for sequence in (0, 2):
        with pytest.raises(Refused, match="NotRecorded"):
            network.views.status(merchant.address, batch.digest, sequence)
    with pytest.raises(Refused, match="UnknownAgreement"):
        network.views.commission(merchant.address, bytes(32), "sale", 0, 1)
    with pytest.raises(Refused, match="OutOfRange"):
        network.views.commission(merchant.address, agreement, "sale", 0, 2**40)


def test_a_batch_answers_for_its_own_sequences_however_many_came_before(network: Network, merchant: Merchant) -> None:
    """Sequences have forty bits, a batch's count nine: neither may be cut to the other."""
    agreement = merchant.agree()
    for number in range(5):
        batch = merchant.pack(*(Entry(agreement, "sale", 5, commitment(number * 1000 + i)) for i in range(MAX_ENTRIES)))
        event = merchant.record(batch)
        for sequence in (event.first, event.first + MAX_ENTRIES - 1):
            assert network.views.status(merchant.address, batch.digest, sequence).status == "open"
        for sequence in (event.first - 1, event.first + MAX_ENTRIES):
            with pytest.raises(Refused, match="NotRecorded"):
                network.views.status(merchant.address, batch.digest, sequence)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(("sale", "lead")),
            st.integers(0, 63),
            st.booleans(),
            st.integers(0, MAX_AMOUNT),
        ),
        min_size=1,
        max_size=90,
    )
)
def test_what_is_packed_reads_back(rows: list[tuple[int, Any, int, bool, int]]) -> None:
    entries = [
        Entry(bytes([agreement]) * 32, action, amount, commitment(i), group, verified)
        for i, (agreement, action, group, verified, amount) in enumerate(rows)
    ]
    batch = pack(entries, {b"\x02" * 32})
    assert unpack(batch.body, batch.commitments) == batch.entries
    assert [batch.entries[p] for p in batch.positions] == entries
    silent = [e.verified or e.agreement[0] == 2 for e in batch.entries]
    assert silent == sorted(silent, reverse=True)
