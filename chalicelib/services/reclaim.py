"""Conversions that are older than the transactions which carry them, as when their table alone is restored: claimed once more.

A key finishes the claims of one transaction before it reserves the next, so whether those of the newest stand tells of all.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from chalicelib.bootstrap import Box
from chalicelib.domain.transaction import Transaction
from chalicelib.services import claim

DEAD = ("failed", "replaced")


def forgotten(box: Box) -> None:
    """Claim again what the conversions forgot, the oldest first; where they forgot nothing, some reads a key. Raises Stale."""
    for address in box.state.signers():
        for transaction in reversed(list(_forgotten(box, address))):
            # Stored as unclaimed first: whatever comes in between, the next look does not take it for one that stands.
            unclaimed = box.transactions.update(replace(transaction, claimed=False))
            claim.finish(box, unclaimed)


def _forgotten(box: Box, address: str) -> Iterator[Transaction]:
    """From the newest down, to one whose claims stand. Those of sales that are gone altogether are passed over, and not looked at again."""
    carrying = box.state.carrying(address)
    is_noted = carrying is not None
    for nonce in range(_newest(box, address, carrying), -1, -1):
        found = box.transactions.get(address, nonce)
        if found is None or found.state in DEAD:
            continue
        if found.open and not found.claimed:
            is_noted = True  # not looked at: it may carry some
            continue
        cargo = box.transactions.cargo(address, nonce)
        if not cargo.members:
            continue
        stands = claim.stands(box, found, cargo)
        if stands is None:
            if box.state.carry(address, carrying, nonce - 1):
                carrying = nonce - 1
                is_noted = True
        elif stands and found.claimed:
            if not is_noted:
                box.state.carry(address, None, nonce)
            return
        else:
            is_noted = True
            yield found
    if not is_noted:
        # Anchors alone, so far: without a note each turn would read all of them, and their clicks, again.
        box.state.carry(address, None, -1)


def _newest(box: Box, address: str, carrying: int | None) -> int:
    """The nonce of the newest that carries conversions, or a higher one: where the counter came back older, what the table holds counts."""
    newest = next(iter(box.transactions.newest(address, 1)), None)
    if newest is None:
        return -1
    return newest.nonce if carrying is None or newest.nonce >= (box.state.next_nonce(address) or 0) else carrying
