"""Clicks onto the network: a Merkle root per period, their sequence gap-free, so that a click cannot vanish later."""

import hashlib
import logging
from functools import partial
from typing import Any

from chalicelib.adapters.contract import decode_error, encode_anchor
from chalicelib.adapters.network import Reverted, RpcError
from chalicelib.bootstrap import Box
from chalicelib.domain import merkle
from chalicelib.domain.click import Click
from chalicelib.domain.commitment import canonical, commit_private
from chalicelib.domain.errors import NotFound
from chalicelib.domain.payload import rfc3339
from chalicelib.services import lanes, pause, record
from chalicelib.services.draft import Draft
from chalicelib.services.erase import forget_clicks
from chalicelib.services.turn import Turn, in_turn

log = logging.getLogger(__name__)

MAX_CLICKS = 2_000
"""In one anchor: their ids stand in its transaction's item, which holds 400 KB."""


def anchor(box: Box) -> int:
    """Anchor the clicks that wait once the oldest has waited for the config's period. Returns how many; 0 when another process holds the
    key or the signer is paused."""
    forget_clicks(box)
    lane = next(iter(lanes.lanes(box)), None) if _due(box) else None
    return 0 if lane is None else in_turn(lane, partial(_anchor, lane), 0)


def _due(box: Box) -> list[Click]:
    clicks = box.clicks.unanchored(before=box.now(), limit=MAX_CLICKS)
    period = box.config.network.anchor_minutes * 60_000
    is_due = clicks and (box.now() - clicks[0].clicked_at >= period or len(clicks) >= MAX_CLICKS)
    return clicks if is_due else []


def _anchor(box: Box, turn: Turn) -> int:
    record.ready(box)
    clicks = _due(box)
    if not clicks or pause.paused(box):
        return 0
    try:
        clicks, drafted = _acceptable(box, clicks)
        record.carry(box, turn.holder, *drafted)
    except Reverted as refusal:
        if not pause.for_refusal(box, refusal):
            log.error("the contract refuses an anchor of %d clicks: %s", len(clicks), refusal)
        return 0
    except RpcError as error:
        if not pause.for_error(box, error):
            box.network.ask_another_first()
        return 0
    return len(clicks)


def _acceptable(box: Box, clicks: list[Click]) -> tuple[list[Click], tuple[Draft, int]]:
    """All of them; or all but the newest where just these are anchored already, as when the table came back from a backup. They are then
    anchored once more, in other company, and keep no later ones from it."""
    try:
        return clicks, _drafted(box, clicks)
    except Reverted as refusal:
        named = decode_error(refusal.data)
        if named is None or named.name != "AlreadyAnchored" or len(clicks) == 1:
            raise
        return clicks[:-1], _drafted(box, clicks[:-1])


def _drafted(box: Box, clicks: list[Click]) -> tuple[Draft, int]:
    leaves = [leaf(click) for click in clicks]
    start, end = clicks[0].clicked_at // 1000, clicks[-1].clicked_at // 1000
    calldata = encode_anchor(box.config.merchant.account, merkle.root(leaves), len(clicks), start, end)
    gas = box.network.estimate_gas(box.config.network.contract, calldata, box.signer.address)
    ids = tuple(click.click_id for click in clicks)
    return Draft("anchor", calldata, (), anchored=ids, leaves=tuple(found.hex() for found in leaves)), gas * 13 // 10


def click_payload(click: Click) -> dict[str, Any]:
    """What a click's leaf commits to; it names no person."""
    return {
        "clickId": click.click_id,
        "publisherId": click.publisher_id,
        "agreementId": click.agreement_id,
        "clickedAt": rfc3339(click.clicked_at),
        "private": commit_private({"subId": click.sub_id}, bytes.fromhex(click.private_salt)),
    }


def leaf(click: Click) -> bytes:
    """SHA-256 of salt and canonical payload: the tree's leaf."""
    return hashlib.sha256(bytes.fromhex(click.salt) + canonical(click_payload(click))).digest()


def proof(box: Box, click_id: str) -> dict[str, Any]:
    """The inclusion of a click in its anchor; before that, its state. Raises NotFound."""
    click = box.clicks.get(click_id)
    if click is None:
        raise NotFound("click_unknown", "The box holds no click of that id.")
    if not click.salt:
        raise NotFound("click_erased", "This click was erased on request; what stands on the network points to nobody.")
    network = {"chainId": box.config.network.chain_id, "contract": box.config.network.contract}
    shown = {
        "clickId": click_id,
        "payload": click_payload(click),
        "salt": click.salt,
        "merchant": box.config.merchant.account,
    }
    where = box.clicks.anchor_of(click_id)
    transaction = box.transactions.get(where[0], where[1]) if where else None
    if where is None or transaction is None or transaction.mined is None or transaction.mined.first_sequence is None:
        state = transaction.state if transaction else "pending"
        return {**shown, **network, "state": state, "final": False}
    leaves = [bytes.fromhex(found) for found in box.transactions.cargo(where[0], where[1]).leaves]
    return {
        **shown,
        **network,
        "state": transaction.state,
        "final": transaction.state == "confirmed",
        "root": merkle.root(leaves).hex(),
        "index": where[2],
        "proof": [sibling.hex() for sibling in merkle.proof(leaves, where[2])],
        "count": len(leaves),
        "sequence": transaction.mined.first_sequence + where[2],
        "transaction": transaction.mined.hash,
        "blockNumber": transaction.mined.block_number,
    }
