"""Where each conversion stands: on the network (from its transaction) and in its life (from decision, silence and the block time)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import Terms
from chalicelib.domain.commission import commission
from chalicelib.domain.conversion import Conversion, Entry, Status, in_groups_of
from chalicelib.domain.network_status import deadlines, effective_status
from chalicelib.domain.outbox import (
    belongs_on_network,
    is_held,
    is_of_another_agreement,
    last_transaction,
    next_operation,
)
from chalicelib.domain.party import Agreement
from chalicelib.domain.terms import MAX_AMOUNT
from chalicelib.domain.transaction import Transaction

DECISION_MARGIN_MS = 3_600_000
"""Decisions are taken until this long before the lock, so that their transaction arrives in time."""


@dataclass(frozen=True)
class Standing:
    """Times in milliseconds, commission in minor units by the agreement's terms (the contract computes the same)."""

    status: Status
    network: str
    commission: int
    due_at: int | None
    lock_at: int | None
    sequence: int | None
    transaction: Transaction | None
    change: Transaction | None = None
    """The newest transaction that carried a decision or an amendment, if one did."""
    change_waits: bool = False
    """A decision or an amendment that no transaction carries yet."""


def standings(box: Box, conversions: Iterable[Conversion]) -> dict[str, Standing]:
    """By conversion id. Reads each transaction and agreement once."""
    conversions = list(conversions)
    entries = [c.entries[-1] for c in conversions if c.entries]
    keys = [key for entry in entries for key in ((entry.signer, entry.nonce), last_transaction(entry))]
    transactions = box.transactions.many(keys) if keys else {}
    ids = {c.attribution.agreement_id for c in conversions} | {
        c.entries[-1].agreement_id for c in conversions if c.entries
    }
    agreements = {key: found for key in ids if key and (found := box.agreements.get(key))}
    return {
        c.conversion_id: replace(
            _standing(box, c, transactions, agreements),
            change=transactions.get(c.entries[-1].last_change or ("", 0)) if c.entries else None,
            change_waits=bool(c.entries)
            and next_operation(c, hold_unverified=box.config.tracking.hold_unverified) is not None,
        )
        for c in conversions
    }


def standing(box: Box, conversion: Conversion) -> Standing:
    return standings(box, [conversion])[conversion.conversion_id]


def status(box: Box, conversion: Conversion) -> Status:
    """As everywhere else. Nothing is read for a conversion that the network does not hold: there the decision is all there is."""
    return standing(box, conversion).status if conversion.entries else conversion.decision


def is_locked(box: Box, conversion: Conversion) -> bool:
    """Whether decisions come too late: the lock, less the margin its transaction needs, has passed."""
    if not conversion.entries:
        return False
    lock_at = standing(box, conversion).lock_at
    return lock_at is not None and box.now() >= lock_at - DECISION_MARGIN_MS


def _standing(
    box: Box,
    conversion: Conversion,
    transactions: dict[tuple[str, int], Transaction],
    agreements: dict[str, Agreement],
) -> Standing:
    agreement = agreements.get(conversion.attribution.agreement_id or "")
    entry = _entry(conversion)
    transaction = transactions.get((entry.signer, entry.nonce)) if entry else None
    mined = transaction.mined if transaction else None
    earned = 0
    if agreement is not None:
        earned = commission_of(conversion, agreement.terms)
    recorded = agreements.get(entry.agreement_id) if entry else None  # where it is about to move, another than its own
    if recorded is None or entry is None or mined is None:
        return Standing(
            conversion.decision, _network(box, conversion, transaction), earned, None, None, None, transaction
        )
    due, lock = deadlines(mined.block_time, recorded.terms.validation_days, recorded.terms.lock_days)
    now = box.now() // 1000
    status = effective_status(conversion.decision, conversion.verified, recorded.terms.silence, due, lock, now)
    sequence = None if mined.first_sequence is None else mined.first_sequence + entry.index
    return Standing(
        status, _network(box, conversion, transaction), earned, due * 1000, lock * 1000, sequence, transaction
    )


def _entry(conversion: Conversion) -> Entry | None:
    """The one that speaks for the conversion: not that of an agreement it has left, once the network refused its successor."""
    if not conversion.entries or (conversion.set_aside is not None and is_of_another_agreement(conversion)):
        return None
    return conversion.entries[-1]


def commission_of(conversion: Conversion, terms: Terms) -> int:
    """Minor units. The contract computes the same from the same lines; what it cannot hold earns nothing, and hides no other conversion."""
    if conversion.currency != terms.currency:
        return 0
    lines = in_groups_of(terms.groups, conversion.lines)
    if any(line.amount > MAX_AMOUNT for line in lines):
        return 0
    return sum(commission(terms, conversion.action, line.group, line.amount) for line in lines)


def _network(box: Box, conversion: Conversion, transaction: Transaction | None) -> str:
    if conversion.set_aside is not None:
        return "setAside"
    if not belongs_on_network(conversion):
        return "none"
    if is_held(conversion, hold_unverified=box.config.tracking.hold_unverified):
        return "held"
    return "pending" if transaction is None else transaction.state
