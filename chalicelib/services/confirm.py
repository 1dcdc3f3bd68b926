"""The confirmer: what became of each open transaction, until it is final.

A receipt of any attempt's hash decides, never the answer to sending. Final is what lies under the network's `finalized` block (or N
confirmations from the config), with the block's hash looked at again.
"""

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.adapters.contract_events import ClicksAnchored, Recorded, decode_logs
from chalicelib.adapters.network import Block, NoAnswer, Receipt
from chalicelib.bootstrap import Box
from chalicelib.domain.transaction import Mined, State, Transaction, moved
from chalicelib.services import claim, pause, send
from chalicelib.services.crashpoint import reached
from chalicelib.services.record import signing

REPORT = "network-report"
REBROADCAST_MS = 10_000
BUMP_MS = 30_000
FILL_AFTER_ATTEMPTS = 8
"""A lowest nonce that eight ever dearer attempts did not bring through is filled with a no-op, and its batch queued again."""


class Report(Struct, rename="camel", kw_only=True):
    """What the confirmer last saw, for /v1/status: times in milliseconds, balance in wei."""

    at: int
    head: int
    final: int
    balance: str
    in_flight: int
    paused: str | None
    oldest_unsent: int | None
    rpc: str = "ok"


def confirm(box: Box) -> int:
    """Look after every open transaction. Returns how many changed their state; 0 while another process holds the key."""
    with signing(box) as holder:
        if holder is None:
            return 0
        try:
            return _look_after(box)
        except NoAnswer as silence:
            _report_silence(box, silence)
            return 0


def _look_after(box: Box) -> int:
    latest = box.network.block("latest")
    if latest is None:
        raise NoAnswer("the node has no latest block")
    final = final_block(box, latest)
    address = box.signer.address
    spent, spent_for_good = box.network.nonce(address), box.network.nonce(address, final)
    changed = 0
    is_lowest = True
    for transaction in box.transactions.open(address):
        after = _looked_after(box, claim.finish(box, transaction), final, spent, spent_for_good, is_lowest)
        changed += after.state != transaction.state
        is_lowest = is_lowest and not (after.mined or not after.open)
    _write_report(box, latest, final)
    return changed


def final_block(box: Box, latest: Block) -> int:
    finalized = box.network.block("finalized")
    by_count = max(0, latest.number - box.config.network.confirmations)
    return finalized.number if finalized is not None else by_count


def _looked_after(
    box: Box, transaction: Transaction, final: int, spent: int, spent_for_good: int, is_lowest: bool
) -> Transaction:
    receipt = _receipt(box, transaction)
    if receipt is not None:
        return _with_receipt(box, transaction, receipt, final)
    if transaction.mined is not None:
        transaction = box.transactions.update(moved(transaction, "sent", box.now(), "reorganised: sent again"))
    if spent_for_good > transaction.nonce:
        return _lost(box, transaction)
    if spent > transaction.nonce or pause.paused(box):
        return transaction
    return _pushed(box, transaction, is_lowest)


def _receipt(box: Box, transaction: Transaction) -> Receipt | None:
    for attempt in reversed(transaction.attempts):
        if (receipt := box.network.receipt(attempt.hash)) is not None:
            return receipt
    return None


def _with_receipt(box: Box, transaction: Transaction, receipt: Receipt, final: int) -> Transaction:
    block = box.network.block(receipt.block_number)
    if block is None or block.hash != receipt.block_hash:
        return transaction
    mined = _mined(receipt, block)
    if transaction.mined != mined:
        reached("before-mined")
        detail = "reverted" if mined.reverted else f"block {mined.block_number}"
        transaction = box.transactions.update(moved(transaction, "mined", box.now(), detail, mined))
        reached("after-mined")
    if receipt.block_number > final:
        return transaction
    if mined.reverted:
        return _given_back(box, transaction, "failed", "reverted on the network")
    if any(attempt.noop and attempt.hash == receipt.hash for attempt in transaction.attempts):
        return _given_back(box, transaction, "replaced", "a no-op took its nonce")
    reached("before-confirmed")
    confirmed = box.transactions.update(moved(transaction, "confirmed", box.now(), "", mined))
    reached("after-confirmed")
    return confirmed


def _lost(box: Box, transaction: Transaction) -> Transaction:
    """The nonce is spent for good, and by none of our attempts: somebody used the key from outside."""
    return _given_back(box, transaction, "replaced", "its nonce was spent by a transaction the box did not send")


def _given_back(box: Box, transaction: Transaction, state: State, why: str) -> Transaction:
    """First the members, then the state: a crash in between gives them back once more, which changes nothing."""
    reached("before-give-back")
    claim.give_back(box, transaction, why)
    reached("after-give-back")
    return box.transactions.update(moved(transaction, state, box.now(), why, transaction.mined))


def _pushed(box: Box, transaction: Transaction, is_lowest: bool) -> Transaction:
    """Get it through: rebroadcast, then raise the fees of the one that holds the others up, then fill its nonce."""
    if not transaction.attempts:
        return send.first(box, transaction)
    waited = box.now() - transaction.attempts[-1].at
    if is_lowest and waited >= BUMP_MS:
        return send.bump(box, transaction, noop=len(transaction.attempts) >= FILL_AFTER_ATTEMPTS)
    if waited >= REBROADCAST_MS or transaction.state == "pending":
        return send.again(box, transaction)
    return transaction


def _mined(receipt: Receipt, block: Block) -> Mined:
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
                mined,
                log_index=event.where.log_index,
                first_sequence=event.first,
                commissions=event.commissions,
            )
        if isinstance(event, ClicksAnchored):
            return replace(mined, log_index=event.where.log_index, first_sequence=event.first)
    return mined


def _write_report(box: Box, latest: Block, final: int) -> None:
    address = box.signer.address
    waiting = box.conversions.outbox(limit=1)
    box.state.write(
        REPORT,
        Report(
            at=box.now(),
            head=latest.number,
            final=final,
            balance=str(box.network.balance(address)),
            in_flight=len(box.transactions.open(address)),
            paused=pause.cause(box),
            oldest_unsent=waiting[0][0] if waiting else None,
        ),
    )


def _report_silence(box: Box, silence: NoAnswer) -> None:
    kept = box.state.read(REPORT, Report)
    if kept is not None:
        box.state.write(REPORT, replace(kept, rpc=f"no answer: {str(silence)[:100]}"))
