"""A click's proof, checked against the chain alone: what `box verify` does with a file that has a Merkle proof."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import ClicksAnchored, decode_logs
from chalicelib.domain import merkle
from chalicelib.domain.commitment import canonical
from ops.chain_reader import ODD, Chain, topic_of
from ops.receipt_checks import CLOCKS_MAY_DIFFER, Check, Mismatch, moment, parse_time, there_is_later
from ops.receipt_shape import BadShape, check_click_proof

CLICK_CHECKS: Final = ("contract", "payload", "inclusion", "anchor", "times", "final")


def verify_click(shown: Any, rpc_url: str, contract: str | None = None) -> list[Check]:
    """The checks up to the first that fails. Raises ChainUnreadable."""
    made: list[Check] = []
    try:
        check_click_proof(shown)
    except BadShape as fault:
        return [Check("proof", False, str(fault))]
    try:
        for found in _checks(shown, Chain(rpc_url, shown["contract"]), contract):
            made.append(Check(CLICK_CHECKS[len(made)], True, found))
    except Mismatch as mismatch:
        made.append(Check(CLICK_CHECKS[len(made)], False, str(mismatch)))
    except ODD as odd:
        made.append(Check(CLICK_CHECKS[len(made)], False, f"what it names cannot be read: {odd!r}"))
    return made


def _checks(shown: dict[str, Any], chain: Chain, contract: str | None) -> Iterator[str]:
    """What each of CLICK_CHECKS found, in their order."""
    if contract is not None and contract.lower() != chain.contract:
        raise Mismatch(f"the proof is of {chain.contract}, not of {contract}")
    if chain.chain_id != shown["chainId"] or not chain.is_known_code:
        raise Mismatch(f"{chain.contract} on chain {chain.chain_id} is not the published network contract")
    yield f"{chain.contract} on chain {chain.chain_id} is the published contract"
    payload = shown["payload"]
    if payload["clickId"] != shown["clickId"]:
        raise Mismatch(f"the payload is of click {payload['clickId']}")
    yield f"click {payload['clickId']} of {payload['clickedAt']}"
    root = bytes.fromhex(shown["root"].removeprefix("0x"))
    leaf = sha256(bytes.fromhex(shown["salt"]) + canonical(payload)).digest()
    siblings = [bytes.fromhex(sibling.removeprefix("0x")) for sibling in shown["proof"]]
    if not merkle.verify(root, leaf, shown["index"], shown["count"], siblings):
        raise Mismatch("payload, salt and proof do not lead to the root")
    yield f"number {shown['index']} of the {shown['count']} clicks under the root"
    anchor = _anchor(shown, chain, root)
    anchored_at = chain.time(anchor.where.block)
    yield f"click {shown['sequence']} of the merchant, anchored on {moment(anchored_at)}"
    yield _times(parse_time(payload["clickedAt"]), anchor, anchored_at)
    if shown["final"] and there_is_later(chain.finalized, shown["blockNumber"]):
        raise Mismatch("the proof says final, the chain does not yet")
    yield "final" if shown["final"] else "not final yet"


def _anchor(shown: dict[str, Any], chain: Chain, root: bytes) -> ClicksAnchored:
    """The log that fixed this root, in the very transaction that is named: of another one, block and `final` would say nothing."""
    mined = chain.receipt(shown["transaction"], shown["blockNumber"])
    if mined is None or int(mined["blockNumber"], 16) != shown["blockNumber"]:
        raise Mismatch("the transaction does not stand in that block")
    topics = ["0x" + topic("ClicksAnchored").hex(), topic_of(shown["merchant"]), topic_of(root)]
    found = decode_logs([log for log in mined["logs"] if log["topics"] == topics], chain.contract)
    anchors = [event for event in found if isinstance(event, ClicksAnchored)]
    if not anchors:
        raise Mismatch(f"that transaction anchors no such root for {shown['merchant']}")
    (anchor,) = anchors  # a root is anchored once
    if anchor.count != shown["count"] or anchor.first + shown["index"] != shown["sequence"]:
        raise Mismatch(f"the chain has {anchor.count} clicks from {anchor.first} under this root")
    return anchor


def _times(clicked_at: int, anchor: ClicksAnchored, anchored_at: int) -> str:
    start, end = anchor.period_start, anchor.period_end
    if not start <= clicked_at <= end:
        raise Mismatch(f"clicked on {moment(clicked_at)}, the anchor's period is seconds {start} to {end} of Unix time")
    if clicked_at > anchored_at + CLOCKS_MAY_DIFFER:
        raise Mismatch(f"clicked on {moment(clicked_at)}, after its anchor of {moment(anchored_at)}")
    return f"clicked on {moment(clicked_at)}, within the anchor's period"
