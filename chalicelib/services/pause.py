"""States in which the signer stops cleanly and says so, and from which it resumes by itself once their cause is gone."""

from typing import Literal

from msgspec import Struct

from chalicelib.adapters.contract import NetworkViews, decode_error
from chalicelib.adapters.network import Reverted, RpcError
from chalicelib.bootstrap import Box

Cause = Literal["out_of_funds", "key_revoked"]
STATE = "signer-pause"
EXPLAINED: dict[Cause, str] = {
    "out_of_funds": "The signer's account cannot pay for gas. Send it funds; signing resumes by itself.",
    "key_revoked": "The merchant's account revoked this key or its term is over. Authorise a key; signing resumes by itself.",
}


class Pause(Struct, rename="camel"):
    """`since` in milliseconds."""

    cause: Cause | None
    since: int


def paused(box: Box) -> bool:
    """Whether signing must wait. Looks at the cause again each time, and ends the pause when it is gone."""
    kept = box.state.read(STATE, Pause)
    if kept is None or kept.cause is None:
        return False
    if _still(box, kept.cause):
        return True
    box.state.write(STATE, Pause(None, box.now()))
    return False


def cause(box: Box) -> Cause | None:
    kept = box.state.read(STATE, Pause)
    return kept.cause if kept else None


def begin(box: Box, why: Cause) -> None:
    if cause(box) != why:
        box.state.write(STATE, Pause(why, box.now()))


def for_refusal(box: Box, refusal: Reverted) -> bool:
    """Whether the contract refuses the signer rather than what it sends; then signing is paused."""
    named = decode_error(refusal.data)
    if named is not None and named.name == "NotAuthorised":
        begin(box, "key_revoked")
        return True
    return for_message(box, refusal.message)


def for_error(box: Box, error: RpcError) -> None:
    for_message(box, error.message)


def for_message(box: Box, message: str) -> bool:
    if "insufficient funds" in message.lower():
        begin(box, "out_of_funds")
        return True
    return False


def _still(box: Box, why: Cause) -> bool:
    address = box.signer.address
    if why == "out_of_funds":
        latest = box.network.block("latest")
        price = 2 * (latest.base_fee if latest else 0) + box.network.priority_fee()
        return box.network.balance(address) < price * 1_000_000
    views = NetworkViews(lambda data: box.network.call(box.config.network.contract, data))
    latest = box.network.block("latest")
    return views.key_expiry(box.config.merchant.account, address) <= (latest.time if latest else 0)
