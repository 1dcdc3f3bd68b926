"""The 202 answers a publisher kept, and where each of them went."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from ops.chain_reader import Chain
from ops.ledger import Ledger
from ops.ledger_entries import Finding
from ops.receipt_checks import CLOCKS_MAY_DIFFER, moment, parse_time
from ops.verify import verify_receipt


@dataclass(frozen=True, slots=True)
class Saved:
    """A 202 answer that was kept, with the receipt when there is one. `saved_at` in Unix seconds."""

    conversion_id: str
    attributed: bool
    saved_at: int | None
    receipt: dict[str, Any] | None


def read_saved(text: str, box: str | None = None) -> list[Saved]:
    """Kept answers: a JSON array, or a JSON object a line. Each is a 202 answer as it came, or {"answer", "savedAt"?, "receipt"?}.

    With `box`, receipts that are not in the file are asked for there. Raises ValueError.
    """
    stripped = text.strip()
    rows = json.loads(stripped) if stripped.startswith("[") else [json.loads(line) for line in stripped.splitlines()]
    saved = []
    for row in rows:
        answer = row.get("answer", row)
        receipt = row.get("receipt") or (fetch_receipt(box, answer["conversionId"]) if box else None)
        saved_at = parse_time(row["savedAt"]) if "savedAt" in row else None
        saved.append(Saved(str(answer["conversionId"]), bool(answer.get("attributed", True)), saved_at, receipt))
    return saved


def fetch_receipt(box: str, conversion_id: str) -> dict[str, Any] | None:
    """The box's receipt, None when it has none to show."""
    try:
        with urllib.request.urlopen(f"{box.rstrip('/')}/v1/receipts/{conversion_id}", timeout=30) as response:
            found: dict[str, Any] | None = json.load(response) if response.status == 200 else None
    except (urllib.error.URLError, OSError, ValueError):
        return None
    return found


def check_answers(chain: Chain, publisher: str, ledgers: dict[str, Ledger], saved: list[Saved]) -> list[Finding]:
    """Each kept 202 must have a receipt that holds; a conversion has one place on the chain."""
    findings: list[Finding] = []
    places: dict[str, set[tuple[str, int]]] = {}
    for answer in saved:
        if not answer.attributed:
            continue
        if answer.receipt is None:
            findings.append(
                Finding("missing", answer.conversion_id, "answered with 202, and no receipt shows it on the network")
            )
            continue
        if _holds(findings, chain, publisher, answer, answer.receipt):
            place = str(answer.receipt["merchant"]).lower(), int(answer.receipt["sequence"])
            places.setdefault(answer.conversion_id, set()).add(place)
    for conversion_id, known in places.items():
        # What was superseded or rejected stands aside: one place may count.
        counting = [
            sequence
            for merchant, sequence in sorted(known)
            if merchant in ledgers and ledgers[merchant].conversions[sequence].status(chain.now) != "rejected"
        ]
        if len(counting) > 1:
            detail = f"counts at sequence {' and '.join(map(str, counting))}"
            findings.append(Finding("recorded-twice", conversion_id, detail))
    return findings


def _holds(findings: list[Finding], chain: Chain, publisher: str, answer: Saved, receipt: dict[str, Any]) -> bool:
    """Whether the receipt holds, for the conversion that was answered."""
    where = answer.conversion_id
    checks = verify_receipt(receipt, chain.url, chain.contract)
    if not checks[-1].ok:
        detail = f"{checks[-1].name}: {checks[-1].detail}"
        findings.append(Finding("false-receipt", where, detail))
        return False
    if receipt["conversionId"] != where:
        findings.append(Finding("missing", where, f"its receipt is of {receipt['conversionId']}"))
        return False
    if str(receipt["publisher"]).lower() != publisher:
        findings.append(
            Finding("both-sides", where, f"recorded for {receipt['publisher']}, an account that is not yours")
        )
    created = parse_time(receipt["payload"]["createdAt"])
    if answer.saved_at is not None and abs(created - answer.saved_at) > CLOCKS_MAY_DIFFER:
        findings.append(
            Finding("back-dated", where, f"answered on {moment(answer.saved_at)}, dated {moment(created)} by the box")
        )
    return True
