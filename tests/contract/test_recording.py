"""Recording batches: commissions, the sequence, and what is refused."""

from network_on_anvil import Merchant, Network, commitment

from chalicelib.adapters import contract
from chalicelib.domain.agreement import Rule
from chalicelib.domain.batch import Entry
from chalicelib.domain.commission import commission


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
