"""A click's proof, checked against the chain alone: what `box verify` does with a file that has a Merkle proof."""

from hashlib import sha256
from typing import Any

from chalicelib.domain import merkle
from chalicelib.domain.commitment import canonical
from ops.chain_reader import Chain
from ops.receipt_checks import Check, Mismatch


def verify_click(shown: dict[str, Any], rpc_url: str, contract: str | None = None) -> list[Check]:
    """The checks up to the first that fails. Raises ChainUnreadable."""
    made: list[Check] = []
    try:
        chain = Chain(rpc_url, shown["contract"])
        for name, found in _checks(shown, chain, contract):
            made.append(Check(name, True, found))
    except Mismatch as mismatch:
        made.append(Check(_NAMES[len(made)], False, str(mismatch)))
    except (KeyError, TypeError, ValueError) as odd:
        made.append(Check(_NAMES[len(made)], False, f"the proof cannot be read: {odd!r}"))
    return made


_NAMES = ("contract", "payload", "inclusion", "anchor", "final")


def _checks(shown: dict[str, Any], chain: Chain, contract: str | None) -> Any:
    if contract is not None and contract.lower() != chain.contract:
        raise Mismatch(f"the proof is of {chain.contract}, not of {contract}")
    if chain.chain_id != shown["chainId"] or not chain.is_known_code:
        raise Mismatch(f"{chain.contract} on chain {chain.chain_id} is not the published network contract")
    yield "contract", f"{chain.contract} on chain {chain.chain_id} is the published contract"
    payload = shown["payload"]
    if payload["clickId"] != shown["clickId"]:
        raise Mismatch(f"the payload is of click {payload['clickId']}")
    yield "payload", f"click {payload['clickId']} of {payload['clickedAt']}"
    root = bytes.fromhex(shown["root"].removeprefix("0x"))
    leaf = sha256(bytes.fromhex(shown["salt"]) + canonical(payload)).digest()
    siblings = [bytes.fromhex(sibling.removeprefix("0x")) for sibling in shown["proof"]]
    if not merkle.verify(root, leaf, shown["index"], shown["count"], siblings):
        raise Mismatch("payload, salt and proof do not lead to the root")
    yield "inclusion", f"number {shown['index']} of the {shown['count']} clicks under the root"
    first, count, at = chain.views.anchor(shown["merchant"], root)
    if not first or count != shown["count"] or first + shown["index"] != shown["sequence"]:
        raise Mismatch(f"the chain has {count} clicks from {first} under this root for {shown['merchant']}")
    yield "anchor", f"click {shown['sequence']} of the merchant, anchored at {at}"
    mined = chain.receipt(shown["transaction"])
    if mined is None or int(mined["blockNumber"], 16) != shown["blockNumber"]:
        raise Mismatch("the transaction does not stand in that block")
    if shown["final"] and 0 <= chain.finalized < shown["blockNumber"]:
        raise Mismatch("the proof says final, the chain does not yet")
    yield "final", "final" if shown["final"] else "not final yet"
