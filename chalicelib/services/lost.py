"""Whether a transaction is lost for good: its nonce spent by another, so that giving its batch another one cannot record anything twice."""

from chalicelib.adapters.contract import NetworkViews
from chalicelib.bootstrap import Box
from chalicelib.domain import merkle
from chalicelib.domain.conversion import Entry
from chalicelib.domain.transaction import Transaction

LOST_MS = 60_000
"""So long must a nonce be seen spent without a receipt of ours, on a node that can tell what is final,"""
LOST_UNPROVEN_MS = 6 * 3_600_000
"""and so long on one that keeps no state as old as that."""


def is_lost(box: Box, transaction: Transaction, final: int) -> bool:
    """Three things must agree, over a time in which a lagging node catches up: the nonce is spent in a final block, no attempt has a
    receipt (the caller looked), and the contract does not hold what the transaction carries."""
    waited = box.now() - (transaction.spent_since or box.now())
    spent = box.network.nonce_spent_for_good(transaction.signer, final)
    node_can_tell = spent is not None
    if spent is not None and spent <= transaction.nonce:
        return False
    if waited < (LOST_MS if node_can_tell else LOST_UNPROVEN_MS):
        return False
    # Of the very block in which the nonce is spent: behind one URL stand several nodes, and one that lags holds nothing yet.
    return not _held_by_contract(box, transaction, box.views_at(final) if node_can_tell else box.views)


def _held_by_contract(box: Box, transaction: Transaction, views: NetworkViews) -> bool:
    """A batch has a name on the network. Decisions and amendments have none, and repeating them changes nothing."""
    cargo = box.transactions.cargo(transaction.signer, transaction.nonce)
    recorded = next((m.entry for m in cargo.members if _made_by(transaction, m.entry)), None)
    merchant = box.config.merchant.account
    if recorded is not None:
        return views.batch(merchant, bytes.fromhex(recorded.batch)).first != 0
    if cargo.anchored:
        return views.anchor(merchant, merkle.root([bytes.fromhex(leaf) for leaf in cargo.leaves]))[0] != 0
    return False


def _made_by(transaction: Transaction, entry: Entry) -> bool:
    return (entry.signer, entry.nonce) == (transaction.signer, transaction.nonce)
