"""The signer: from the outbox to signed bytes on their way. One at a time per key, by a lease that a dead holder loses.

Each step is safe to repeat after a crash at any point:

    1 reserve  nonce and batch in one write          a batch without a nonce does not exist
    2 claim    each item names its transaction       finished first thing on the next run, from the transaction alone
    3 sign     bytes stored before they are sent     what was never stored was never sent
    4 send     a time-out means "maybe sent"         the same bytes are sent again
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chalicelib.adapters.contract import decode_error
from chalicelib.adapters.network import NoAnswer, Reverted, RpcError
from chalicelib.adapters.stores.item import LostLease
from chalicelib.adapters.stores.state import signer_state
from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.outbox import Operation, last_transaction, next_operation
from chalicelib.domain.transaction import Member, Transaction
from chalicelib.services import claim, pause, send
from chalicelib.services.crashpoint import reached
from chalicelib.services.draft import Draft, draft

MAX_IN_FLIGHT = 16
LEASE_MS = 90_000
GAS_MARGIN = 130
"""Per cent of the estimate: the state may change between estimate and block."""
GAS_CAP = 16_000_000
"""Below the 16,777,216 gas that a transaction may take (EIP-7825)."""
ORDER: tuple[Operation, ...] = ("record", "supersede", "amend", "decide")


@contextmanager
def signing(box: Box) -> Iterator[str | None]:
    """The lease on this box's key: yields our name as its holder, or None while another process holds it."""
    holder = secrets.token_hex(8)
    name = signer_state(box.signer.address)
    taken = box.state.lease(name, holder, box.now(), box.now() + LEASE_MS)
    try:
        yield holder if taken else None
    finally:
        if taken:
            box.state.release(name, holder)


def record(box: Box) -> int:
    """Send what is due. Returns how many transactions were sent; 0 when another process is at it or the signer is paused."""
    with signing(box) as holder:
        if holder is None:
            return 0
        try:
            return _send_due(box, holder)
        except (NoAnswer, LostLease):
            return 0


def _send_due(box: Box, holder: str) -> int:
    in_flight = box.transactions.open(box.signer.address)
    for transaction in in_flight:
        claim.finish(box, transaction)
    if pause.paused(box):
        return 0
    _align_nonce(box)
    sent = 0
    for transaction in in_flight:
        if not transaction.attempts:
            send.first(box, transaction)
            sent += 1
    while len(in_flight) + sent < MAX_IN_FLIGHT and (cut := _cut(box)) is not None:
        if pause.paused(box):
            break
        carry(box, holder, *cut)
        sent += 1
    return sent


def _align_nonce(box: Box) -> None:
    """Start a fresh key where the network says, and step over nonces that were spent from outside."""
    address = box.signer.address
    on_network = box.network.nonce(address)
    box.state.start_nonce(address, on_network)
    counted = box.state.next_nonce(address)
    if counted is not None and counted < on_network:
        box.state.skip_nonces(address, counted, on_network)


def carry(box: Box, holder: str, work: Draft, gas: int) -> None:
    address = box.signer.address
    nonce = box.state.next_nonce(address)
    assert nonce is not None, "aligned before anything is cut"
    transaction = Transaction(
        signer=address,
        nonce=nonce,
        kind=work.kind,
        calldata=work.calldata.hex(),
        body=work.body.hex(),
        commitments=work.commitments.hex(),
        gas=gas,
        members=work.numbered(address, nonce),
        anchored=work.anchored,
        leaves=work.leaves,
    )
    reached("before-reserve")
    box.transactions.reserve(transaction, holder)
    reached("after-reserve")
    claimed = claim.finish(box, transaction)
    reached("after-claim")
    send.first(box, claimed)


def _cut(box: Box) -> tuple[Draft, int] | None:
    """The next call worth sending and its gas, None when nothing is due or can go yet."""
    network, now = box.config.network, box.now()
    waiting: dict[Operation, list[tuple[int, Conversion]]] = {operation: [] for operation in ORDER}
    for since, conversion in box.conversions.outbox(limit=4 * network.batch_size):
        operation = next_operation(conversion, hold_unverified=box.config.tracking.hold_unverified)
        if operation is None:
            box.conversions.update(conversion, None)
        elif operation == "record" or _is_mined(box, conversion):
            waiting[operation].append((since, conversion))
    for operation in ORDER:
        due = waiting[operation]
        full = len(due) >= network.batch_size
        if due and (full or now - due[0][0] >= network.batch_seconds * 1000):
            conversions = [conversion for _, conversion in due[: network.batch_size]]
            if (cut := _acceptable(box, operation, conversions)) is not None:
                return cut
    return None


def _is_mined(box: Box, conversion: Conversion) -> bool:
    """Whether the entry to change is on the network by now. It names batch and place, not sequence, so a reorg cannot misdirect it."""
    entry = conversion.entries[-1]
    keys = {(entry.signer, entry.nonce), last_transaction(entry)}
    return all(t.mined is not None and not t.mined.reverted for t in box.transactions.many(keys).values())


def _acceptable(box: Box, operation: Operation, conversions: Sequence[Conversion]) -> tuple[Draft, int] | None:
    """A call that the contract accepts, found by asking the node; what it refuses is set aside with the reason."""
    left = list(conversions)
    while left:
        work = draft(box, operation, left)
        try:
            gas = box.network.estimate_gas(box.config.network.contract, work.calldata, box.signer.address)
            return work, min(gas * GAS_MARGIN // 100, GAS_CAP)
        except Reverted as refusal:
            if pause.for_refusal(box, refusal):
                return None
            left = _without_refused(box, operation, work, left, refusal)
        except RpcError as error:
            pause.for_error(box, error)
            return None
    return None


def _without_refused(
    box: Box, operation: Operation, work: Draft, left: list[Conversion], refusal: Reverted
) -> list[Conversion]:
    """Set aside the conversion that the contract names; where it names none, halve until one is left."""
    named = decode_error(refusal.data)
    members = {member.conversion_id for member in work.members}
    tried = [conversion for conversion in left if conversion.conversion_id in members]
    if len(tried) > 1 and named is not None and named.entry is not None and operation == "record":
        owner = next((m.conversion_id for m in reversed(_by_place(work)) if m.entry.index <= named.entry), None)
        tried = [c for c in tried if c.conversion_id == owner] or tried
    if len(tried) > 1:
        return tried[: len(tried) // 2]
    reason = named.name if named is not None else refusal.message
    claim.refuse(box, operation, tried[0], reason)
    return [conversion for conversion in left if conversion is not tried[0]]


def _by_place(work: Draft) -> list[Member]:
    return sorted(work.members, key=lambda member: member.entry.index)
