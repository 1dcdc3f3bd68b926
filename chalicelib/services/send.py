"""Signed bytes: made once per attempt, stored, then sent and sent again as they are."""

import rlp
from msgspec.structs import replace

from chalicelib.adapters.network import Outcome
from chalicelib.bootstrap import Box
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.transaction import Attempt, Transaction, moved
from chalicelib.services import pause
from chalicelib.services.crashpoint import reached

BUMP_PERCENT = 13
"""Nodes demand 10 % more on both fees to replace a transaction, some 12.5 %."""
GWEI = 10**9


def first(box: Box, transaction: Transaction, calldata: str | None = None, *, noop: bool = False) -> Transaction:
    """Sign, store, send. For a transaction without an attempt."""
    return again(box, _attempted(box, transaction, noop=noop, calldata=calldata))


def bump(box: Box, transaction: Transaction, *, noop: bool = False) -> Transaction:
    """A further attempt with both fees raised. Where the config's cap leaves no room for that, the last bytes are sent again - but a first
    no-op goes out at the cap all the same: there may be nothing that it would have to outbid."""
    replaces_work = noop and not transaction.attempts[-1].noop
    if has_room(box, transaction, noop=noop) or replaces_work:
        transaction = _attempted(box, transaction, noop=noop)
    return again(box, transaction)


def has_room(box: Box, transaction: Transaction, *, noop: bool = False) -> bool:
    """Whether a further attempt may offer so much more than the last that nodes replace that one."""
    return _bumped(transaction.attempts[-1].max_fee) <= _limit(box, noop=noop)


def again(box: Box, transaction: Transaction) -> Transaction:
    """Send the newest stored bytes. Whatever the answer, the receipt decides; a time-out may mean that they arrived."""
    outcome = box.network.send(transaction.attempts[-1].raw)
    reached("after-send")
    if outcome == "out_of_funds":
        pause.begin(box, "out_of_funds")
    if outcome in ("accepted", "known", "unknown") and transaction.state == "pending":
        transaction = box.transactions.update(moved(transaction, "sent", box.now(), _said(outcome)))
        reached("after-sent")
    return transaction


def fee_cap(box: Box) -> int:
    """Wei per gas that the config allows at most."""
    return box.config.network.max_fee_gwei * GWEI


def _limit(box: Box, *, noop: bool) -> int:
    """Wei per gas. Work stops one raise below the cap: a no-op that has to take its nonce must offer more than it, and may."""
    cap = fee_cap(box)
    return cap if noop else (cap - 1) * 100 // (100 + BUMP_PERCENT)


def _said(outcome: Outcome) -> str:
    return "" if outcome == "accepted" else "no answer: may have arrived" if outcome == "unknown" else outcome


def _attempted(box: Box, transaction: Transaction, *, noop: bool, calldata: str | None = None) -> Transaction:
    if calldata is None:
        calldata = box.transactions.cargo(transaction.signer, transaction.nonce).calldata
    max_fee, priority_fee = _fees(box, transaction, _limit(box, noop=noop))
    signed = sign(box, transaction, calldata, max_fee, priority_fee, noop=noop)
    reached("before-store")
    stored = box.transactions.update(replace(transaction, attempts=(*transaction.attempts, signed)))
    reached("after-store")
    return stored


def _fees(box: Box, transaction: Transaction, limit: int) -> tuple[int, int]:
    """(max fee, priority fee) in wei per gas, up to `limit`: room for a doubled base fee, and enough to replace the last attempt."""
    latest = box.network.block("latest")
    priority_fee = box.network.priority_fee()
    max_fee = 2 * (latest.base_fee if latest else GWEI) + priority_fee
    if transaction.attempts:
        last = transaction.attempts[-1]
        max_fee = max(max_fee, _bumped(last.max_fee))
        priority_fee = max(priority_fee, _bumped(last.priority_fee))
    max_fee = min(max_fee, limit)
    return max_fee, min(priority_fee, max_fee)


def _bumped(fee: int) -> int:
    return fee * (100 + BUMP_PERCENT) // 100 + 1


def sign(
    box: Box, transaction: Transaction, calldata: str, max_fee: int, priority_fee: int, *, noop: bool = False
) -> Attempt:
    """An EIP-1559 transaction, encoded here because a KMS signer gives only (parity, r, s) over a digest.

    A no-op has the same gas limit: what a plain transfer takes differs from network to network, and only what is used is paid.
    """
    to = box.signer.address if noop else box.config.network.contract
    fields: list[object] = [
        box.config.network.chain_id,
        transaction.nonce,
        priority_fee,
        max_fee,
        transaction.gas,
        bytes.fromhex(to[2:]),
        0,
        b"" if noop else bytes.fromhex(calldata),
        [],
    ]
    unsigned = b"\x02" + rlp.encode(fields)
    raw = b"\x02" + rlp.encode([*fields, *box.signer.sign_digest(keccak256(unsigned))])
    return Attempt(
        hash="0x" + keccak256(raw).hex(),
        raw="0x" + raw.hex(),
        max_fee=max_fee,
        priority_fee=priority_fee,
        at=box.now(),
        noop=noop,
    )
