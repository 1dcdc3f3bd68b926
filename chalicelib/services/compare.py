"""The contract's commission beside the box's own. They compute the same; where they differ somebody has to look, so it is said aloud."""

import logging

from msgspec import Struct

from chalicelib.bootstrap import Box
from chalicelib.domain.commission import commission
from chalicelib.domain.transaction import Transaction

STATE = "commission-differences"
KEPT = 100
log = logging.getLogger(__name__)


class Difference(Struct, rename="camel", frozen=True):
    """Minor units of the agreement's currency."""

    conversion_id: str
    expected: int
    on_chain: int


def commissions(box: Box, transaction: Transaction) -> None:
    """Hold what a batch was paid against the agreements' terms; differences go to the log and to `differences`."""
    if transaction.mined is None or not transaction.mined.commissions:
        return
    found = [difference for difference in _differences(box, transaction) if difference not in differences(box)]
    for difference in found:
        log.error(
            "conversion %s: the contract pays %d, the agreement's terms say %d (minor units)",
            difference.conversion_id,
            difference.on_chain,
            difference.expected,
        )
    if found:
        box.state.write(STATE, [*differences(box), *found][-KEPT:])


def differences(box: Box) -> list[Difference]:
    """Those found so far, the oldest first."""
    return box.state.read(STATE, list[Difference]) or []


def _differences(box: Box, transaction: Transaction) -> list[Difference]:
    assert transaction.mined is not None
    cargo = box.transactions.cargo(transaction.signer, transaction.nonce)
    recorded = [member for member in cargo.members if member.before is None]
    agreements = {name: box.agreements.get(name) for name in {member.entry.agreement_id for member in recorded}}
    found = []
    for member in recorded:
        entry, agreement = member.entry, agreements[member.entry.agreement_id]
        if agreement is None:
            continue
        action = entry.payload["action"]
        expected = sum(commission(agreement.terms, action, line.group, line.amount) for line in entry.lines)
        paid = sum(transaction.mined.commissions[entry.index : entry.index + len(entry.lines)])
        if paid != expected:
            found.append(Difference(member.conversion_id, expected, paid))
    return found
