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
NOOP_GAS = 21_000


def first(box: Box, transaction: Transaction) -> Transaction:
    """Sign, store, send. For a transaction without an attempt."""
    return again(box, _attempted(box, transaction, noop=False))


def bump(box: Box, transaction: Transaction, *, noop: bool = False) -> Transaction:
    """A further attempt with both fees raised, up to the config's cap; at the cap the last bytes are sent again instead."""
    last = transaction.attempts[-1]
    cap = box.config.network.max_fee_gwei * GWEI
    if last.max_fee >= cap and last.noop == noop:
        return again(box, transaction)
    return again(box, _attempted(box, transaction, noop=noop))


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


def _said(outcome: Outcome) -> str:
    return "" if outcome == "accepted" else "no answer: may have arrived" if outcome == "unknown" else outcome


def _attempted(box: Box, transaction: Transaction, *, noop: bool) -> Transaction:
    max_fee, priority_fee = _fees(box, transaction)
    signed = sign(box, transaction, max_fee, priority_fee, noop=noop)
    reached("before-store")
    stored = box.transactions.update(replace(transaction, attempts=(*transaction.attempts, signed)))
    reached("after-store")
    return stored


def _fees(box: Box, transaction: Transaction) -> tuple[int, int]:
    """(max fee, priority fee) in wei per gas: room for a doubled base fee, and enough over the last attempt to replace it."""
    latest = box.network.block("latest")
    priority_fee = box.network.priority_fee()
    max_fee = 2 * (latest.base_fee if latest else GWEI) + priority_fee
    if transaction.attempts:
        last = transaction.attempts[-1]
        max_fee = max(max_fee, _bumped(last.max_fee))
        priority_fee = max(priority_fee, _bumped(last.priority_fee))
    cap = box.config.network.max_fee_gwei * GWEI
    return min(max_fee, cap), min(priority_fee, cap)


def _bumped(fee: int) -> int:
    return fee * (100 + BUMP_PERCENT) // 100 + 1


def sign(box: Box, transaction: Transaction, max_fee: int, priority_fee: int, *, noop: bool = False) -> Attempt:
    """An EIP-1559 transaction, encoded here because a KMS signer gives only (parity, r, s) over a digest."""
    to = box.signer.address if noop else box.config.network.contract
    fields: list[object] = [
        box.config.network.chain_id,
        transaction.nonce,
        priority_fee,
        max_fee,
        NOOP_GAS if noop else transaction.gas,
        bytes.fromhex(to[2:]),
        0,
        b"" if noop else bytes.fromhex(transaction.calldata),
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
