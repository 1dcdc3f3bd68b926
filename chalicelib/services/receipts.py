"""The public receipt: all that `box verify`, or a page without the box, needs to check a conversion against the chain."""

from typing import Any

from chalicelib.bootstrap import Box
from chalicelib.domain.commission import commission
from chalicelib.domain.commitment import commit
from chalicelib.domain.conversion import Conversion, Entry
from chalicelib.domain.errors import NotFound
from chalicelib.domain.money import format_amount
from chalicelib.domain.network_status import deadlines, effective_status
from chalicelib.domain.transaction import Mined, Transaction
from chalicelib.services.entries import currency_of
from chalicelib.services.lifecycle import Standing, standing


def receipt(box: Box, conversion_id: str) -> tuple[int, dict[str, Any]]:
    """(200, receipt) once mined; (202, {state, reason}) before, and for good when nothing of it goes onto the network. Raises NotFound."""
    held = box.conversions.get(conversion_id)
    if held is None:
        raise NotFound("conversion_unknown", "The box holds no conversion of that id.")
    where = standing(box, held)
    mined = where.transaction.mined if where.transaction else None
    if held.erased_at is not None:
        return 202, {"conversionId": conversion_id, "state": where.network, "reason": "erased"}
    if not held.entries or where.transaction is None or mined is None or mined.first_sequence is None:
        return 202, {"conversionId": conversion_id, "state": where.network, "reason": _why_not(held, where)}
    return 200, _receipt(box, held, _as_on_network(box, held, where), where.transaction, mined)


def _why_not(held: Conversion, where: Standing) -> str | None:
    if held.is_test:
        return "test"
    return held.attribution.reason or held.set_aside or where.network


def _as_on_network(box: Box, held: Conversion, where: Standing) -> Entry:
    """The last entry as the network has it: a receipt is a proof, so what a decision or amendment under way will make of it is left out."""
    entry = held.entries[-1]
    change = where.change
    if change is None or (change.mined is not None and not change.mined.reverted):
        return entry
    number = len(held.entries) - 1
    members = box.transactions.cargo(change.signer, change.nonce).members
    before = [m.before for m in members if (m.conversion_id, m.number) == (held.conversion_id, number)]
    return before[0] if before and before[0] is not None else entry


def _receipt(box: Box, held: Conversion, entry: Entry, transaction: Transaction, mined: Mined) -> dict[str, Any]:
    agreement = box.agreements.get(entry.agreement_id)
    if agreement is None:
        raise NotFound("agreement_unknown", "The box does not hold the agreement this conversion was recorded under.")
    terms = agreement.terms
    due, lock = deadlines(mined.block_time, terms.validation_days, terms.lock_days)
    status = effective_status(entry.decision, entry.verified, terms.silence, due, lock, box.now() // 1000)
    earned = sum(commission(terms, held.action, line.group, line.amount) for line in entry.lines)
    sequence = (mined.first_sequence or 0) + entry.index
    commissions = mined.commissions[entry.index : entry.index + len(entry.lines)]
    payload_lines = entry.payload["lines"]
    currency = currency_of(held, entry)
    return {
        "conversionId": held.conversion_id,
        "payload": entry.payload,
        "salt": held.salt,
        "commitment": "0x" + commit(entry.payload, bytes.fromhex(held.salt)).hex(),
        "agreementId": entry.agreement_id,
        "merchant": box.config.merchant.account,
        "publisher": terms.publisher,
        "batch": "0x" + entry.batch,
        "entries": [
            {
                "group": line["group"],
                "amount": format_amount(line["amount"], currency),
                "sequence": sequence + place,
                "commission": format_amount(paid, currency),
            }
            for place, (line, paid) in enumerate(zip(payload_lines, commissions, strict=True))
        ],
        "sequence": sequence,
        "transaction": mined.hash,
        "blockNumber": mined.block_number,
        "blockHash": mined.block_hash,
        "logIndex": mined.log_index,
        "currency": currency,
        "amount": format_amount(sum(line.amount for line in entry.lines), currency),
        "commission": format_amount(earned, currency),
        "status": status,
        "verified": entry.verified,
        "hosted": terms.hosted,
        "final": transaction.state == "confirmed",
        "chainId": box.config.network.chain_id,
        "contract": box.config.network.contract,
    }
