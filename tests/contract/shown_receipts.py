"""Conversions recorded and clicks anchored the way a box does it, with the receipts and proofs it would show for them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import ClicksAnchored, Recorded
from chalicelib.domain import merkle
from chalicelib.domain.batch import Batch, Entry
from chalicelib.domain.commitment import canonical, commit
from chalicelib.domain.money import format_amount
from tests.contract.network_on_anvil import CHAIN_ID, Merchant

SALT = "5a17" * 8


def rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Order:
    """What a shop reports: amounts by commission group, in minor units."""

    number: int
    lines: dict[str, int]
    action: str = "sale"
    verified: bool = True

    def payload(self, merchant: Merchant, agreement: bytes, **changes: Any) -> dict[str, Any]:
        now = merchant.network.now()
        return {
            "conversionId": f"conversion{self.number}",
            "merchant": merchant.address,
            "action": self.action,
            "currency": merchant.terms[agreement].currency,
            "lines": [{"group": group, "amount": amount} for group, amount in self.lines.items()],
            "agreementId": "0x" + agreement.hex(),
            "publisherId": "blog",
            "clickId": f"click{self.number}",
            "clickedAt": rfc3339(max(now - 3600, merchant.registered_at[agreement])),
            "createdAt": rfc3339(now),
            "verified": self.verified,
            "private": "ab" * 32,
            **changes,
        }


def entries_of(payload: dict[str, Any], merchant: Merchant) -> list[Entry]:
    agreement = bytes.fromhex(payload["agreementId"][2:])
    return [
        Entry(
            agreement=agreement,
            action=payload["action"],
            amount=line["amount"],
            commitment=commit(payload, bytes.fromhex(SALT)),
            group=merchant.terms[agreement].group_number(line["group"]),
            verified=payload["verified"],
        )
        for line in payload["lines"]
    ]


def record(merchant: Merchant, *payloads: dict[str, Any]) -> list[dict[str, Any]]:
    """Records the payloads in one batch and gives their receipts as they would be shown right then."""
    entries = [entry for payload in payloads for entry in entries_of(payload, merchant)]
    batch = merchant.pack(*entries)
    event = merchant.record(batch)
    receipts, at = [], 0
    for payload in payloads:
        receipts.append(receipt(merchant, payload, batch, event, batch.positions[at]))
        at += len(payload["lines"])
    return receipts


def receipt(merchant: Merchant, payload: dict[str, Any], batch: Batch, event: Recorded, index: int) -> dict[str, Any]:
    agreement = bytes.fromhex(payload["agreementId"][2:])
    terms, currency = merchant.terms[agreement], payload["currency"]
    paid = event.commissions[index : index + len(payload["lines"])]
    return {
        "conversionId": payload["conversionId"],
        "payload": payload,
        "salt": SALT,
        "commitment": "0x" + batch.entries[index].commitment.hex(),
        "agreementId": payload["agreementId"],
        "merchant": merchant.address,
        "publisher": terms.publisher,
        "batch": "0x" + event.batch.hex(),
        "entries": [
            {
                "group": line["group"],
                "amount": format_amount(line["amount"], currency),
                "sequence": event.first + index + place,
                "commission": format_amount(pays, currency),
            }
            for place, (line, pays) in enumerate(zip(payload["lines"], paid, strict=True))
        ],
        "sequence": event.first + index,
        "transaction": event.where.transaction,
        "blockNumber": event.where.block,
        "blockHash": event.where.block_hash,
        "logIndex": event.where.log_index,
        "currency": currency,
        "amount": format_amount(sum(line["amount"] for line in payload["lines"]), currency),
        "commission": format_amount(sum(paid), currency),
        "status": "open",
        "verified": payload["verified"],
        "hosted": terms.hosted,
        "final": False,
        "chainId": CHAIN_ID,
        "contract": merchant.network.address,
    }


def shown_proof(
    merchant: Merchant, index: int, clicked: int = -60, agreement: str = "0x" + "12" * 32
) -> dict[str, Any]:
    """What a box shows of click number `index` of eleven, once they are anchored. All were made in the last ten minutes, as the anchor
    says, but for that one where `clicked` (seconds after the newest block) says otherwise."""
    now = merchant.network.now()
    salts = [bytes([i]) * 32 for i in range(11)]
    times = [rfc3339(now + (clicked if i == index else -600 + i)) for i in range(11)]
    payloads = [
        {"clickId": f"click{i}", "publisherId": "blog", "agreementId": agreement, "clickedAt": at, "private": "ab"}
        for i, at in enumerate(times)
    ]
    leaves = [sha256(salt + canonical(payload)).digest() for salt, payload in zip(salts, payloads, strict=True)]
    (event,) = merchant.send(contract.encode_anchor(merchant.address, merkle.root(leaves), 11, now - 600, now))
    assert isinstance(event, ClicksAnchored)
    return {
        "clickId": f"click{index}",
        "payload": payloads[index],
        "salt": salts[index].hex(),
        "merchant": merchant.address,
        "chainId": CHAIN_ID,
        "contract": merchant.network.address,
        "final": False,
        "root": merkle.root(leaves).hex(),
        "index": index,
        "proof": [sibling.hex() for sibling in merkle.proof(leaves, index)],
        "count": 11,
        "sequence": event.first + index,
        "transaction": event.where.transaction,
        "blockNumber": event.where.block,
    }
