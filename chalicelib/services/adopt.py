"""What the network holds and the table forgot, as after a restore from a backup: taken over instead of recorded a second time.

Two signs tell of it. The network has seen more of our nonces than we counted; or the contract refuses a batch whose digest it
holds. Either way its log names the transaction, and the transaction's bytes name each conversion by its commitment.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from chalicelib.adapters.contract import RecordedBytes, find_batch
from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import Recorded, decode_logs
from chalicelib.adapters.network import Sent
from chalicelib.adapters.stores.item import Exists
from chalicelib.bootstrap import Box
from chalicelib.domain.commitment import COMMITMENT_SIZE, commit
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.outbox import next_operation
from chalicelib.domain.transaction import Attempt, Cargo, Change, Member, Mined, Transaction
from chalicelib.services import claim
from chalicelib.services.draft import draft, numbered
from chalicelib.services.follow import look, mined_in

OUTBOX = 100_000
"""After a restore all that waits is looked at, not only what the next batches would take."""


def batch(box: Box, digest: str, conversions: Iterable[Conversion]) -> bool:
    """Take over the batch of that digest; False while it is not final, or no node shows its log."""
    return any(_take_over(box, event, conversions) for event in _recorded(box, 0, digest))


def unknown(box: Box, since_block: int) -> int:
    """Take over every final batch of this merchant that the table has no transaction of. Returns how many."""
    waiting = [conversion for _, conversion in box.conversions.outbox(limit=OUTBOX)]
    return sum([_take_over(box, event, waiting) for event in _recorded(box, since_block)])


def _recorded(box: Box, since_block: int, digest: str | None = None) -> Iterable[Recorded]:
    merchant = "0x" + bytes.fromhex(box.config.merchant.account[2:]).rjust(32, b"\0").hex()
    topics = ["0x" + topic("Recorded").hex(), merchant, *(["0x" + digest] if digest else [])]
    logs = box.network.logs(box.config.network.contract, topics, since_block)
    return [event for event in decode_logs(logs) if isinstance(event, Recorded)]


def _take_over(box: Box, event: Recorded, waiting: Iterable[Conversion]) -> bool:
    sent = box.network.transaction(event.where.transaction)
    shown = None if sent is None else find_batch(sent.input, event.batch)
    receipt = box.network.receipt(event.where.transaction)
    view = look(box)
    mined = None if receipt is None else mined_in(view, receipt)
    if sent is None or shown is None or mined is None or mined.block_number > view.final:
        return False
    members = [m for c in waiting for m in _members(box, c, shown, event.batch)]
    cargo = Cargo(
        calldata="",
        body=shown.body.hex(),
        commitments=shown.commitments.hex(),
        members=tuple(numbered(member, sent.sender, sent.nonce) for member in members),
    )
    transaction = _adopted(box, sent, mined)
    try:
        box.transactions.create(transaction, cargo, over=_filled(box, sent))
    except Exists:
        kept = box.transactions.get(sent.sender, sent.nonce)
        assert kept is not None, "it is there, or storing it would not have failed"
        # Only the items were restored, or a crash came between the two steps: its members are claimed once more.
        transaction, cargo = replace(kept, claimed=False), box.transactions.cargo(sent.sender, sent.nonce)
    claim.finish(box, transaction, cargo)
    return True


def _filled(box: Box, sent: Sent) -> Transaction | None:
    """The no-op that was meant for this nonce, when it was taken for one that nobody had used."""
    kept = box.transactions.get(sent.sender, sent.nonce)
    return kept if kept is not None and kept.kind == "fill" else None


def _members(box: Box, conversion: Conversion, shown: RecordedBytes, digest: bytes) -> list[Member]:
    """What the batch makes of a conversion, none when it does not hold it."""
    operation = next_operation(conversion, hold_unverified=box.config.tracking.hold_unverified)
    if operation not in ("record", "supersede"):
        return []
    members = draft(box, operation, [conversion]).members
    made = members[-1]
    commitment = commit(made.entry.payload, bytes.fromhex(conversion.salt))
    starts = range(0, len(shown.commitments), COMMITMENT_SIZE)
    place = next(
        (i // COMMITMENT_SIZE for i in starts if shown.commitments[i : i + COMMITMENT_SIZE] == commitment), None
    )
    if place is None:
        return []
    return [*members[:-1], replace(made, entry=replace(made.entry, batch=digest.hex(), index=place))]


def _adopted(box: Box, sent: Sent, mined: Mined) -> Transaction:
    return Transaction(
        signer=sent.sender,
        nonce=sent.nonce,
        kind="record",
        gas=0,
        attempts=(Attempt(hash=mined.hash, raw="", max_fee=0, priority_fee=0, at=box.now()),),
        state="confirmed",
        mined=mined,
        changes=(Change("confirmed", box.now(), "adopted: the network held it already"),),
    )
