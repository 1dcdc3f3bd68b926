"""What the network holds and the table forgot, as after a restore from a backup: taken over instead of recorded a second time.

Before anything is recorded the contract is asked how many entries it holds. Where that is more than this box's transactions account for,
the contract's log names the transactions that recorded the rest, whatever key they came from, and their bytes name each conversion by its
commitment.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from eth_abi.exceptions import DecodingError
from msgspec import Struct
from msgspec.structs import replace

from chalicelib.adapters.contract import RecordedBytes, find_batch
from chalicelib.adapters.contract_events import Recorded
from chalicelib.adapters.network import NoAnswer, Reverted, Sent
from chalicelib.adapters.stores.item import Exists
from chalicelib.bootstrap import Box
from chalicelib.domain.batch import BadBatch
from chalicelib.domain.commitment import COMMITMENT_SIZE, commit
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.outbox import next_operation
from chalicelib.domain.transaction import Attempt, Cargo, Change, Member, Mined, Transaction
from chalicelib.services import claim
from chalicelib.services.draft import draft, numbered
from chalicelib.services.follow import View, look, mined_in
from chalicelib.services.logged import logged, merchant_topic

log = logging.getLogger(__name__)

OUTBOX = 100_000
"""After a restore all that waits is looked at, not only what the next batches would take."""
LOOKED_BACK = 20_000
"""Transactions of a key. Beyond, the network's log is read instead."""
READING_MS = 20_000
"""So long one call reads the log; the next goes on where it stopped."""
KNOWN = "recordings-known"


class Known(Struct, rename="camel", frozen=True):
    """Every entry up to this sequence is final and no news to the box; what comes after it stands in this block or a later one."""

    sequence: int = 0
    block: int = 0


Waiting = Mapping[bytes, tuple[Member, ...]]
"""What recording each conversion that waits makes of it, by the commitment that it would be recorded under."""


def all_known(box: Box) -> bool:
    """Whether the box knows of everything that stands on the network; where it does not, it is on its way to. Raises NoAnswer.

    What is under way counts with all its entries. The network is asked first and the table second: what another process reserved in
    between is in the one and not yet in the other.
    """
    known = _known(box)
    recorded = _recorded_until(box)
    if recorded == known.sequence:
        return True
    own = list(_own(box, known.sequence))
    unexplained = recorded - known.sequence - sum(len(found.commissions) for found in map(_mined, own) if found)
    if unexplained > 0:
        unexplained -= sum(_entries(box, found) for found in own if found.waits)
    if unexplained > 0:
        _learn(box, known, {found.hash for found in map(_mined, own) if found})
        return False
    _remember(box, known, _settled(known, own))
    return True


def batch(box: Box, digest: str, conversions: Iterable[Conversion]) -> None:
    """Take over the batch of that digest, once it is final and a node shows its log."""
    view, waiting = look(box), _by_commitment(box, conversions)
    for _, events in _recorded(box, 0, view.latest.number, digest):
        for event in events:
            _take_over(view, event, waiting)


def _known(box: Box) -> Known:
    return box.state.read(KNOWN, Known) or Known()


def _remember(box: Box, before: Known, after: Known) -> Known:
    """Where another process learnt more meanwhile, that is learnt once more."""
    if after != before:
        box.state.write(KNOWN, after)
    return after


def _recorded_until(box: Box, at: int | Literal["latest"] = "latest") -> int:
    """The newest sequence that the contract has given. Raises NoAnswer where nothing there answers as the contract does."""
    try:
        return box.views_at(at).counts(box.config.merchant.account)[0]
    except (DecodingError, Reverted) as fault:
        raise NoAnswer(f"the contract does not say what it holds: {fault}"[:200]) from None


def _own(box: Box, known: int) -> Iterator[Transaction]:
    """This box's recordings that are under way or stand above that sequence, of every key that it has or had."""
    signers = [*box.state.signers(), *(signer.address for signer in box.signers)]
    for address in dict.fromkeys(signers):
        for found in box.transactions.newest(address, LOOKED_BACK):
            if found.kind not in ("record", "supersede"):
                continue
            mined = _mined(found)
            if mined is not None and (mined.first_sequence or 0) <= known:
                if found.state == "confirmed":
                    break
            elif mined is not None or found.waits:
                yield found


def _mined(transaction: Transaction) -> Mined | None:
    return transaction.mined if transaction.state in ("mined", "confirmed") else None


def _entries(box: Box, transaction: Transaction) -> int:
    cargo = box.transactions.cargo(transaction.signer, transaction.nonce)
    return len(bytes.fromhex(cargo.commitments)) // COMMITMENT_SIZE


def _settled(known: Known, own: Iterable[Transaction]) -> Known:
    """Known further, as far as what is confirmed follows without a gap."""
    confirmed = [found.mined for found in own if found.state == "confirmed" and found.mined is not None]
    for mined in sorted(confirmed, key=lambda mined: mined.first_sequence or 0):
        if mined.first_sequence == known.sequence + 1:
            known = Known(known.sequence + len(mined.commissions), mined.block_number)
    return known


def _learn(box: Box, known: Known, own: set[str]) -> None:
    """Look at every final recording that the box does not know, and take over what waits here for being recorded; `own` are the hashes of
    transactions it knows. Goes on the next time where it had to stop."""
    view = look(box)
    waiting = _by_commitment(box, (conversion for _, conversion in box.conversions.outbox(limit=OUTBOX)))
    if not waiting and (recorded := _final_count(box, view)) is not None:
        _remember(box, known, Known(recorded, view.final))
        return
    log.warning("the network holds more than this box knows of: reading its log from block %d", known.block)
    ends_at = box.now() + READING_MS
    for until, events in _recorded(box, known.block, view.latest.number):
        for event in events:
            if event.first <= known.sequence:
                continue
            if event.first != known.sequence + 1:
                _remember(box, known, replace(known, block=0))
                raise NoAnswer(f"the log goes on with {event.first}, not with {known.sequence + 1}")
            if event.where.block > view.final:
                return
            if event.where.transaction not in own and not _take_over(view, event, waiting):
                return
            known = _remember(box, known, Known(event.first + event.count - 1, event.where.block))
        if until < view.final:
            known = _remember(box, known, replace(known, block=until))
        if box.now() > ends_at:
            return


def _final_count(box: Box, view: View) -> int | None:
    """None where no node keeps the state of the final block."""
    try:
        return _recorded_until(box, view.final)
    except NoAnswer:
        return None


def _recorded(
    box: Box, since_block: int, to_block: int, digest: str | None = None
) -> Iterator[tuple[int, list[Recorded]]]:
    """This merchant's recordings by ranges of blocks, each with its last block."""
    indexed = [merchant_topic(box), *(["0x" + digest] if digest else [])]
    return logged(box, Recorded, indexed, since_block, to_block)


def _take_over(view: View, event: Recorded, waiting: Waiting) -> bool:
    """False while it is not final, or no node shows its transaction."""
    box = view.box
    sent = box.network.transaction(event.where.transaction)
    receipt = box.network.receipt(event.where.transaction)
    mined = None if receipt is None else mined_in(view, receipt)
    if sent is None or mined is None or mined.block_number > view.final:
        return False
    kept = box.transactions.get(sent.sender, sent.nonce)
    if kept is not None and kept.kind != "fill":
        # Only the items were restored, or a crash came between the two steps: its members are claimed once more.
        claim.finish(box, replace(kept, claimed=False))
        return True
    shown = find_batch(sent.input, event.batch)
    members = [] if shown is None else _members(shown, event.batch, waiting)
    if not members:
        log.warning("batch %s of %d entries holds nothing that waits here", event.batch.hex(), event.count)
        return True
    assert shown is not None
    cargo = Cargo(
        calldata="",
        body=shown.body.hex(),
        commitments=shown.commitments.hex(),
        members=tuple(numbered(member, sent.sender, sent.nonce) for member in members),
    )
    transaction = _adopted(box, sent, mined)
    try:
        box.transactions.create(transaction, cargo, over=kept)
    except Exists:
        return False
    claim.finish(box, transaction, cargo)
    return True


def _members(shown: RecordedBytes, digest: bytes, waiting: Waiting) -> list[Member]:
    """What the batch makes of the conversions that wait."""
    starts = range(0, len(shown.commitments), COMMITMENT_SIZE)
    found: list[Member] = []
    places: dict[bytes, int] = {}
    for place, start in enumerate(starts):
        places.setdefault(shown.commitments[start : start + COMMITMENT_SIZE], place)
    for commitment, place in places.items():
        if commitment in waiting:
            *before, made = waiting[commitment]
            found += [*before, replace(made, entry=replace(made.entry, batch=digest.hex(), index=place))]
    return found


def _by_commitment(box: Box, conversions: Iterable[Conversion]) -> Waiting:
    found: dict[bytes, tuple[Member, ...]] = {}
    for conversion in conversions:
        operation = next_operation(conversion, hold_unverified=box.config.tracking.hold_unverified)
        if operation not in ("record", "supersede"):
            continue
        try:
            members = draft(box, operation, [conversion]).members
        except (BadBatch, LookupError, ValueError):
            continue  # no batch takes it as it is; it is set aside when its turn comes
        found[commit(members[-1].entry.payload, bytes.fromhex(conversion.salt))] = members
    return found


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
