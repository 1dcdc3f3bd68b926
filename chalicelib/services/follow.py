"""What became of each open transaction, until it is final.

A receipt of any attempt's hash decides, never the answer to sending. Final is what lies under the network's `finalized` block (on one
that has no such tag, N confirmations from the config), with the block's hash looked at again.
"""

from dataclasses import dataclass, field

from msgspec.structs import replace

from chalicelib.adapters.contract_events import ClicksAnchored, Recorded, decode_logs
from chalicelib.adapters.network import Block, NoAnswer, Receipt
from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.transaction import Mined, State, Transaction, moved
from chalicelib.services import claim, compare, pause, send
from chalicelib.services.crashpoint import reached
from chalicelib.services.lost import is_lost

REBROADCAST_MS = 10_000
BUMP_MS = 30_000
TOO_CHEAP_MS = 5_000
"""Between two raises while the base fee is above what the last attempt offers: it cannot get in as it is."""
FILL_AFTER_ATTEMPTS = 8
"""A lowest nonce that eight ever dearer attempts did not bring through is filled with a no-op, and its batch queued again;"""
FILL_AT_CAP_MS = FILL_AFTER_ATTEMPTS * BUMP_MS
"""where the config's cap allows no eight, once the last has waited as long as eight would have taken."""


@dataclass
class View:
    """The network as one look finds it. `final` is a block's number, `spent` how many nonces of ours its head has seen."""

    box: Box
    signer: str
    latest: Block
    final: int
    spent: int
    paused: bool
    _blocks: dict[int, Block | None] = field(default_factory=dict)

    def block(self, number: int) -> Block | None:
        """Asked for once a look: many transactions share one."""
        if number not in self._blocks:
            self._blocks[number] = self.box.network.block(number)
        return self._blocks[number]

    def holds(self, mined: Mined) -> bool | None:
        """Whether the block it was mined in is on the chain still; None when the node has no such block (it may lag)."""
        block = self.block(mined.block_number)
        return None if block is None else block.hash == mined.block_hash


def look(box: Box, signer: str | None = None) -> View:
    """For the box's key, or for one that it had before. Raises NoAnswer."""
    signer = signer or box.signer.address
    latest = box.network.block("latest")
    if latest is None:
        raise NoAnswer("the node has no latest block")
    return View(
        box=box,
        signer=signer,
        latest=latest,
        final=_final(box, latest),
        spent=box.network.nonce(signer),
        paused=pause.paused(box),
    )


def _final(box: Box, latest: Block) -> int:
    """The newest block that nothing takes back. Blocks are counted only on a network that never named one: a node that was just started
    names none for a while, and what it would count as final a reorganisation may still take away. Raises NoAnswer."""
    names_it = f"finalized#{box.config.network.chain_id}"
    if box.state.read(names_it, bool):
        return box.network.finalized().number
    finalized = box.network.block("finalized")
    if finalized is None:
        return max(0, latest.number - box.config.network.confirmations)
    box.state.write(names_it, True)
    return finalized.number


def follow(box: Box, view: View | None = None) -> int:
    """Look after every open transaction of the view's key, the lowest nonce first. Returns how many changed their state."""
    view = view or look(box)
    address = view.signer
    changed = 0
    is_lowest = True
    settled_below = box.state.next_nonce(address) or 0
    for transaction in box.transactions.open(address):
        try:
            after = _followed(view, claim.finish(box, transaction), is_lowest)
        except Stale:
            after = transaction  # another process was quicker; it has seen to it
        changed += after.state != transaction.state
        is_lowest = is_lowest and not after.waits
        if after.open:
            settled_below = min(settled_below, after.nonce)
    reached("before-settle")
    box.state.settle_below(address, settled_below)
    return changed


def _followed(view: View, transaction: Transaction, is_lowest: bool) -> Transaction:
    box = view.box
    if transaction.abandoned:
        return _abandoned(box, transaction)
    if transaction.mined is not None:
        holds = view.holds(transaction.mined)
        if holds:
            return _settled(view, transaction, transaction.mined)
        if holds is None:
            return transaction
    receipt = _receipt(box, transaction)
    if receipt is not None:
        return _with_receipt(view, transaction, receipt)
    if transaction.mined is not None:
        transaction = box.transactions.update(moved(transaction, "sent", box.now(), "reorganised: sent again"))
        return send.again(box, transaction)
    if view.spent > transaction.nonce:
        return _spent(view, transaction)
    if transaction.spent_since is not None:
        transaction = box.transactions.update(replace(transaction, spent_since=None))
    if view.signer != box.signer.address:
        return _pushed_unsigned(box, transaction, "its key was replaced before it was signed")
    if view.paused:
        return _pushed_while_paused(box, transaction)
    return _pushed(view, transaction, is_lowest)


def _receipt(box: Box, transaction: Transaction) -> Receipt | None:
    for attempt in reversed(transaction.attempts):
        if (receipt := box.network.receipt(attempt.hash)) is not None:
            return receipt
    return None


def _with_receipt(view: View, transaction: Transaction, receipt: Receipt) -> Transaction:
    mined = mined_in(view, receipt)
    if mined is None:
        return transaction
    reached("before-mined")
    detail = "reverted" if mined.reverted else f"block {mined.block_number}"
    transaction = view.box.transactions.update(moved(transaction, "mined", view.box.now(), detail, mined))
    reached("after-mined")
    compare.commissions(view.box, transaction)
    return _settled(view, transaction, mined)


def _settled(view: View, transaction: Transaction, mined: Mined) -> Transaction:
    """Confirmed, failed or replaced once its block is final; until then as it is."""
    if mined.block_number > view.final:
        return transaction
    if mined.reverted:
        return _given_back(view.box, transaction, "failed", "reverted on the network")
    if any(attempt.noop and attempt.hash == mined.hash for attempt in transaction.attempts):
        return _given_back(view.box, transaction, "replaced", "a no-op took its nonce")
    reached("before-confirmed")
    confirmed = view.box.transactions.update(moved(transaction, "confirmed", view.box.now(), "", mined))
    reached("after-confirmed")
    return confirmed


def _spent(view: View, transaction: Transaction) -> Transaction:
    """Its nonce is spent and no receipt of ours is there: nearly always a node that lags, else the key was used from outside."""
    box = view.box
    if transaction.spent_since is None:
        return box.transactions.update(replace(transaction, spent_since=box.now()))
    if not is_lost(box, transaction, view.final):
        return transaction
    return _given_back(box, transaction, "replaced", "its nonce was spent by a transaction the box did not send")


def _given_back(box: Box, transaction: Transaction, state: State, why: str) -> Transaction:
    """First the members, then the state: a crash in between gives them back once more, which changes nothing."""
    reached("before-give-back")
    claim.give_back(box, transaction, why)
    reached("after-give-back")
    return box.transactions.update(moved(transaction, state, box.now(), why, transaction.mined))


def _pushed(view: View, transaction: Transaction, is_lowest: bool) -> Transaction:
    """Get it through: rebroadcast, then raise the fees of the one that holds the others up, then fill its nonce."""
    box = view.box
    if not transaction.attempts:
        return send.first(box, transaction)
    last = transaction.attempts[-1]
    waited = box.now() - last.at
    too_cheap = view.latest.base_fee > last.max_fee
    if is_lowest and waited >= (TOO_CHEAP_MS if too_cheap else BUMP_MS):
        transaction = _at_cap(box, transaction, too_cheap)
        return send.bump(box, transaction, noop=not too_cheap and _is_stuck(box, transaction))
    if waited >= REBROADCAST_MS or transaction.state == "pending":
        return send.again(box, transaction)
    return transaction


def _at_cap(box: Box, transaction: Transaction, too_cheap: bool) -> Transaction:
    """Noted from when on it could have been mined: while the base fee is above the cap a no-op would not get in either."""
    is_at_cap = not too_cheap and not send.has_room(box, transaction)
    if is_at_cap == (transaction.at_cap_since is not None):
        return transaction
    return box.transactions.update(replace(transaction, at_cap_since=box.now() if is_at_cap else None))


def _is_stuck(box: Box, transaction: Transaction) -> bool:
    waited = box.now() - (transaction.at_cap_since or box.now())
    return len(transaction.attempts) >= FILL_AFTER_ATTEMPTS or waited >= FILL_AT_CAP_MS


def _pushed_while_paused(box: Box, transaction: Transaction) -> Transaction:
    """Funds that do not come yet are waited for. A revoked key may be so for good: the network has to refuse what it sent, for only
    then may another key take it over."""
    if pause.cause(box) == "key_revoked":
        return _pushed_unsigned(box, transaction, "its key was revoked before it was signed")
    return send.again(box, transaction) if transaction.attempts else transaction


def _pushed_unsigned(box: Box, transaction: Transaction, why: str) -> Transaction:
    """Of a key that signs no more: what was signed is sent again as it is; what was not never is, and goes with another key."""
    if transaction.attempts:
        return send.again(box, transaction)
    return _abandoned(box, box.transactions.update(replace(transaction, abandoned=True)), why)


def _abandoned(box: Box, transaction: Transaction, why: str = "its key was gone before it was signed") -> Transaction:
    return _given_back(box, transaction, "replaced", why)


def mined_in(view: View, receipt: Receipt) -> Mined | None:
    """What a receipt says, None while its block is not (or no longer) on the chain that the node shows."""
    block = view.block(receipt.block_number)
    if block is None or block.hash != receipt.block_hash:
        return None
    mined = Mined(
        hash=receipt.hash,
        block_number=block.number,
        block_hash=block.hash,
        block_time=block.time,
        reverted=not receipt.succeeded,
    )
    for event in decode_logs(receipt.logs):
        if isinstance(event, Recorded):
            return replace(
                mined, log_index=event.where.log_index, first_sequence=event.first, commissions=event.commissions
            )
        if isinstance(event, ClicksAnchored):
            return replace(mined, log_index=event.where.log_index, first_sequence=event.first)
    return mined
