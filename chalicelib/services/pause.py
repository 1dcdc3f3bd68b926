"""States in which the signer stops cleanly and says so, and from which it resumes by itself once their cause is gone."""

from typing import Literal

from msgspec import Struct

from chalicelib.adapters.contract import decode_error
from chalicelib.adapters.network import Reverted, RpcError
from chalicelib.bootstrap import Box

Cause = Literal["out_of_funds", "key_revoked"]
EXPLAINED: dict[Cause, str] = {
    "out_of_funds": "The signer's account cannot pay for gas. Send it funds; signing resumes by itself.",
    "key_revoked": "The merchant's account revoked this key or its term is over. Authorise a key; signing resumes by itself.",
}
USUAL_GAS = 1_000_000
"""What an account must be able to pay for when nothing of it is under way."""


class Pause(Struct, rename="camel"):
    """`since` in milliseconds."""

    cause: Cause | None
    since: int


def paused(box: Box) -> bool:
    """Whether signing must wait. Looks at the cause again each time, and ends the pause when it is gone."""
    why = cause(box)
    if why is None:
        return False
    if _lacks_funds(box) if why == "out_of_funds" else _is_revoked(box):
        return True
    box.state.write(_state(box), Pause(None, box.now()))
    return False


def cause(box: Box) -> Cause | None:
    """As last found, without asking the network."""
    kept = box.state.read(_state(box), Pause)
    return kept.cause if kept else None


def begin(box: Box, why: Cause) -> None:
    if cause(box) != why:
        box.state.write(_state(box), Pause(why, box.now()))


def begin_if_unfit(box: Box) -> bool:
    """Whether the key may not act or cannot pay, asked of the network; then it is paused. Raises NoAnswer."""
    if _is_revoked(box):
        begin(box, "key_revoked")
        return True
    if _lacks_funds(box):
        begin(box, "out_of_funds")
        return True
    return False


def for_refusal(box: Box, refusal: Reverted) -> bool:
    """Whether the contract refuses the signer rather than what it sends; then signing is paused."""
    named = decode_error(refusal.data)
    if named is not None and named.name == "NotAuthorised":
        begin(box, "key_revoked")
        return True
    return _for_message(box, refusal.message)


def for_error(box: Box, error: RpcError) -> bool:
    """Whether the node says no for want of funds; then signing is paused."""
    return _for_message(box, error.message)


def _for_message(box: Box, message: str) -> bool:
    if "insufficient funds" in message.lower():
        begin(box, "out_of_funds")
        return True
    return False


def _state(box: Box) -> str:
    return f"signer-pause#{box.signer.address}"


def _lacks_funds(box: Box) -> bool:
    """Against what the first transaction under way was offered for, so that it does not resume only to stop again."""
    address = box.signer.address
    waiting = next((found for found in box.transactions.open(address) if found.waits and found.attempts), None)
    if waiting is not None:
        needed = waiting.gas * waiting.attempts[-1].max_fee
    else:
        latest = box.network.block("latest")
        needed = USUAL_GAS * (2 * (latest.base_fee if latest else 0) + box.network.priority_fee())
    return box.network.balance(address) < needed


def _is_revoked(box: Box) -> bool:
    latest = box.network.block("latest")
    return box.views.key_expiry(box.config.merchant.account, box.signer.address) <= (latest.time if latest else 0)
